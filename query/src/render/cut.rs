//! Text made to fit: what is left out is marked by …, and nothing is ever wrapped.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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
    let head = upto(text.chars(), left - left / 2);
    let tail: String = upto(text.chars().rev(), left - width(&head)).chars().rev().collect();
    Cow::Owned(if cells == 0 { String::new() } else { format!("{head}…{tail}") })
}

/// Without its end.
pub fn end(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let head = upto(text.chars(), cells.saturating_sub(1));
    Cow::Owned(if cells == 0 { String::new() } else { head + "…" })
}

/// A line with colours, without its end. The colours end where they did.
pub fn line(text: &str, cells: usize) -> Cow<'_, str> {
    console::truncate_str(text, cells, "…")
}

fn upto(chars: impl Iterator<Item = char>, cells: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= cells
        })
        .collect()
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
    fn a_coloured_line_keeps_its_colours() {
        assert_eq!(line("\u{1b}[31mabcdef\u{1b}[0m", 4), "\u{1b}[31mabc…\u{1b}[0m");
        assert_eq!(line("abc", 3), "abc");
    }
}
