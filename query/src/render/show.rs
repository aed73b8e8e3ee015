//! One task for people: where it stands, why it does not run, and what its attempts came to.

use std::fmt::Write;

use dhub_proto::limits::RECLAIMS_MAX;
use dhub_proto::shell::{names, word};
use dhub_proto::wire::{AttemptInfo, Shown, State, TaskInfo};
use jiff::tz::TimeZone;

use super::room::Room;
use super::table::{Cell, Column, Fit, Table, name_cell, right, state_cell};
use super::trouble::quoted;
use super::words::{
    BAD, FAINT, STRONG, counted, fate, number, paint, plain, span_ms, state, state_style, when,
};

/// Rows of each list; JSON has them all.
const ROWS_MAX: usize = 20;
/// Lines of output of the newest failed attempt.
const OUTPUT_LINES_MAX: usize = 10;

pub fn show(shown: &Shown, zone: &TimeZone, room: Room) -> String {
    let Some(task) = &shown.task else { return String::new() };
    let mut text = headline(task);
    // A task that waits does so for what is not done.
    let open: Vec<_> = shown.needs.iter().filter(|it| it.state() != State::Done).collect();
    let done = shown.needs.len() - open.len();
    let is_dead =
        |it: &&&TaskInfo| matches!(it.state(), State::Failed | State::Skipped | State::Cancelled);
    let (because, others): (Vec<_>, Vec<_>) = open.iter().partition(|it| is_dead(it));
    match task.state() {
        State::Skipped => neighbours(&mut text, "because of", &because, room.columns),
        // It has had all that it needs, whatever became of that since.
        State::Running | State::Done => {}
        _ => neighbours(&mut text, "waits for", &open, room.columns),
    }
    if task.state() == State::Skipped {
        neighbours(&mut text, "waits for", &others, room.columns);
    }
    if done > 0 {
        let _ = writeln!(text, "  {:<11} {} of its dependencies", "done are", number(done as u64));
    }
    let needed_by: Vec<_> = shown.needed_by.iter().collect();
    neighbours(&mut text, "needed by", &needed_by, room.columns);
    if !task.command.is_empty() {
        let _ = writeln!(text, "  {:<11} {}", "command", plain(&task.command));
    }
    if !task.dir.is_empty() {
        let _ = writeln!(text, "  {:<11} {}", "directory", plain(&task.dir));
    }
    for (index, entry) in task.env.iter().take(ROWS_MAX).enumerate() {
        let title = if index == 0 { "environment" } else { "" };
        let _ = writeln!(text, "  {title:<11} {}", plain(entry));
    }
    if task.env.len() > ROWS_MAX {
        let more = number((task.env.len() - ROWS_MAX) as u64);
        let _ =
            writeln!(text, "  {:<11} {}", "", paint(FAINT, format!("and {more} more (--json)")));
    }
    if task.stdin_bytes > 0 {
        let _ = writeln!(text, "  {:<11} {}", "reads", counted(task.stdin_bytes, "byte"));
    }
    attempts(&mut text, &shown.attempts, zone, room.columns);
    if let Some(advice) = kept(shown, task).or_else(|| advice(task, &open)) {
        let _ = writeln!(text, "  -> {advice}");
    }
    text
}

fn headline(task: &TaskInfo) -> String {
    let mut text = format!(
        "{}   {}   priority {}{}   retries {}",
        paint(STRONG, plain(&task.name)),
        paint(state_style(task.state()), state(task.state())),
        task.priority,
        urgent(task),
        task.retries,
    );
    if task.time_limit_ms > 0 {
        let _ = write!(text, "   time limit {}", span_ms(task.time_limit_ms));
    }
    let fate = fate(task);
    if !fate.is_empty() {
        let _ = write!(text, "   {fate}");
    }
    text.push('\n');
    text
}

/// Why its own priority is not what counts.
fn urgent(task: &TaskInfo) -> String {
    match task.effective_priority {
        Some(effective) if task.priority_of.is_empty() => format!(", {effective} as it is needed"),
        Some(effective) => {
            format!(", {effective} since it is needed by {}", plain(&task.priority_of))
        }
        None => String::new(),
    }
}

/// Of what needs a task that is lost.
const DAMAGED: &str = "nobody knows what that was to run: add both again under other names";

