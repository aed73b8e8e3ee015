//! What keeps tasks from running, and what to do about it.

use dhub_proto::shell;
use dhub_proto::wire::{Counts, Order, StatusReport, WorkerInfo};

use super::trouble::quoted;
use super::words::{BAD, ODD, counted, number, paint, plain, some_names, tasks};
use super::workers::works;

/// Lines of the status; none while nothing blocks.
pub fn lines(report: &StatusReport, counts: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    lost(&mut lines, report);
    missing(&mut lines, &report.missing, counts.missing);
    idle(&mut lines, report, counts);
    alone(&mut lines, report);
    held(&mut lines, counts.held);
    retrying(&mut lines, report.retrying);
    lines
}

/// What the hub's file had of them is damaged.
fn lost(lines: &mut Vec<String>, report: &StatusReport) {
    let (count, pages) = (report.lost, report.damaged_pages);
    if count + pages == 0 {
        return;
    }
    let are = if count == 1 { "is" } else { "are" };
    let mut title = "damage";
    if count > 0 {
        lines.push(format!(
            "  {title:<8}  {} {are} lost, as the hub's file is damaged: {}",
            paint(BAD, tasks(count)),
            some_names(&report.lost_names, count),
        ));
        title = "";
    }
    if pages > 0 {
        lines.push(format!(
            "  {title:<8}  {} of the hub's file cannot be read: what finished tasks printed may be gone, and a write there ends the hub (22)",
            paint(BAD, counted(pages, "page")),
        ));
    }
    let file = report.hub.as_ref().map_or("", |hub| &hub.file);
    let (check, rescue) = (shell::file(file), shell::rescue(file));
    lines.push(format!(
        "            -> stop the hub, then: dhub check {}   {}",
        plain(&check),
        plain(&rescue)
    ));
}

fn missing(lines: &mut Vec<String>, names: &[String], count: u64) {
    if count == 0 {
        return;
    }
    let are = if count == 1 { "is" } else { "are" };
    lines.push(format!(
        "  missing   {} that nobody added {are} waited for: {}",
        paint(ODD, counted(count, "name")),
        some_names(names, count),
    ));
    if let Some(name) = names.first() {
        let name = quoted(name);
        let name = plain(&name);
        lines.push(format!(
            "            -> add it: dquery create {name}   who waits: dquery show {name}"
        ));
    }
}

/// Nobody runs what could run.
fn idle(lines: &mut Vec<String>, report: &StatusReport, counts: &Counts) {
    let alive: Vec<_> = report.workers.iter().filter(|it| works(it)).collect();
    let leaving = |worker: &&&WorkerInfo| worker.order() != Order::Unspecified;
    let told = alive.iter().filter(leaving).count() as u64;
    if counts.ready == 0 || told < alive.len() as u64 {
        return;
    }
    let (are, them) = if counts.ready == 1 { ("is", "it") } else { ("are", "them") };
    let why = match (told, report.workers.len()) {
        (0, 0) => format!("no worker asks for {them}"),
        (0, _) => "no worker is alive".to_owned(),
        (1, _) => "the only worker was told to leave".to_owned(),
        (told, _) => format!("all {} workers were told to leave", number(told)),
    };
    lines.push(format!("  idle      {} {are} ready, and {why}", paint(ODD, tasks(counts.ready))));
    lines.push("            -> start one: kworker -j SLOTS".to_owned());
}

/// The first of what is ready waits for a worker that runs nothing.
fn alone(lines: &mut Vec<String>, report: &StatusReport) {
    let (task, by) = (plain(&report.room_for), plain(&report.room_by));
    if task.is_empty() {
        return;
    }
    let who = if by.is_empty() {
        "no worker makes room for it yet".into()
    } else {
        by + " makes room for it"
    };
    lines.push(format!("  alone     {task} waits for a worker that runs nothing else; {who}"));
}

/// A person wanted that, once.
fn held(lines: &mut Vec<String>, count: u64) {
    if count > 0 {
        let are = if count == 1 { "is" } else { "are" };
        lines.push(format!(
            "  held      {} {are} not given out until somebody says so",
            paint(ODD, tasks(count))
        ));
        lines.push(
            "            -> which: dquery list --held   go on: dquery unhold --held".to_owned(),
        );
    }
}

fn retrying(lines: &mut Vec<String>, count: u64) {
    if count > 0 {
        let (have, wait) = if count == 1 { ("has", "waits") } else { ("have", "wait") };
        lines.push(format!(
            "  retrying  {} {have} failed and {wait} for the next try",
            paint(ODD, tasks(count))
        ));
    }
}

