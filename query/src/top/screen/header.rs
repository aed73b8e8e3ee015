//! The run in a few lines: which hub, how far, how fast, until when, who works.

use anstyle::Style as Ansi;
use dhub_proto::wire::{Counts, HubInfo, Phase, StatusReport};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::palette::Palette;
use super::super::state::{State, View};
use super::text::{Pieces, line, put, put_all, put_some};
use crate::render::cut::{self, width};
use crate::render::progress::{self, finished, left, not_done, total};
use crate::render::words::{
    BAD, BUSY, FAINT, GOOD, ODD, STRONG, counted, number, plain, rate, some_names, span, span_ms,
};
use crate::render::workers::{busy, works};

/// Narrower than this the bar gives way to figures.
const BAR_MIN: usize = 5;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    hub(state, line(area, 0), buffer);
    let Some(report) = &state.report else { return };
    let counts = report.counts.unwrap_or_default();
    progress(state, report, &counts, line(area, 1), buffer);
    put_some(buffer, line(area, 2), &count_pieces(&counts, area.width, state.palette));
    put_some(buffer, line(area, 3), &pace(report, state.palette));
    put_some(buffer, line(area, 4), &notice(report, &counts, state.palette));
}

/// The hub, and at the right end why what follows may be old.
fn hub(state: &State, area: Rect, buffer: &mut Buffer) {
    let trouble = state.trouble().map(|text| format!(" {text} "));
    let room = usize::from(area.width);
    let taken = trouble.as_ref().map_or(0, |text| width(text) + 1).min(room);
    let left = Rect { width: (room - taken) as u16, ..area };
    let info = state.report.as_ref().and_then(|report| report.hub.as_ref());
    match info {
        None => drop(put(buffer, left, 0, "asking the hub …", Style::new())),
        Some(info) => put_some(buffer, left, &hub_pieces(info, state.palette)),
    }
    if let Some(text) = trouble {
        let style = state.palette.style(BAD).add_modifier(Modifier::REVERSED);
        let column = room.saturating_sub(width(&text)) as u16;
        put(buffer, area, column, &text, style);
    }
}

fn hub_pieces(hub: &HubInfo, palette: Palette) -> Pieces {
    let file = match hub.file.rsplit('/').next() {
        None | Some("") => "in memory",
        Some(name) => name,
    };
    let mut rest = String::new();
    let tcp = hub.endpoints.iter().find_map(|endpoint| endpoint.strip_prefix("tcp://"));
    match tcp {
        Some(address) => rest += &format!(" · {}", plain(address)),
        None if !hub.host.is_empty() => rest += &format!(" · {}", plain(&hub.host)),
        None => {}
    }
    rest += &format!(" · up {}", span_ms(hub.uptime_ms));
    if hub.commit_us > 0 {
        rest += &format!(" · commit {}", span(std::time::Duration::from_micros(hub.commit_us)));
    }
    let mut pieces = vec![(plain(file).into_owned(), palette.style(STRONG)), (rest, Style::new())];
    if hub.insecure {
        pieces.push((" · ".into(), Style::new()));
        pieces.push(("insecure".into(), palette.style(ODD)));
    }
    pieces
}

fn progress(
    state: &State,
    report: &StatusReport,
    counts: &Counts,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (total, finished) = (total(counts), finished(counts));
    if total == 0 {
        let text = "no task was added yet      add some with: dquery addfile FILE";
        put(buffer, area, 0, text, Style::new());
        return;
    }
    let percent = progress::percent(counts);
    let figures = format!(" {percent}  {} of {}", number(finished), number(total));
    let mut figures: Pieces = vec![(figures, Style::new())];
    let (end, style) = match report.phase() {
        Phase::Finished if not_done(counts) == 0 => ("all done".to_owned(), GOOD),
        Phase::Finished => ("finished, not all done".to_owned(), BAD),
        Phase::Stuck => ("stuck".to_owned(), ODD),
        _ => {
            let left = left(counts, report.done_per_s, report.done_per_s_overall);
            let end = left.and_then(|left| progress::end(left, &state.wall));
            (end.unwrap_or_default(), Ansi::new())
        }
    };
    let room = usize::from(area.width);
    let taken = width(&figures[0].0);
    if !end.is_empty() && taken + 2 + width(&end) + 2 + BAR_MIN <= room {
        figures.push((format!("  {end}"), state.palette.style(style)));
    }
    let taken: usize = figures.iter().map(|(text, _)| width(text)).sum();
    let cells = room.saturating_sub(taken + 2);
    let mut column = 0;
    if cells >= BAR_MIN {
        column = put(buffer, area, column, "[", Style::new());
        column = put_all(buffer, area, column, &bar(counts, total, cells as u64, state.palette));
        column = put(buffer, area, column, "]", Style::new());
    }
    put_all(buffer, area, column, &figures);
}

/// Finished tasks in full, running ones shaded. Without colours what is not done looks otherwise too.
fn bar(counts: &Counts, total: u64, cells: u64, palette: Palette) -> Pieces {
    let bad = if palette.colours { "█" } else { "▓" };
    let parts = [
        (counts.done, "█", GOOD),
        (counts.failed, bad, BAD),
        (counts.skipped + counts.cancelled, bad, ODD),
        (counts.running, "▒", BUSY),
        (counts.ready + counts.waiting, " ", Ansi::new()),
    ];
    let (mut pieces, mut tasks, mut filled) = (Pieces::new(), 0u64, 0);
    for (count, mark, style) in parts {
        tasks += count;
        let upto = (u128::from(tasks) * u128::from(cells) / u128::from(total.max(1))) as u64;
        pieces.push((mark.repeat(upto.saturating_sub(filled) as usize), palette.style(style)));
        filled = upto;
    }
    pieces
}

