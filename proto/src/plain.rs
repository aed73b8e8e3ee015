//! What others wrote, made fit for a terminal: the one place that decides what may reach one.
//!
//! Names, reasons, notes, commands and outputs are any text. Control characters (C0, DEL and C1) move
//! the cursor, ask the terminal to answer, or end a line early; bidirectional controls make a line look
//! like another one. They are shown as escapes instead.

use std::borrow::Cow;

/// Does this character do something else to a terminal than to be shown? Control characters, and
/// those that turn the direction of a line or end it.
pub fn steers_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text that stays on one line.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |_| 0)
}

/// Several lines of it.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, line_end)
}

/// Lines of this program's own, with its colours. What others wrote was made plain before; this is for
/// what was forgotten.
pub fn styled(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| line_end(rest).max(style(rest)))
}

/// JSON that a terminal may be shown: DEL, C1 and bidirectional controls are written as \u009b. Outside of
/// strings it has none of them, and in strings the others are escaped already.
pub fn json(text: &str) -> Cow<'_, str> {
    let of_json = |c: char| c >= '\u{7f}' && steers_terminal(c);
    if !text.chars().any(of_json) {
        return Cow::Borrowed(text);
    }
    let mut json = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match of_json(c) {
            true => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => json.push(c),
        }
    }
    Cow::Owned(json)
}

/// `kept`: how many bytes at the beginning of this may stay although they steer.
fn escaped(text: &str, kept: impl Fn(&str) -> usize) -> Cow<'_, str> {
    if !text.chars().any(steers_terminal) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let bytes = match kept(rest) {
            0 if steers_terminal(c) => {
                plain.extend(c.escape_default());
                rest = &rest[c.len_utf8()..];
                continue;
            }
            0 => c.len_utf8(),
            bytes => bytes,
        };
        plain.push_str(&rest[..bytes]);
        rest = &rest[bytes..];
    }
    Cow::Owned(plain)
}

/// A lone carriage return would let the rest be written over what stands there.
fn line_end(text: &str) -> usize {
    match text.as_bytes() {
        [b'\n' | b'\t', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

/// A change of colours and weights: ESC [ numbers m.
fn style(text: &str) -> usize {
    let Some(codes) = text.strip_prefix("\x1b[") else { return 0 };
    let length = codes.bytes().take_while(|it| it.is_ascii_digit() || *it == b';').count();
    if codes[length..].starts_with('m') { length + 3 } else { 0 }
}

/// What a task wrote, piece by piece: it need not be UTF-8, and a character may be cut by two pieces.
#[derive(Default)]
pub struct Pieces {
    cut: Vec<u8>,
}

impl Pieces {
    pub fn next(&mut self, bytes: &[u8]) -> String {
        self.cut.extend_from_slice(bytes);
        let whole = self.whole();
        let rest = self.cut.split_off(whole);
        let piece = std::mem::replace(&mut self.cut, rest);
        shown(&piece)
    }

    /// What is left when nothing more comes.
    pub fn end(&mut self) -> String {
        shown(&std::mem::take(&mut self.cut))
    }

    /// Up to a character, or the end of a line, that the next piece may complete.
    fn whole(&self) -> usize {
        let bytes = &self.cut;
        if bytes.last() == Some(&b'\r') {
            return bytes.len() - 1;
        }
        // A character has at most four bytes.
        for at in (bytes.len().saturating_sub(3)..bytes.len()).rev() {
            match std::str::from_utf8(&bytes[at..]) {
                Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => return at,
                _ => {}
            }
        }
        bytes.len()
    }
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&lines(chunk.valid()));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(
            plain("\u{9b}31m \u{7f} \u{202e}x\u{2069}"),
            "\\u{9b}31m \\u{7f} \\u{202e}x\\u{2069}"
        );
        assert!(matches!(plain("größe 1"), Cow::Borrowed(_)));
        assert_eq!(lines("a\tb\r\nc\rd\u{1b}[1m"), "a\tb\r\nc\\rd\\u{1b}[1m");
    }

    #[test]
    fn only_colours_are_left_to_the_programs_themselves() {
        assert_eq!(styled("\u{1b}[1;31ma\u{1b}[0m\n\u{1b}[m"), "\u{1b}[1;31ma\u{1b}[0m\n\u{1b}[m");
        for evil in
            ["\u{1b}[2J", "\u{1b}]0;x\u{7}", "\u{1b}[6n", "\u{1b}[1", "\u{1b}[?25m", "\u{9b}1m"]
        {
            let shown = styled(evil);
            assert!(!shown.chars().any(steers_terminal), "{shown}");
        }
    }

    #[test]
    fn json_stays_json_and_is_the_same_text() {
        let value = serde_json::json!({ "a\u{9b}": "\u{202e}\u{7f}\u{1b}ä\n" });
        let text = format!("{value:#}");
        let shown = json(&text);
        assert!(shown.contains("\\u009b") && shown.contains("\\u202e\\u007f"), "{shown}");
        assert!(!shown.chars().any(|c| c != '\n' && steers_terminal(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn pieces_are_cut_anywhere() {
        let bytes = "ä€😀\u{9b}\r\nend\r".as_bytes();
        let bytes = [bytes, b"\xff\xe2\x82x\xf0\x9f"].concat();
        let mut whole = Pieces::default();
        let expected = whole.next(&bytes) + &whole.end();
        assert_eq!(expected, "ä€😀\\u{9b}\r\nend\\r\\xff\\xe2\\x82x\\xf0\\x9f");
        for size in 1..bytes.len() {
            let mut pieces = Pieces::default();
            let mut text: String = bytes.chunks(size).map(|chunk| pieces.next(chunk)).collect();
            text += &pieces.end();
            assert_eq!(text, expected, "{size}");
        }
    }
}