#[cfg(test)]
mod tests {
    use dhub_proto::wire::HubInfo;

    use super::*;

    fn text(report: &StatusReport, counts: Counts) -> String {
        let text = lines(report, &counts).join("\n");
        anstream::adapter::strip_str(&text).to_string()
    }

    fn worker(lost: bool, order: Order) -> WorkerInfo {
        WorkerInfo { lost, order: order.into(), ..WorkerInfo::default() }
    }

    #[test]
    fn what_waits_for_room() {
        let with = |task: &str, by: &str| {
            let (room_for, room_by) = (task.into(), by.into());
            let report = StatusReport { room_for, room_by, ..StatusReport::default() };
            text(&report, Counts::default())
        };
        let waits = "  alone     pill waits for a worker that runs nothing else; ";
        assert_eq!(with("pill", "w1"), format!("{waits}w1 makes room for it"));
        assert_eq!(with("pill", ""), format!("{waits}no worker makes room for it yet"));
        assert_eq!(with("", ""), "");
    }

    #[test]
    fn what_is_ready_and_has_nobody_to_run_it() {
        let ready = Counts { ready: 2, ..Counts::default() };
        let with = |workers: &[WorkerInfo]| {
            let report = StatusReport { workers: workers.to_vec(), ..StatusReport::default() };
            text(&report, ready)
        };
        let (lost, alive) = (worker(true, Order::Unspecified), worker(false, Order::Unspecified));
        let (drained, stopped) = (worker(false, Order::Drain), worker(false, Order::Stop));
        assert!(with(&[]).contains("2 tasks are ready, and no worker asks for them\n"));
        assert!(with(&[]).ends_with("-> start one: kworker -j SLOTS"));
        assert!(with(std::slice::from_ref(&lost)).contains("no worker is alive"));
        // A shell loop that has ended, perhaps.
        let away = WorkerInfo { away: true, ..alive.clone() };
        assert!(with(&[away]).contains("no worker is alive"));
        assert!(with(&[lost.clone(), drained.clone()]).contains("the only worker was told"));
        assert!(with(&[drained.clone(), stopped]).contains("all 2 workers were told to leave"));
        assert_eq!(with(&[lost, drained, alive]), "");
        let report = StatusReport::default();
        assert_eq!(text(&report, Counts { running: 1, waiting: 3, ..Counts::default() }), "");
    }

    #[test]
    fn what_is_held_and_what_is_tried_again() {
        let hub = HubInfo { file: "no/my run.db".into(), ..HubInfo::default() };
        let report = StatusReport {
            lost: 2,
            lost_names: vec!["a".into(), "b".into()],
            damaged_pages: 1,
            hub: Some(hub),
            ..StatusReport::default()
        };
        let pages = "1 page of the hub's file cannot be read: what finished tasks printed may be gone, and a write there ends the hub (22)\n            \
            -> stop the hub, then: dhub check 'no/my run.db'   dhub rescue 'no/my run.db' 'no/my run.db.rescued'";
        let tasks = "  damage    2 tasks are lost, as the hub's file is damaged: a b\n";
        assert_eq!(text(&report, Counts::default()), format!("{tasks}            {pages}"));
        let report = StatusReport { lost: 0, ..report };
        assert_eq!(text(&report, Counts::default()), format!("  damage    {pages}"));
        let report = StatusReport { retrying: 1, ..StatusReport::default() };
        let expected = "  held      2 tasks are not given out until somebody says so
            -> which: dquery list --held   go on: dquery unhold --held
  retrying  1 task has failed and waits for the next try";
        assert_eq!(text(&report, Counts { held: 2, waiting: 3, ..Counts::default() }), expected);
    }

    #[test]
    fn names_that_nobody_added() {
        let report = StatusReport { missing: vec!["a b".into()], ..StatusReport::default() };
        let expected = "  missing   2 names that nobody added are waited for: a b …
            -> add it: dquery create 'a b'   who waits: dquery show 'a b'";
        assert_eq!(text(&report, Counts { missing: 2, waiting: 2, ..Counts::default() }), expected);
        let report = StatusReport { missing: vec!["--nope".into()], ..StatusReport::default() };
        let text = text(&report, Counts { missing: 1, waiting: 1, ..Counts::default() });
        assert!(text.ends_with("create -- --nope   who waits: dquery show -- --nope"), "{text}");
    }
}
