//! Draws the state. What does not fit is left out, what matters least first.

mod ansi;
mod detail;
mod footer;
mod graph;
mod header;
mod help;
mod row;
mod tasks;
mod text;
mod workers;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::state::{Mode, State, View};

/// Below this height there is no graph, and what people are told takes the place of the keys.
const TALL: u16 = 16;

/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Layout {
    pub header: Rect,
    pub graph: Rect,
    pub tabs: Rect,
    pub table: Rect,
    pub message: Rect,
    pub keys: Rect,
}

impl Layout {
    pub fn of(area: Rect) -> Self {
        let graph = match area.height {
            0..TALL => 0,
            TALL..30 => 3,
            30..45 => 5,
            45.. => 8,
        };
        let (header, message) = match area.height {
            0..6 => (1, 0),
            6..TALL => (3, 0),
            TALL.. => (5, 1),
        };
        let mut top = area.y;
        let mut left = area.height;
        let mut take = |height: u16| {
            let height = height.min(left);
            let rect = Rect { y: top, height, ..area };
            (top, left) = (top + height, left - height);
            rect
        };
        let (header, graph, tabs) = (take(header), take(graph), take(1));
        let below = message + 1;
        let table = take(area.height.saturating_sub(header.height + graph.height + 1 + below));
        Self { header, graph, tabs, table, message: take(message), keys: take(1) }
    }
}

pub fn draw(state: &mut State, frame: &mut Frame) {
    let layout = Layout::of(frame.area());
    let buffer = frame.buffer_mut();
    header::draw(state, layout.header, buffer);
    graph::draw(state, layout.graph, buffer);
    header::tabs(state, layout.tabs, buffer);
    match (&state.mode, &state.detail, state.view) {
        (Mode::Help, ..) => help::draw(state, layout.table, buffer),
        (_, Some(_), _) => detail::draw(state, layout.table, buffer),
        (_, None, View::Tasks) => tasks::draw(state, layout.table, buffer),
        (_, None, View::Workers) => workers::draw(state, layout.table, buffer),
    }
    let cursor = footer::draw(state, layout.message, layout.keys, buffer);
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}
