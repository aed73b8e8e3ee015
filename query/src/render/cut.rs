//! Text made to fit: what is left out is marked by …, and nothing is ever wrapped.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Without its middle: both ends of a name tell it from others.
pub fn middle(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let left = cells.saturating_sub(1);
    let head = bytes_upto(text.graphemes(true), left - left / 2);
    let (head, rest) = text.split_at(head);
    let tail = bytes_upto(rest.graphemes(true).rev(), left - width(head));
    let tail = &rest[rest.len() - tail..];
    Cow::Owned(if cells == 0 { String::new() } else { format!("{head}…{tail}") })
}

/// Without its end.
pub fn end(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let head = &text[..bytes_upto(text.graphemes(true), cells.saturating_sub(1))];
    Cow::Owned(if cells == 0 { String::new() } else { format!("{head}…") })
}

/// A line with colours, without its end. The colours end where they did.
pub fn line(text: &str, cells: usize) -> Cow<'_, str> {
    console::truncate_str(text, cells, "…")
}

/// Of those that fit. What combines with a character goes with it.
fn bytes_upto<'a>(graphemes: impl Iterator<Item = &'a str>, cells: usize) -> usize {
    let mut used = 0;
    let fits = |grapheme: &&str| {
        used += width(grapheme);
        used <= cells
    };
    graphemes.take_while(fits).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_name_stay() {
        assert_eq!(middle("simulation-0031", 15), "simulation-0031");
        assert_eq!(middle("simulation-0031", 9), "simu…0031");
        assert_eq!(middle("simulation-0031", 2), "s…");
        assert_eq!(middle("simulation-0031", 1), "…");
        assert_eq!(middle("simulation-0031", 0), "");
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(width("仕事"), 4);
        for cells in 0..9 {
            let cut = middle("仕事の名前", cells);
            assert!(width(&cut) <= cells, "{cut} in {cells}");
        }
        assert_eq!(end("仕事の名前", 6), "仕事…");
    }

    #[test]
    fn what_combines_stays_with_its_character() {
        let e = "e\u{301}";
        assert_eq!(end(&e.repeat(5), 3), format!("{e}{e}…"));
        assert_eq!(middle(&e.repeat(5), 3), format!("{e}…{e}"));
        assert_eq!(middle(&format!("a{e}bcde\u{301}"), 3), format!("a…{e}"));
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(end(&format!("{family}{family}x"), 4), format!("{family}…"));
    }

    #[test]
    fn a_coloured_line_keeps_its_colours() {
        assert_eq!(line("\u{1b}[31mabcdef\u{1b}[0m", 4), "\u{1b}[31mabc…\u{1b}[0m");
        assert_eq!(line("abc", 3), "abc");
    }
}
