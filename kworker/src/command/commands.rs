//! A script of a shell as commands of words, as far as quotes go.

/// The words of each command of a script, without their quotes.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut open = vec![Open::default()];
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(at) = open.last_mut() else { break };
        match (at.quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => at.quote = None,
            (Some('\''), _) => at.push(c),
            // Inside backticks the quotes of what is in them have one.
            (_, '\\') if at.end == '`' && chars.peek() == Some(&'"') => {}
            (_, '\\') => at.word.get_or_insert_default().extend(chars.next()),
            (_, '$') if chars.peek() == Some(&'(') => {
                chars.next();
                open.push(Open { end: ')', ..Open::default() });
            }
            (_, '`') if at.end == '`' => close(&mut open, &mut all),
            (_, '`') => open.push(Open { end: '`', ..Open::default() }),
            (Some(_), _) => at.push(c),
            (None, '\'' | '"') => {
                at.word.get_or_insert_default();
                at.quote = Some(c);
            }
            (None, ')') if at.end == ')' => close(&mut open, &mut all),
            (None, '#') if at.word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, ' ' | '\t') => at.end_word(),
            (None, '\n' | ';' | '&' | '|' | '(' | ')') => all.push(at.end_command()),
            (None, _) => at.push(c),
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut all);
    }
    all
}

/// A command that is being read.
#[derive(Default)]
struct Open {
    words: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
    /// What ends this level; NUL: the end of the script.
    end: char,
}

impl Open {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) -> Vec<String> {
        self.end_word();
        std::mem::take(&mut self.words)
    }
}

/// A command in another one ends; what it prints may be a part of a word there.
fn close(open: &mut Vec<Open>, all: &mut Vec<Vec<String>>) {
    let Some(mut inner) = open.pop() else { return };
    all.push(inner.end_command());
    if let Some(outer) = open.last_mut() {
        outer.word.get_or_insert_default();
    }
}
