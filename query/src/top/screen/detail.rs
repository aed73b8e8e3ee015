//! One task, over the whole table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::state::State;
use super::ansi;
use super::text::{line, put_all};

pub fn draw(state: &mut State, area: Rect, buffer: &mut Buffer) {
    let Some(detail) = &mut state.detail else { return };
    let text = detail.text(&state.zone, area.width.into());
    let lines = ansi::lines(&text, area.width.into(), state.palette);
    let shown = detail.pager.fit(lines.len(), area.height.into());
    for (number, pieces) in lines[shown].iter().enumerate() {
        put_all(buffer, line(area, number as u16), 0, pieces);
    }
}