/// Who is to have it, or may not, because of a task that is tried alone.
fn kept(shown: &Shown, task: &TaskInfo) -> Option<String> {
    let (by, lone) = (plain(&shown.room_by), plain(&shown.room_for));
    if task.state() != State::Ready {
        return None;
    }
    if task.reclaims + 1 < RECLAIMS_MAX {
        let asks = "the next worker that asks may get it: dquery workers";
        return (!by.is_empty()).then(|| format!("{asks} (not {by}, which makes room for {lone})"));
    }
    let who = match (shown.room_for == task.name, &*by) {
        (true, "") => "; none makes room for it yet".to_owned(),
        (true, by) => format!("; {by} makes room for it, and gets nothing until it runs nothing"),
        (false, _) => String::new(),
    };
    let lost = task.reclaims;
    Some(format!(
        "{lost} workers in a row were lost with it: the next one tries it alone, when it runs nothing else{who}"
    ))
}

/// What to do so that it goes on.
fn advice(task: &TaskInfo, open: &[&TaskInfo]) -> Option<String> {
    let name = quoted(&task.name);
    let with = |state| open.iter().find(|it| it.state() == state).map(|it| it.name.as_str());
    let cause = || with(State::Failed).or_else(|| with(State::Cancelled));
    match task.state() {
        State::Missing => Some(format!("nobody added it: dquery create {}", plain(&name))),
        State::Waiting | State::Running if task.held => {
            Some(format!("it is held, until: dquery unhold {}", plain(&name)))
        }
        State::Ready => Some("the next worker that asks may get it: dquery workers".to_owned()),
        State::Waiting if task.retry_in_ms > 0 => {
            Some(format!("at once: dquery retry {}", plain(&name)))
        }
        State::Waiting => with(State::Missing).map(|name| {
            format!("nobody added {}: dquery create {}", plain(&word(name)), plain(&quoted(name)))
        }),
        State::Failed if task.damaged => Some(
            "nobody knows what it was to run: add it again under another name, and what needs it"
                .to_owned(),
        ),
        State::Failed => Some(format!("dquery logs {0}   dquery retry {0}", plain(&name))),
        // The hub refuses it without what it needs.
        State::Cancelled => Some(match (cause(), with(State::Skipped)) {
            _ if open.iter().any(|it| it.damaged) => DAMAGED.to_owned(),
            (Some(cause), _) => format!("dquery retry {}", plain(&names(&[cause, &task.name]))),
            (None, Some(skipped)) => format!("dquery show {}", plain(&quoted(skipped))),
            (None, None) => format!("dquery retry {}", plain(&name)),
        }),
        State::Skipped if open.iter().any(|it| it.damaged) => Some(DAMAGED.to_owned()),
        // This one follows. What was cancelled may need another one of that kind.
        State::Skipped => with(State::Failed)
            .map(|cause| format!("dquery retry {}", plain(&quoted(cause))))
            .or_else(|| {
                let cause = quoted(with(State::Cancelled)?);
                Some(format!("dquery retry {0}   what it needs: dquery show {0}", plain(&cause)))
            })
            .or_else(|| {
                with(State::Skipped).map(|it| format!("dquery show {}", plain(&quoted(it))))
            }),
        State::Unspecified | State::Running | State::Done => None,
    }
}

fn neighbours(text: &mut String, title: &str, tasks: &[&TaskInfo], room: Option<usize>) {
    const COLUMNS: [Column; 4] = [
        Column::new("", Fit::Whole),
        Column::new("", Fit::Middle),
        Column::new("", Fit::Whole),
        Column::new("", Fit::End),
    ];
    let mut table = Table::without_header(&COLUMNS);
    for (index, task) in tasks.iter().take(ROWS_MAX).enumerate() {
        let about = match task.state() {
            State::Missing => "nobody added it".to_owned(),
            _ => fate(task),
        };
        table.row([
            title_cell(if index == 0 { title } else { "" }),
            name_cell(&task.name),
            state_cell(task.state()),
            Cell::new(about),
        ]);
    }
    text.push_str(&table.page("  ", room));
    if tasks.len() > ROWS_MAX {
        let more = number((tasks.len() - ROWS_MAX) as u64);
        let _ =
            writeln!(text, "  {:<11} {}", "", paint(FAINT, format!("and {more} more (--json)")));
    }
}

/// The width of the other titles; the table adds its own two spaces.
fn title_cell(title: &str) -> Cell {
    Cell::new(format!("{title:<10}"))
}

