//! Text of a width: what others wrote is made harmless before, and nothing leaves its place.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::render::cut::{self, width};
use crate::render::words::plain;

/// Pieces of one line.
pub type Pieces = Vec<(String, Style)>;

/// Writes into a line of an area, and returns the column behind it.
pub fn put(buffer: &mut Buffer, area: Rect, column: u16, text: &str, style: Style) -> u16 {
    if area.height == 0 || column >= area.width {
        return column;
    }
    let room = usize::from(area.width - column);
    let (end, _) = buffer.set_stringn(area.x + column, area.y, plain(text), room, style);
    end - area.x
}

/// As `put_all`; where the line is too long its end says so.
pub fn put_some(buffer: &mut Buffer, area: Rect, pieces: &Pieces) {
    let mut room = usize::from(area.width);
    let mut column = 0;
    let all: usize = pieces.iter().map(|(text, _)| width(&plain(text))).sum();
    let fits = all <= room;
    for (text, style) in pieces {
        let text = plain(text);
        // One cell is kept for the mark, which the last piece that is seen ends with.
        let is_last = !fits && width(&text) >= room;
        let text = if is_last {
            cut::end(&(text.into_owned() + "…"), room).into_owned()
        } else {
            text.into_owned()
        };
        room = room.saturating_sub(width(&text));
        column = put(buffer, area, column, &text, *style);
        if is_last {
            return;
        }
    }
}

pub fn put_all(buffer: &mut Buffer, area: Rect, column: u16, pieces: &Pieces) -> u16 {
    pieces.iter().fold(column, |column, (text, style)| put(buffer, area, column, text, *style))
}

/// The line of an area with that number.
pub fn line(area: Rect, number: u16) -> Rect {
    let number = number.min(area.height);
    Rect { y: area.y + number, height: (area.height - number).min(1), ..area }
}
