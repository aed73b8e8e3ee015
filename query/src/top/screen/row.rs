//! A row of a table: each cell in the room of its column.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::put;
use crate::render::cut::{self, width};

/// How what does not fit is cut, and on which side the rest stands.
pub enum Fit {
    /// Loses its middle.
    Name,
    /// Loses its end.
    Text,
    /// On the right.
    Number,
}

pub fn row<C: Copy>(
    buffer: &mut Buffer,
    place: Rect,
    columns: &[(C, &'static str, u16)],
    fit: impl Fn(C) -> Fit,
    cell: impl Fn(C) -> (String, Style),
) {
    let mut begin = 0;
    for &(column, _, room) in columns {
        let ((text, style), fit) = (cell(column), fit(column));
        let text = match fit {
            Fit::Name => cut::middle(&text, room.into()),
            Fit::Text | Fit::Number => cut::end(&text, room.into()),
        };
        let shift = match fit {
            Fit::Name | Fit::Text => 0,
            Fit::Number => usize::from(room) - width(&text),
        };
        put(buffer, place, begin + shift as u16, &text, style);
        begin += room + 2;
    }
}
