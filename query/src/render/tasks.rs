//! Tables of tasks: what their columns are called, show and are sorted by.

use std::cmp::Ordering;

use clap::ValueEnum;
use dhub_proto::wire::{State, TaskInfo};
use jiff::tz::TimeZone;

use super::table::{Cell, Column, Fit, Table, name_cell, right, state_cell};
use super::words::{fate, number, plain, span_ms, when};

/// What can be shown of a task, and what tasks are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Key {
    Name,
    State,
    /// Attempts so far
    Tries,
    /// What it came to, or is doing
    About,
    Command,
    Priority,
    /// Further tries after a failure
    Retries,
    Failures,
    /// How often its worker was lost
    Reclaims,
    /// Who runs it, or ran it last
    Worker,
    /// How long it has been running, or ran the last time
    Time,
    /// Exit code of the last attempt
    Exit,
    Reason,
    /// Time limit
    Limit,
    /// When it was added
    Created,
    Ended,
    /// Time until the next try
    Retry,
    Dir,
    Env,
    /// Bytes of standard input
    Stdin,
    /// Whether it is kept from being given out
    Held,
    /// Processes that the last attempt left in the background, and that were ended with it
    Left,
    /// Its place in the order in which they were added
    Id,
}

/// What is shown unless other columns are asked for.
pub const DEFAULT: [Key; 5] = [Key::Name, Key::State, Key::Tries, Key::About, Key::Command];

impl Key {
    fn column(self) -> Column {
        match self {
            Key::Name => Column::new("TASK", Fit::Middle),
            Key::State => Column::new("STATE", Fit::Whole),
            Key::Tries => Column::new("TRIES", Fit::Whole).dispensable(1),
            Key::About => Column::new("ABOUT", Fit::End),
            Key::Command => Column::new("COMMAND", Fit::End).dispensable(2),
            Key::Priority => Column::new("PRIORITY", Fit::Whole),
            Key::Retries => Column::new("RETRIES", Fit::Whole),
            Key::Failures => Column::new("FAILURES", Fit::Whole),
            Key::Reclaims => Column::new("RECLAIMS", Fit::Whole),
            Key::Worker => Column::new("WORKER", Fit::Middle),
            Key::Time => Column::new("TIME", Fit::Whole),
            Key::Exit => Column::new("EXIT", Fit::Whole),
            Key::Reason => Column::new("REASON", Fit::End),
            Key::Limit => Column::new("LIMIT", Fit::Whole),
            Key::Created => Column::new("CREATED", Fit::Whole),
            Key::Ended => Column::new("ENDED", Fit::Whole),
            Key::Retry => Column::new("RETRY IN", Fit::Whole),
            Key::Dir => Column::new("DIR", Fit::Middle),
            Key::Env => Column::new("ENV", Fit::End),
            Key::Stdin => Column::new("STDIN", Fit::Whole),
            Key::Held => Column::new("HELD", Fit::Whole),
            Key::Left => Column::new("LEFT", Fit::Whole),
            Key::Id => Column::new("ID", Fit::Whole),
        }
    }

    fn cell(self, task: &TaskInfo, zone: &TimeZone) -> Cell {
        match self {
            Key::Name => name_cell(&task.name),
            Key::State => state_cell(task.state()),
            Key::Tries => right(task.attempt),
            Key::About => Cell::new(fate(task)),
            Key::Command => name_cell(&task.command),
            Key::Priority => right(task.priority),
            Key::Retries => right(task.retries),
            Key::Failures => right(task.failures),
            Key::Reclaims => right(task.reclaims),
            Key::Worker => name_cell(&task.worker),
            Key::Time => some(task.attempt > 0, || span_ms(task.run_ms)),
            Key::Exit => some(has_exit(task), || task.exit_code.to_string()),
            Key::Reason => name_cell(&task.reason),
            Key::Limit => some(task.time_limit_ms > 0, || span_ms(task.time_limit_ms)),
            Key::Created => Cell::new(when(task.created_unix_ms, zone)),
            Key::Ended => Cell::new(when(task.ended_unix_ms, zone)),
            Key::Retry => some(task.retry_in_ms > 0, || span_ms(task.retry_in_ms)),
            Key::Dir => name_cell(&task.dir),
            Key::Env => Cell::new(plain(&task.env.join(" "))),
            Key::Stdin => right(number(task.stdin_bytes)),
            Key::Id => right(task.id),
            Key::Held => Cell::new(if task.held { "held" } else { "" }),
            Key::Left => some(task.left_behind > 0, || number(task.left_behind.into())),
        }
    }

