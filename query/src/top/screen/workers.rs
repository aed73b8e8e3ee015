//! The table of workers.

use dhub_proto::wire::WorkerInfo;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::state::State;
use super::row::{Fit, row};
use super::text::{line, put};
use crate::render::words::{BAD, FAINT, ODD, number, plain, span_ms};

#[derive(Clone, Copy, PartialEq)]
enum Column {
    Name,
    State,
    Slots,
    Runs,
    Done,
    Failed,
    Cpu,
    Memory,
    Seen,
    Host,
    Note,
}

impl Column {
    fn fit(self) -> Fit {
        match self {
            Self::Name | Self::Host => Fit::Name,
            Self::State | Self::Note => Fit::Text,
            _ => Fit::Number,
        }
    }
}

/// Those that have room, and how wide they are.
fn columns(room: u16) -> Vec<(Column, &'static str, u16)> {
    use Column::*;
    let mut fixed = vec![(State, "STATE", 8), (Runs, "RUNS", 5)];
    if room >= 50 {
        fixed.extend([(Done, "DONE", 7), (Failed, "FAILED", 6)]);
    }
    if room >= 72 {
        fixed.insert(1, (Slots, "SLOTS", 5));
        fixed.extend([(Cpu, "CPU", 5), (Seen, "SEEN", 8)]);
    }
    if room >= 100 {
        fixed.insert(6, (Memory, "MEM", 5));
        fixed.push((Host, "HOST", 16));
    }
    let taken: u16 = fixed.iter().map(|(_, _, width)| width + 2).sum();
    let free = room.saturating_sub(taken);
    let note = if room >= 100 { (free / 2).saturating_sub(2) } else { 0 };
    let mut columns = vec![(Name, "WORKER", free - note)];
    columns.extend(fixed);
    if note > 0 {
        columns[0].2 = columns[0].2.saturating_sub(2);
        columns.push((Note, "NOTE", note));
    }
    columns
}

pub fn draw(state: &mut State, area: Rect, buffer: &mut Buffer) {
    let columns = columns(area.width);
    let faint = state.palette.style(FAINT);
    let titles = |column| columns.iter().find(|it| it.0 == column).map_or("", |it| it.1);
    row(buffer, line(area, 0), &columns, Column::fit, |column| (titles(column).to_owned(), faint));
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    state.workers.fit(rows.height.into());
    if state.workers.visible().is_empty() {
        put(
            buffer,
            line(rows, 0),
            0,
            "no workers yet      start a pool with: kworker -j SLOTS",
            faint,
        );
    }
    for (number, worker) in state.workers.visible().iter().enumerate() {
        let place = line(rows, number as u16);
        row(buffer, place, &columns, Column::fit, |column| cell(state, worker, column));
        if number == state.workers.line() {
            buffer.set_style(place, state.palette.chosen());
        }
    }
}

fn cell(state: &State, worker: &WorkerInfo, column: Column) -> (String, Style) {
    let sample = worker.sample.as_ref();
    let text = match column {
        Column::Name => plain(&worker.name).into_owned(),
        Column::State => {
            let standing = state.workers.standing(worker);
            let style = match standing {
                "alive" => Style::new(),
                "lost" => state.palette.style(BAD),
                _ => state.palette.style(ODD),
            };
            return (standing.to_owned(), style);
        }
        Column::Slots => sample.map(|it| number(it.slots.into())).unwrap_or_default(),
        Column::Runs => number(worker.started),
        Column::Done => number(worker.done),
        Column::Failed => number(worker.failed),
        Column::Cpu => sample.map(|it| format!("{:.0} %", it.cpu_percent)).unwrap_or_default(),
        Column::Memory => sample
            .filter(|it| it.memory_total_bytes > 0)
            .map(|it| it.memory_used_bytes as f64 * 100.0 / it.memory_total_bytes as f64)
            .map(|percent| format!("{percent:.0} %"))
            .unwrap_or_default(),
        Column::Seen => span_ms(worker.last_seen_ago_ms),
        Column::Host => plain(&worker.host).into_owned(),
        Column::Note => plain(&worker.note).into_owned(),
    };
    (text, Style::new())
}
