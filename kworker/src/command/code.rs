//! Where a name would be read as code: in what `sh -c`, `eval`, `ssh` and the like are given to run. No
//! quotes help there, for two shells read it; so it is refused before any task is stolen.
//!
//! Commands are told apart as far as words and quotes go. What hides behind variables, functions and other
//! programs is not seen.

use std::path::Path;

/// What the name of a task stands for.
const NAME: &str = "{}";
/// Programs that run an argument, and the letter of the option before it.
const BY_OPTION: [(&str, char); 13] = [
    ("sh", 'c'),
    ("bash", 'c'),
    ("dash", 'c'),
    ("zsh", 'c'),
    ("ksh", 'c'),
    ("ash", 'c'),
    ("fish", 'c'),
    ("su", 'c'),
    ("perl", 'e'),
    ("ruby", 'e'),
    ("node", 'e'),
    ("Rscript", 'e'),
    ("php", 'r'),
];
/// Options of ssh that have a value.
const OF_SSH: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// The program that would read a name as code, in a script of a shell.
pub fn reader(script: &str) -> Option<String> {
    commands(script).iter().find_map(|words| reader_of(words))
}

/// The same in the words of one command.
pub fn reader_of(words: &[String]) -> Option<String> {
    (0..words.len()).find_map(|at| {
        let program = Path::new(&words[at]).file_name()?.to_str()?;
        let rest = &words[at + 1..];
        let option = BY_OPTION.iter().find(|(name, _)| *name == program).map(|(_, option)| *option);
        let (shown, code) = match (program, option) {
            ("eval" | "trap", _) => (program.to_owned(), rest),
            ("ssh", _) => ("ssh".to_owned(), of_ssh(rest)),
            (_, Some(option)) => (format!("{program} -{option}"), behind(rest, option)),
            (program, _) if program.starts_with("python") => {
                (format!("{program} -c"), behind(rest, 'c'))
            }
            _ => return None,
        };
        code.iter().any(|word| word.contains(NAME)).then_some(shown)
    })
}

/// The word behind the options, if one of them has this letter.
fn behind(words: &[String], letter: char) -> &[String] {
    let is_option = |word: &&String| word.starts_with('-') && word.len() > 1;
    let options = words.iter().take_while(is_option).count();
    let has = |word: &String| !word.starts_with("--") && word.contains(letter);
    match words[..options].iter().any(has) {
        true => &words[options..words.len().min(options + 1)],
        false => &[],
    }
}

/// What the machine behind it is to run.
fn of_ssh(words: &[String]) -> &[String] {
    let mut at = 0;
    while let Some(option) = words.get(at).and_then(|word| word.strip_prefix('-')) {
        let has_value = option.len() == 1 && OF_SSH.contains(option);
        at += if has_value { 2 } else { 1 };
    }
    words.get(at + 1..).unwrap_or_default()
}

/// The words of each command of a script, without their quotes.
fn commands(script: &str) -> Vec<Vec<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_name_as_code_is_found() {
        for (script, expected) in [
            ("sh -c 'echo {}'", "sh -c"),
            ("sh -c \"echo '{}'\"", "sh -c"),
            ("cd x && /bin/bash -e -lc -- \"run {}\"", "bash -c"),
            ("timeout 5 srun -n 1 sh -ec 'run {}'", "sh -c"),
            ("find . -exec sh -c 'echo {}' ';'", "sh -c"),
            ("out=$(sh -c 'echo {}')", "sh -c"),
            ("echo \"`sh -c \\\"echo {}\\\"`\"", "sh -c"),
            ("eval \"run {}\"", "eval"),
            ("eval run {}", "eval"),
            ("trap 'rm {}' EXIT; run", "trap"),
            ("ssh -p 22 node ./sim {}", "ssh"),
            ("ssh -oBatchMode=yes node \"./sim '{}'\"", "ssh"),
            ("python3 -c \"print('{}')\"", "python3 -c"),
            ("perl -ne 'print if /{}/' file", "perl -e"),
            ("if true; then\n  bash -c \"{}\"\nfi", "bash -c"),
        ] {
            assert_eq!(reader(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn words_of_other_programs_are_no_code() {
        for script in [
            "./sim {}",
            "sh -c 'echo \"$1\"' sh {}",
            "sh script -c {}",
            "sh -c 'echo {slot} {attempt}'",
            "ssh {} uptime",
            "ssh -p 22 {} uptime",
            "python3 sim.py -c {}",
            "awk '{print}' {}",
            "echo 'sh -c' {}",
            "echo a; sh -c 'echo b'; echo {}",
            "# sh -c '{}'\n./sim {}",
            "grep -e {} file | sh -c 'cat'",
            "it's {} unfinished",
        ] {
            assert_eq!(reader(script), None, "{script}");
        }
    }
}
