//! The table of tasks.

use dhub_proto::wire::{self, TaskInfo};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::state::State;
use super::row::{Fit, row};
use super::text::{line, put};
use crate::render::words::{FAINT, ODD, plain, span, span_ms, state as state_word, state_style};

#[derive(Clone, Copy, PartialEq)]
pub enum Column {
    Name,
    State,
    Tries,
    Time,
    Worker,
    ExitCode,
    Why,
}

impl Column {
    fn fit(self) -> Fit {
        match self {
            Self::Name | Self::Worker => Fit::Name,
            Self::Tries | Self::ExitCode | Self::Time => Fit::Number,
            Self::State | Self::Why => Fit::Text,
        }
    }
}

/// Those that have room, and how wide they are.
fn columns(room: u16) -> Vec<(Column, &'static str, u16)> {
    use Column::*;
    let fixed: &[(Column, &str, u16)] = match room {
        0..30 => &[(State, "STATE", 9)],
        30..50 => &[(State, "STATE", 9), (Time, "TIME", 9)],
        50..72 => &[(State, "STATE", 9), (Time, "TIME", 9), (ExitCode, "EXIT", 4)],
        72..100 => &[
            (State, "STATE", 9),
            (Tries, "TRY", 3),
            (Time, "TIME", 9),
            (Worker, "WORKER", 15),
            (ExitCode, "EXIT", 4),
        ],
        100.. => &[
            (State, "STATE", 9),
            (Tries, "TRY", 3),
            (Time, "TIME", 9),
            (Worker, "WORKER", 20),
            (ExitCode, "EXIT", 4),
            (Why, "WHY", 0),
        ],
    };
    let taken: u16 = fixed.iter().map(|(_, _, width)| width + 2).sum();
    let free = room.saturating_sub(taken);
    let why = if room >= 100 { free / 2 } else { 0 };
    let mut columns = vec![(Name, "TASK", free - why)];
    columns.extend(fixed.iter().map(|&(column, title, width)| match column {
        Why => (Why, title, why),
        _ => (column, title, width),
    }));
    columns
}

pub fn draw(state: &mut State, area: Rect, buffer: &mut Buffer) {
    let columns = columns(area.width);
    let faint = state.palette.style(FAINT);
    let titles = |column| columns.iter().find(|it| it.0 == column).map_or("", |it| it.1);
    row(buffer, line(area, 0), &columns, Column::fit, |column| (titles(column).to_owned(), faint));
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    state.window.fit(rows.height.into());
    if state.window.visible().is_empty() {
        put(buffer, line(rows, 0), 0, nothing(state), faint);
    }
    for (number, task) in state.window.visible().iter().enumerate() {
        let place = line(rows, number as u16);
        row(buffer, place, &columns, Column::fit, |column| cell(state, task, column));
        if number == state.window.line() {
            buffer.set_style(place, state.palette.chosen());
        }
    }
}

fn nothing(state: &State) -> &'static str {
    match state.window.is_read() {
        false => "asking the hub …",
        true if !state.window.filter().is_empty() => "there is no such task      Esc: all tasks",
        true => "no task was added yet",
    }
}

fn cell(state: &State, task: &TaskInfo, column: Column) -> (String, Style) {
    let ran = task.attempt > 0;
    let text = match column {
        Column::Name => plain(&task.name).into_owned(),
        Column::State if task.held && task.state() != wire::State::Running => {
            return ("held".to_owned(), state.palette.style(ODD));
        }
        Column::State => {
            let style = state.palette.style(state_style(task.state()));
            return (state_word(task.state()).to_owned(), style);
        }
        Column::Tries if ran => task.attempt.to_string(),
        Column::Time if ran => span(state.window.run_time(task, state.now)),
        Column::Worker => plain(&task.worker).into_owned(),
        Column::ExitCode if task.exit_code != 0 => task.exit_code.to_string(),
        Column::Why => why(task),
        Column::Tries | Column::Time | Column::ExitCode => String::new(),
    };
    (text, Style::new())
}

fn why(task: &TaskInfo) -> String {
    let reason = plain(&task.reason);
    match task.retry_in_ms {
        0 if task.state() == wire::State::Running => String::new(),
        0 => reason.into_owned(),
        ms if reason.is_empty() => format!("tries again in {}", span_ms(ms)),
        ms => format!("{reason}, tries again in {}", span_ms(ms)),
    }
}
