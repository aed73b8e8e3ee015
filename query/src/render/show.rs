//! One task for people: where it stands, why it does not run, and what its attempts came to.

use std::fmt::Write;

use comfy_table::Cell;
use dhub_proto::wire::{AttemptInfo, Shown, State, TaskInfo};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::table::{self, name_cell, row, state_cell};
use super::words::{
    BAD, FAINT, STRONG, counted, fate, number, paint, plain, span_ms, state, state_style,
};

/// Rows of each list; JSON has them all.
const ROWS_MAX: usize = 20;
/// Lines of output of the newest failed attempt.
const OUTPUT_LINES_MAX: usize = 10;

pub fn show(shown: &Shown, zone: &TimeZone) -> String {
    let Some(task) = &shown.task else { return String::new() };
    let mut text = headline(task);
    // A task that waits does so for what is not done.
    let open: Vec<_> = shown.needs.iter().filter(|it| it.state() != State::Done).collect();
    let done = shown.needs.len() - open.len();
    neighbours(&mut text, "waits for", &open);
    if done > 0 {
        let _ = writeln!(text, "  {:<11} {} of its dependencies", "done are", number(done as u64));
    }
    neighbours(&mut text, "needed by", &shown.needed_by.iter().collect::<Vec<_>>());
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
    attempts(&mut text, &shown.attempts, zone);
    text
}

fn headline(task: &TaskInfo) -> String {
    let mut text = format!(
        "{}   {}   priority {}   retries {}",
        paint(STRONG, plain(&task.name)),
        paint(state_style(task.state()), state(task.state())),
        task.priority,
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

fn neighbours(text: &mut String, title: &str, tasks: &[&TaskInfo]) {
    let mut table = table::table(&[]);
    for (index, task) in tasks.iter().take(ROWS_MAX).enumerate() {
        let title = if index == 0 { format!("{title:<11}") } else { " ".repeat(11) };
        let about = match task.state() {
            State::Missing => "nobody added it".to_owned(),
            _ => fate(task),
        };
        table.add_row(row([
            // The width of the other titles; the table adds its own two spaces.
            Cell::new(title.get(..10).unwrap_or(&title)),
            name_cell(&task.name),
            state_cell(task.state()),
            Cell::new(about),
        ]));
    }
    text.push_str(&table::text(&mut table, "  ", &[1, 3]));
    if tasks.len() > ROWS_MAX {
        let more = number((tasks.len() - ROWS_MAX) as u64);
        let _ =
            writeln!(text, "  {:<11} {}", "", paint(FAINT, format!("and {more} more (--json)")));
    }
}

fn attempts(text: &mut String, attempts: &[AttemptInfo], zone: &TimeZone) {
    let mut table = table::table(&[]);
    let first = attempts.len().saturating_sub(ROWS_MAX);
    for (index, attempt) in attempts[first..].iter().enumerate() {
        let title = if index == 0 { "attempts" } else { "" };
        table.add_row(row([
            Cell::new(format!("{title:<10}")),
            table::right(attempt.attempt),
            Cell::new(&attempt.outcome),
            Cell::new(place(attempt)),
            Cell::new(when(attempt.started_unix_ms, zone)),
            Cell::new(match attempt.ended_unix_ms {
                0 => String::new(),
                ended => format!("for {}", span_ms(ended.saturating_sub(attempt.started_unix_ms))),
            }),
            Cell::new(match (attempt.exit_code, attempt.reason.as_str()) {
                (0, "") => String::new(),
                (code, "") => format!("exit {code}"),
                (_, reason) => plain(reason).into_owned(),
            }),
        ]));
    }
    text.push_str(&table::text(&mut table, "  ", &[3, 6]));
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

/// The name of a kworker begins with that of its machine.
fn place(attempt: &AttemptInfo) -> String {
    let (worker, host) = (plain(&attempt.worker), plain(&attempt.host));
    match worker.starts_with(&*host) {
        true => format!("on {worker}"),
        false => format!("on {worker} ({host})"),
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

fn when(unix_ms: u64, zone: &TimeZone) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms)
        .map(|time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
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
            }],
        };
        let text = anstream::adapter::strip_str(&show(&shown, &TimeZone::UTC)).to_string();
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
  attempts    1  failed  on node12 (rack 3)  1970-01-01 00:16:40  for 1 m 2 s  exit 2
    | reading
    | no such file
    all of it: /scratch/merge-12.1.out on rack 3
";
        assert_eq!(text, expected);
    }
}