fn attempts(text: &mut String, attempts: &[AttemptInfo], zone: &TimeZone, room: Option<usize>) {
    const COLUMNS: [Column; 7] = [
        Column::new("", Fit::Whole),
        Column::new("", Fit::Whole),
        Column::new("", Fit::Whole),
        Column::new("", Fit::Middle),
        Column::new("", Fit::Whole),
        Column::new("", Fit::Whole),
        Column::new("", Fit::End),
    ];
    let mut table = Table::without_header(&COLUMNS);
    let first = attempts.len().saturating_sub(ROWS_MAX);
    for (index, attempt) in attempts[first..].iter().enumerate() {
        table.row([
            title_cell(if index == 0 { "attempts" } else { "" }),
            right(attempt.attempt),
            name_cell(&attempt.outcome),
            Cell::new(place(attempt)),
            Cell::new(when(attempt.started_unix_ms, zone)),
            Cell::new(match attempt.ended_unix_ms {
                0 => String::new(),
                ended => format!("for {}", span_ms(ended.saturating_sub(attempt.started_unix_ms))),
            }),
            Cell::new(ending(attempt)),
        ]);
    }
    text.push_str(&table.page("  ", room));
    if let Some(last) = attempts.last()
        && last.outcome == "failed"
    {
        output(text, &last.output);
    }
    if let Some(last) = attempts.last()
        && !last.output_file.is_empty()
    {
        let (file, host) = (plain(&last.output_file), plain(&last.host));
        let _ = writeln!(text, "    {}", paint(FAINT, format!("all of it: {file} on {host}")));
    }
}

/// exit 143: timed out after 10 m
fn ending(attempt: &AttemptInfo) -> String {
    let end = match (attempt.exit_code, attempt.reason.as_str()) {
        (0, reason) => plain(reason).into_owned(),
        (code, "") => format!("exit {code}"),
        (code, reason) => format!("exit {code}: {}", plain(reason)),
    };
    let left = match attempt.left_behind {
        0 => String::new(),
        1 => "1 process that it left behind was ended".to_owned(),
        count => format!("{} processes that it left behind were ended", number(count.into())),
    };
    let parts = [end, left].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("; ")
}

/// The name of a kworker begins with that of its machine. With whose key, if not with the owner's.
fn place(attempt: &AttemptInfo) -> String {
    let (worker, host, key) = (plain(&attempt.worker), plain(&attempt.host), plain(&attempt.key));
    let key = if key.is_empty() { String::new() } else { format!(", key {key}") };
    match worker.starts_with(&*host) {
        true => format!("on {worker}{key}"),
        false => format!("on {worker} ({host}){key}"),
    }
}

