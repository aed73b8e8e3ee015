//! Text with colours as the other verbs print it, as lines of pieces; what is too long goes on in
//! the next line.

use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar;

use super::super::palette::Palette;
use super::text::Pieces;
use crate::render::cut::width;

/// Nothing that others wrote is in it but what `plain` has let through, so every escape is a style.
pub fn lines(text: &str, room: usize, palette: Palette) -> Vec<Pieces> {
    // Every line has room for a character, also a wide one.
    let room = room.max(2);
    let mut style = Style::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut pieces = Pieces::new();
        let mut taken = 0;
        for (index, part) in line.split("\x1b[").enumerate() {
            let text = match part.split_once('m') {
                Some((codes, text)) if index > 0 => {
                    style = styled(style, codes, palette);
                    text
                }
                _ => part,
            };
            let mut rest = text;
            while let Some(at) = end_of_line(rest, room.saturating_sub(taken)) {
                pieces.push((rest[..at].to_owned(), style));
                lines.push(std::mem::take(&mut pieces));
                (rest, taken) = (&rest[at..], 0);
            }
            taken += width(rest);
            pieces.push((rest.to_owned(), style));
        }
        lines.push(pieces);
    }
    lines
}

/// Where a text is to be broken, if it does not fit.
fn end_of_line(text: &str, room: usize) -> Option<usize> {
    let mut taken = 0;
    let over = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > room
    });
    over.map(|(at, _)| at)
}

fn styled(style: Style, codes: &str, palette: Palette) -> Style {
    let numbers: Vec<u8> = codes.split(';').map(|code| code.parse().unwrap_or(0)).collect();
    match numbers.as_slice() {
        // Of 256 colours, as tables have them.
        &[38, 5, number] => coloured(style, number, palette),
        _ => numbers.iter().fold(style, |style, &number| match number {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 if palette.colours => style.add_modifier(Modifier::DIM),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            30..=37 => coloured(style, number - 30, palette),
            39 => Style { fg: None, ..style },
            _ => style,
        }),
    }
}

fn coloured(style: Style, number: u8, palette: Palette) -> Style {
    match palette.colours {
        true => style.fg(Color::Indexed(number)),
        false => style,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Palette = Palette { colours: false };
    const COLOURED: Palette = Palette { colours: true };

    fn text(lines: Vec<Pieces>) -> Vec<String> {
        lines.iter().map(|pieces| pieces.iter().map(|(text, _)| &**text).collect()).collect()
    }

    #[test]
    fn styles_last_until_they_end() {
        let lines = lines("a \x1b[31mbad\x1b[0m\n\x1b[1mb\x1b[38;5;1mc", 20, COLOURED);
        let red = Style::new().fg(Color::Indexed(1));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        assert_eq!(lines[0][1], ("bad".to_owned(), red));
        assert_eq!(lines[0][2], (String::new(), Style::new()));
        assert_eq!(lines[1][1..], [("b".to_owned(), bold), ("c".to_owned(), bold.patch(red))]);
        assert_eq!(super::lines("\x1b[31mbad", 20, PLAIN)[0][1].1, Style::new());
    }

    #[test]
    fn long_lines_are_broken_where_they_leave_the_screen() {
        assert_eq!(text(lines("abcdefgh\n\nij", 3, PLAIN)), ["abc", "def", "gh", "", "ij"]);
        assert_eq!(text(lines("ab\x1b[1mcd", 3, PLAIN)), ["abc", "d"]);
        assert_eq!(text(lines("数数数", 3, PLAIN)), ["数", "数", "数"]);
        assert_eq!(text(lines("abc\x1b[1md", 3, PLAIN)), ["abc", "d"]);
        assert_eq!(text(lines("数a", 1, PLAIN)), ["数", "a"], "none is too narrow to end");
        assert_eq!(text(lines("abc", 0, PLAIN)), ["ab", "c"]);
    }
}