    pub fn compare(self, a: &TaskInfo, b: &TaskInfo) -> Ordering {
        match self {
            Key::Name => natural(&a.name, &b.name),
            Key::State => a.state.cmp(&b.state),
            Key::Tries => a.attempt.cmp(&b.attempt),
            Key::About => natural(&fate(a), &fate(b)),
            Key::Command => natural(&a.command, &b.command),
            Key::Priority => a.priority.cmp(&b.priority),
            Key::Retries => a.retries.cmp(&b.retries),
            Key::Failures => a.failures.cmp(&b.failures),
            Key::Reclaims => a.reclaims.cmp(&b.reclaims),
            Key::Worker => natural(&a.worker, &b.worker),
            Key::Time => a.run_ms.cmp(&b.run_ms),
            Key::Exit => a.exit_code.cmp(&b.exit_code),
            Key::Reason => natural(&a.reason, &b.reason),
            Key::Limit => a.time_limit_ms.cmp(&b.time_limit_ms),
            Key::Created => a.created_unix_ms.cmp(&b.created_unix_ms),
            Key::Ended => a.ended_unix_ms.cmp(&b.ended_unix_ms),
            Key::Retry => a.retry_in_ms.cmp(&b.retry_in_ms),
            Key::Dir => natural(&a.dir, &b.dir),
            Key::Env => a.env.cmp(&b.env),
            Key::Stdin => a.stdin_bytes.cmp(&b.stdin_bytes),
            Key::Held => a.held.cmp(&b.held),
            Key::Left => a.left_behind.cmp(&b.left_behind),
            Key::Id => a.id.cmp(&b.id),
        }
    }
}

fn some(is_there: bool, text: impl FnOnce() -> String) -> Cell {
    right(if is_there { text() } else { String::new() })
}

/// Did an attempt end with the exit code that is told?
fn has_exit(task: &TaskInfo) -> bool {
    task.exit_code != 0 || task.state() == State::Done
}

/// As people count: sim-2 before sim-10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while let (Some(x), Some(y)) = (a_rest.chars().next(), b_rest.chars().next()) {
        let numbers = x.is_ascii_digit() && y.is_ascii_digit();
        let (x, y) = match numbers {
            true => (digits(a_rest), digits(b_rest)),
            false => (&a_rest[..x.len_utf8()], &b_rest[..y.len_utf8()]),
        };
        let (p, q) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
        let order = match numbers {
            true => p.len().cmp(&q.len()).then_with(|| p.cmp(q)),
            false => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a_rest, b_rest) = (&a_rest[x.len()..], &b_rest[y.len()..]);
    }
    // 007 and 7 are the same number, and two names.
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// A table of these columns, page by page.
pub struct Tasks {
    keys: Vec<Key>,
    table: Table,
    zone: TimeZone,
}

impl Tasks {
    pub fn new(keys: &[Key], zone: TimeZone) -> Self {
        let columns: Vec<_> = keys.iter().map(|key| key.column()).collect();
        Self { keys: keys.to_vec(), table: Table::new(&columns), zone }
    }

    pub fn page(&mut self, tasks: &[TaskInfo], room: Option<usize>) -> String {
        for task in tasks {
            self.table.row(self.keys.iter().map(|key| key.cell(task, &self.zone)));
        }
        self.table.page("", room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, state: State) -> TaskInfo {
        TaskInfo { name: name.into(), state: state.into(), ..TaskInfo::default() }
    }

    fn failed() -> TaskInfo {
        TaskInfo {
            attempt: 2,
            failures: 2,
            exit_code: 1,
            worker: "node12".into(),
            command: "./sim 1\n".into(),
            ended_unix_ms: 1_000,
            run_ms: 61_000,
            ..task("sim-1", State::Failed)
        }
    }

    fn page(keys: &[Key]) -> String {
        let tasks = [failed(), task("merge", State::Waiting)];
        let text = Tasks::new(keys, TimeZone::UTC).page(&tasks, None);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_list_has_a_line_for_each_task() {
        let expected = "\
TASK   STATE    TRIES  ABOUT                         COMMAND
sim-1  failed       2  exit 1 on node12, 2 failures  ./sim 1\\n
merge  waiting      0
";
        assert_eq!(page(&DEFAULT), expected);
    }

    #[test]
    fn columns_are_chosen() {
        let expected = "\
TASK      TIME  EXIT  ENDED
sim-1  1 m 1 s     1  1970-01-01 00:00:01
merge
";
        let keys = [Key::Name, Key::Time, Key::Exit, Key::Ended];
        assert_eq!(page(&keys), expected);
        // Each has a title, and fits into one line.
        assert_eq!(page(Key::value_variants()).lines().count(), 3);
    }

    #[test]
    fn numbers_in_names_count() {
        let order = |a, b| natural(a, b);
        assert_eq!(order("sim-2", "sim-10"), Ordering::Less);
        assert_eq!(order("sim-10", "sim-10"), Ordering::Equal);
        assert_eq!(order("sim-010", "sim-10"), Ordering::Less);
        assert_eq!(order("sim-10b", "sim-10a"), Ordering::Greater);
        assert_eq!(order("sim", "sim-1"), Ordering::Less);
        assert_eq!(order("größe", "grösse"), Ordering::Greater);
        assert_eq!(order("9999999999999999999998", "9999999999999999999999"), Ordering::Less);
    }
}
