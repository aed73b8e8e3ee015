//! What all keys do.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::state::State;
use super::text::{line, put};
use crate::render::words::STRONG;

const HELP: &[(&str, &str)] = &[
    ("1 2 Tab", "tasks, workers"),
    ("↑ ↓ j k", "up, down"),
    ("PgUp PgDn", "a page up, down"),
    ("Home End g G", "first, last"),
    ("Enter", "why a task waits, its attempts and output; the tasks of a worker"),
    ("Esc", "back to the table; there: all tasks again"),
    ("/", "only tasks with that in their name; * any text, ? any character"),
    ("f", "only tasks in a state, which the next key chooses"),
    ("s S", "sort by the next column; the other way round"),
    ("c r", "cancel the task; retry it; after a question"),
    ("h p", "hold the task, or no more; change its priority"),
    ("d x", "let the worker drain, stop; after a question"),
    ("q Ctrl-C", "quit; the run goes on"),
    ("order", "sorted are the first 1,000 tasks that are not filtered out"),
    ("graph", "tasks done in each second since this was started"),
];

pub fn draw(state: &mut State, area: Rect, buffer: &mut Buffer) {
    let strong = state.palette.style(STRONG);
    let shown = state.help.fit(HELP.len(), area.height.into());
    for (number, (keys, what)) in HELP[shown].iter().enumerate() {
        let place = line(area, number as u16);
        put(buffer, place, 1, keys, strong);
        put(buffer, place, 15, what, Style::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::cut::width;

    #[test]
    fn a_usual_window_has_room_for_all_of_it() {
        for (keys, what) in HELP {
            assert!(width(keys) < 14 && width(what) <= 65, "{keys} {what}");
        }
    }
}
