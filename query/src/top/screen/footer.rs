//! The last lines: a question or what came of the last one, and the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::super::filter::STATES;
use super::super::state::{Mode, State, View};
use super::text::{Pieces, put, put_all};
use crate::render::cut::{self, width};
use crate::render::words::{BAD, FAINT, ODD, plain, state as state_word};

/// So much of a name is seen before anything else.
const NAME_MIN: usize = 20;

/// The place of the cursor, while something is typed.
pub fn draw(state: &State, message: Rect, keys: Rect, buffer: &mut Buffer) -> Option<Position> {
    // In a low window what is to be said hides the keys.
    let place = if message.height > 0 { message } else { keys };
    let strong = state.palette.style(ODD).add_modifier(Modifier::BOLD);
    let room = usize::from(place.width);
    let mut cursor = None;
    let said = match &state.mode {
        Mode::Confirm(deed) => {
            let verb = deed.verb();
            let tail = format!("? {}", deed.consequence());
            // What the answer leads to comes first, then the name, of which both ends are seen.
            let answers = if message.height > 0 { "" } else { "  y/n" };
            let least = width(verb) + width(answers) + 3;
            let left = room.saturating_sub(least);
            let of_name = left.saturating_sub(width(&tail)).max(NAME_MIN).min(left);
            let name = cut::middle(&plain(deed.name()), of_name).into_owned();
            let begin = format!("{verb} '{name}'");
            let tail =
                cut::end(&tail, room.saturating_sub(width(&begin) + width(answers))).into_owned();
            put_all(buffer, place, 0, &vec![(begin + &tail + answers, strong)]);
            true
        }
        Mode::Filter(text) => {
            let shown = plain(text);
            // The end, where it is typed.
            let over = (width(&shown) + 7).saturating_sub(room);
            let shown: String = shown.chars().skip(over).collect();
            let column = put(buffer, place, 0, "name: ", strong);
            let column = put(buffer, place, column, &shown, Style::new());
            let column = column.min(place.width.saturating_sub(1));
            cursor = Some(Position::new(place.x + column, place.y));
            true
        }
        Mode::Priority { name, text } => {
            let question = format!(": {text}");
            let least = width("priority of ''") + width(&question) + 1;
            let name = cut::middle(&plain(name), room.saturating_sub(least)).into_owned();
            let question = format!("priority of '{name}'{question}");
            let column = put(buffer, place, 0, &question, strong);
            let column = column.min(place.width.saturating_sub(1));
            cursor = Some(Position::new(place.x + column, place.y));
            true
        }
        Mode::State if message.height == 0 => {
            put_all(buffer, place, 0, &pieces(state, &state_keys(), room));
            true
        }
        Mode::Look | Mode::State | Mode::Help => match state.message() {
            Some(said) => {
                let style = if said.is_bad { state.palette.style(BAD) } else { Style::new() };
                put(buffer, place, 0, &cut::end(&said.text, room), style);
                true
            }
            None => false,
        },
    };
    if message.height > 0 || !said {
        put_all(buffer, keys, 0, &pieces(state, &keys_of(state), keys.width.into()));
    }
    cursor
}

/// As many as fit are seen, so the most needed come first.
fn keys_of(state: &State) -> Vec<(String, &'static str)> {
    let own = |keys: &[(&str, &'static str)]| {
        keys.iter().map(|&(key, what)| (key.to_owned(), what)).collect::<Vec<_>>()
    };
    match (&state.mode, &state.detail, state.view) {
        (Mode::Confirm(_), ..) => own(&[("y", "yes"), ("any other key", "no")]),
        (Mode::Filter(_), ..) => own(&[
            ("Enter", "look for it"),
            ("Esc", "leave"),
            ("*", "any text"),
            ("?", "any character"),
        ]),
        (Mode::Priority { .. }, ..) => {
            own(&[("Enter", "set it"), ("Esc", "leave"), ("", "larger goes first")])
        }
        (Mode::State, ..) => state_keys(),
        (Mode::Help, ..) => own(&[("Esc", "back"), ("↑↓", "scroll"), ("q", "quit")]),
        (_, Some(_), _) => own(&[
            ("q", "quit"),
            ("Esc", "back"),
            ("↑↓", "scroll"),
            ("c", "cancel"),
            ("r", "retry"),
            ("h", "hold"),
            ("p", "priority"),
            ("?", "help"),
        ]),
        (_, None, View::Tasks) => own(&[
            ("q", "quit"),
            ("?", "help"),
            ("/", "name"),
            ("f", "state"),
            ("Enter", "open"),
            ("s", "sort"),
            ("c", "cancel"),
            ("r", "retry"),
            ("h", "hold"),
        ]),
        (_, None, View::Workers) => own(&[
            ("q", "quit"),
            ("?", "help"),
            ("Enter", "its tasks"),
            ("d", "drain"),
            ("x", "stop"),
            ("s", "sort"),
            ("Tab", "tasks"),
        ]),
    }
}

fn state_keys() -> Vec<(String, &'static str)> {
    let all = std::iter::once(("a".to_owned(), "all"));
    let states = STATES.iter().map(|&(key, of)| (key.to_string(), state_word(of)));
    all.chain(states).chain([("h".to_owned(), "held")]).collect()
}

/// Only whole ones.
fn pieces(state: &State, keys: &[(String, &'static str)], room: usize) -> Pieces {
    let mut pieces = Vec::new();
    let mut taken = 0;
    for (index, (key, what)) in keys.iter().enumerate() {
        let gap = if index == 0 { "" } else { "  " };
        taken += width(gap) + width(key) + 1 + width(what);
        if taken > room {
            break;
        }
        pieces.push((gap.to_owned(), Style::new()));
        pieces.push((key.clone(), Style::new().add_modifier(Modifier::BOLD)));
        pieces.push((format!(" {what}"), state.palette.style(FAINT)));
    }
    pieces
}