/// In a narrow window only those that there are.
fn count_pieces(counts: &Counts, room: u16, palette: Palette) -> Pieces {
    let all = [
        ("done", counts.done, GOOD),
        ("failed", counts.failed, BAD),
        ("skipped", counts.skipped, ODD),
        ("cancelled", counts.cancelled, ODD),
        ("running", counts.running, BUSY),
        ("ready", counts.ready, Ansi::new()),
        ("waiting", counts.waiting, Ansi::new()),
    ];
    // Some of those that wait or run, so not counted beside them.
    let held = match counts.held {
        0 => Pieces::new(),
        held => vec![
            ("  (held ".into(), Style::new()),
            (number(held), palette.style(ODD)),
            (")".into(), Style::new()),
        ],
    };
    let pieces = |counts: &mut dyn Iterator<Item = &(&str, u64, Ansi)>| {
        let mut pieces = Pieces::new();
        for (index, &(name, count, style)) in counts.enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            pieces.push((format!("{gap}{name} "), Style::new()));
            let style = if count > 0 { palette.style(style) } else { Style::new() };
            pieces.push((number(count), style));
        }
        pieces
    };
    let mut full = pieces(&mut all.iter());
    full.extend(held.iter().cloned());
    let taken: usize = full.iter().map(|(text, _)| width(text)).sum();
    match taken <= usize::from(room) {
        true => full,
        false => {
            let mut some = pieces(&mut all.iter().filter(|(_, count, _)| *count > 0));
            some.extend(held);
            some
        }
    }
}

fn pace(report: &StatusReport, palette: Palette) -> Pieces {
    let say = |per_s| rate(per_s).unwrap_or_else(|| "0/s".into());
    let mut pieces: Pieces = vec![(
        format!("{} now  {} overall", say(report.done_per_s), say(report.done_per_s_overall)),
        Style::new(),
    )];
    let lost: Vec<_> = report.workers.iter().filter(|it| it.lost).collect();
    let alive: Vec<_> = report.workers.iter().filter(|it| works(it)).collect();
    let more = report.workers_total.saturating_sub(report.workers.len() as u64);
    pieces.push((format!(" · {}", counted(alive.len() as u64 + more, "worker")), Style::new()));
    let samples = || alive.iter().filter_map(|it| it.sample.as_ref());
    let slots: u64 = samples().map(|it| u64::from(it.slots)).sum();
    if slots > 0 {
        let busy: u64 = alive.iter().map(|it| busy(it)).sum();
        let text = format!(", {} of {} busy", number(busy), counted(slots, "slot"));
        pieces.push((text, Style::new()));
    }
    if let Some(newest) = lost.iter().min_by_key(|it| it.last_seen_ago_ms) {
        let (count, ago) = (number(lost.len() as u64), span_ms(newest.last_seen_ago_ms));
        pieces.push((" · ".into(), Style::new()));
        pieces.push((format!("{count} lost {ago} ago"), palette.style(BAD)));
    }
    pieces
}

/// What is wrong, and what to do about it.
fn notice(report: &StatusReport, counts: &Counts, palette: Palette) -> Pieces {
    let text = if report.phase() == Phase::Stuck || counts.missing > 0 {
        let names = some_names(&report.missing, counts.missing);
        let what = counted(counts.missing, "name");
        format!("waited for, and added by nobody: {what}: {names}")
    } else if counts.ready > 0 && !report.workers.iter().any(works) {
        "nobody works: start a pool with: kworker -j SLOTS".into()
    } else if let Some(group) = report.failures.first() {
        let names = some_names(&group.names, group.count);
        let reason = plain(&group.reason);
        let text = format!("most failures: {} × {reason}  {names}", number(group.count));
        return vec![(text, palette.style(FAINT))];
    } else {
        return Pieces::new();
    };
    vec![(text, palette.style(ODD))]
}

/// The views, and which tasks the table has in which order.
pub fn tabs(state: &State, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, Style::new().add_modifier(Modifier::UNDERLINED));
    let report = state.report.as_deref();
    let tasks = report.map(|it| total(&it.counts.unwrap_or_default()));
    let workers = report.map(|it| it.workers_total.max(it.workers.len() as u64));
    let titles = [(View::Tasks, "1 Tasks", tasks), (View::Workers, "2 Workers", workers)];
    let mut column = 0;
    for (view, title, count) in titles {
        let count = count.map_or(String::new(), |count| format!(" {}", number(count)));
        let style = match view == state.view {
            true => state.palette.chosen(),
            false => Style::new(),
        };
        column = put(buffer, area, column, &format!(" {title}{count} "), style);
    }
    let about = about(state);
    let room = usize::from(area.width).saturating_sub(usize::from(column) + 1);
    let about = cut::end(&about, room);
    let column = usize::from(area.width).saturating_sub(width(&about));
    put(buffer, area, column as u16, &about, state.palette.style(BUSY));
}

fn about(state: &State) -> String {
    match state.view {
        View::Workers => state.workers.describe_sort(),
        View::Tasks => {
            let (filter, sort) = (state.window.filter().describe(), state.window.sort());
            let order = match state.window.is_cut() {
                true => format!("{}, of the first 1,000", sort.describe()),
                false => sort.describe(),
            };
            let filter = match (filter.is_empty(), state.window.count()) {
                (true, _) => filter,
                (false, None) => format!("only {filter}"),
                (false, Some(count)) => format!("only {filter} ({})", number(count as u64)),
            };
            let parts = [filter, order].into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(" · ")
        }
    }
}