/// The end of what a failed attempt wrote is most often the reason.
fn output(text: &mut String, output: &[u8]) {
    let output = String::from_utf8_lossy(output);
    let lines: Vec<_> = output.lines().collect();
    for line in &lines[lines.len().saturating_sub(OUTPUT_LINES_MAX)..] {
        let _ = writeln!(text, "    {} {}", paint(BAD, "|"), plain(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, state: State) -> TaskInfo {
        TaskInfo { name: name.into(), state: state as i32, ..TaskInfo::default() }
    }

    #[test]
    fn a_task_says_why_it_does_not_run() {
        let sim = TaskInfo {
            worker: "node12".into(),
            exit_code: 137,
            failures: 3,
            ..task("sim-0031", State::Failed)
        };
        let late = TaskInfo {
            worker: "node13".into(),
            run_ms: 120_000,
            ..task("sim-0044", State::Running)
        };
        let shown = Shown {
            task: Some(TaskInfo {
                retries: 2,
                command: "./merge out/12.*".into(),
                dir: "/scratch".into(),
                env: vec!["A=1".into(), "B=\n".into()],
                stdin_bytes: 1_200,
                ..task("merge-12", State::Waiting)
            }),
            needs: vec![task("sim-0001", State::Done), sim, late, task("prep", State::Missing)],
            needed_by: vec![task("report", State::Waiting)],
            attempts: vec![AttemptInfo {
                attempt: 1,
                worker: "node12".into(),
                started_unix_ms: 1_000_000,
                ended_unix_ms: 1_062_000,
                outcome: "failed".into(),
                exit_code: 2,
                reason: String::new(),
                output: b"reading\nno such file\n".to_vec(),
                host: "rack 3".into(),
                output_file: "/scratch/merge-12.1.out".into(),
                left_behind: 0,
                key: "lab".into(),
            }],
            ..Shown::default()
        };
        let text = anstream::adapter::strip_str(&show(&shown, &TimeZone::UTC, Room::default()))
            .to_string();
        let expected = "\
merge-12   waiting   priority 0   retries 2
  waits for   sim-0031  failed   exit 137 on node12, 3 failures
              sim-0044  running  on node13 for 2 m
              prep      missing  nobody added it
  done are    1 of its dependencies
  needed by   report  waiting
  command     ./merge out/12.*
  directory   /scratch
  environment A=1
              B=\\n
  reads       1,200 bytes
  attempts    1  failed  on node12 (rack 3), key lab  1970-01-01 00:16:40  for 1 m 2 s  exit 2
    | reading
    | no such file
    all of it: /scratch/merge-12.1.out on rack 3
  -> nobody added prep: dquery create prep
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_attempt_ends_with_a_code_a_reason_or_both() {
        let of = |exit_code, reason: &str| {
            let reason = reason.into();
            ending(&AttemptInfo { exit_code, reason, ..AttemptInfo::default() })
        };
        assert_eq!(of(0, ""), "");
        assert_eq!(of(0, "its worker went silent"), "its worker went silent");
        assert_eq!(of(3, ""), "exit 3");
        assert_eq!(of(143, "timed out after 10 m"), "exit 143: timed out after 10 m");
        let left = |exit_code, left_behind| {
            ending(&AttemptInfo { exit_code, left_behind, ..AttemptInfo::default() })
        };
        assert_eq!(left(0, 1), "1 process that it left behind was ended");
        assert_eq!(left(1, 2), "exit 1; 2 processes that it left behind were ended");
    }

    #[test]
    fn who_makes_room_is_named() {
        let says = |name: &str, reclaims, by: &str| {
            let task = TaskInfo { reclaims, ..task(name, State::Ready) };
            let (room_for, room_by) = ("pill".into(), by.into());
            let shown = Shown { task: Some(task), room_for, room_by, ..Shown::default() };
            let text = show(&shown, &TimeZone::UTC, Room::default());
            text.split_once("-> ").expect("advice").1.trim_end().to_owned()
        };
        let lost = "4 workers in a row were lost with it: the next one tries it alone, when it runs nothing else";
        let makes = "; w1 makes room for it, and gets nothing until it runs nothing";
        assert_eq!(says("pill", 4, "w1"), format!("{lost}{makes}"));
        assert_eq!(says("pill", 4, ""), format!("{lost}; none makes room for it yet"));
        assert_eq!(says("other", 4, "w1"), lost);
        let asks = "the next worker that asks may get it: dquery workers";
        assert_eq!(says("bulk", 0, "w1"), format!("{asks} (not w1, which makes room for pill)"));
        assert_eq!(says("bulk", 0, ""), asks);
    }

    #[test]
    fn there_is_a_way_on() {
        let says = |of: TaskInfo, needs: &[TaskInfo], advice: &str| {
            let shown = Shown { task: Some(of), needs: needs.to_vec(), ..Shown::default() };
            let text = show(&shown, &TimeZone::UTC, Room::default());
            assert!(text.ends_with(&format!("  -> {advice}\n")), "{advice}: {text}");
        };
        let failed = || [task("a", State::Done), task("b c", State::Failed)];
        says(task("x", State::Skipped), &failed(), "dquery retry 'b c'");
        says(task("x", State::Skipped), &[task("y", State::Skipped)], "dquery show y");
        let cancelled = |name| task(name, State::Cancelled);
        let shows = "dquery retry y   what it needs: dquery show y";
        says(task("x", State::Skipped), &[cancelled("y")], shows);
        says(cancelled("x"), &[], "dquery retry x");
        says(cancelled("x"), &[cancelled("y")], "dquery retry y x");
        says(cancelled("x"), &failed(), "dquery retry 'b c' x");
        says(cancelled("x"), &[cancelled("-y")], "dquery retry -- -y x");
        says(cancelled("x"), &[task("y", State::Skipped)], "dquery show y");
        // Pasted without the dashes, this would be for all of them.
        let option = "dquery logs -- --failed   dquery retry -- --failed";
        says(task("--failed", State::Failed), &[], option);
        let held = TaskInfo { held: true, ..task("--held", State::Waiting) };
        says(held, &[], "it is held, until: dquery unhold -- --held");
        says(task("x", State::Failed), &[], "dquery logs x   dquery retry x");
        let damaged = |name| TaskInfo { damaged: true, ..task(name, State::Failed) };
        let again =
            "nobody knows what it was to run: add it again under another name, and what needs it";
        says(damaged("x"), &[], again);
        let both = "nobody knows what that was to run: add both again under other names";
        says(task("x", State::Skipped), &[damaged("y")], both);
        says(task("x", State::Missing), &[], "nobody added it: dquery create x");
        says(task("x", State::Ready), &[], "the next worker that asks may get it: dquery workers");
        let held = TaskInfo { held: true, ..task("x", State::Waiting) };
        says(held, &[], "it is held, until: dquery unhold x");
        let later = TaskInfo { retry_in_ms: 4_000, ..task("x", State::Waiting) };
        says(later, &[], "at once: dquery retry x");
        let shown = Shown { task: Some(task("x", State::Skipped)), ..Shown::default() };
        assert!(!show(&shown, &TimeZone::UTC, Room::default()).contains("->"));
    }
}
