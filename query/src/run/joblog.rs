//! The log of jobs that GNU parallel writes with --joblog, one line an attempt that ended.

use dhub_proto::wire::{AttemptInfo, ExportedTask};

use super::{Outcome, host};

pub const HEADER: &str =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// What GNU parallel writes for a job that it ended itself.
const NO_EXIT_CODE: i32 = -1;
/// Exit codes of what a signal killed: 128 and its number.
const SIGNALS: std::ops::RangeInclusive<i32> = 129..=192;

/// Lines with what puts them in order: their start.
#[derive(Default)]
pub struct Joblog {
    lines: Vec<(u64, String)>,
}

impl Joblog {
    pub fn add(&mut self, exported: &ExportedTask) {
        let Some(task) = &exported.task else {
            return;
        };
        let command = if task.command.is_empty() { &task.name } else { &task.command };
        for attempt in &exported.attempts {
            if let Some((exit_code, signal)) = end(attempt) {
                let run_ms = attempt.ended_unix_ms.saturating_sub(attempt.started_unix_ms);
                // A job is a line: parallel writes a newline of the command as NUL, and reads it so.
                let line = format!(
                    "{}\t{}\t{:.3}\t{:10.3}\t0\t0\t{exit_code}\t{signal}\t{}\n",
                    exported.id,
                    one_word(host(attempt)),
                    attempt.started_unix_ms as f64 / 1e3,
                    run_ms as f64 / 1e3,
                    command.replace('\n', "\0"),
                );
                self.lines.push((attempt.started_unix_ms, line));
            }
        }
    }

    /// The lines in the order of their starts.
    pub fn lines(mut self) -> impl Iterator<Item = String> {
        self.lines.sort_by_key(|&(started, _)| started);
        self.lines.into_iter().map(|(_, line)| line)
    }
}

/// Exit code and signal; None of one that runs.
fn end(attempt: &AttemptInfo) -> Option<(i32, i32)> {
    let code = match Outcome::of(attempt) {
        Outcome::Running => return None,
        Outcome::Done => attempt.exit_code,
        // What has failed must not look like a success.
        Outcome::Failed if attempt.exit_code != 0 => attempt.exit_code,
        Outcome::Failed | Outcome::Reclaimed | Outcome::Cancelled => NO_EXIT_CODE,
    };
    Some((code, if SIGNALS.contains(&code) { code - 128 } else { 0 }))
}

/// Columns are parted by tabs, and none is empty.
fn one_word(host: &str) -> String {
    match host {
        "" => ":".to_owned(),
        host => host.replace(['\t', '\n'], " "),
    }
}

#[cfg(test)]
mod tests {
    use dhub_proto::wire::TaskInfo;

    use super::*;

    fn log(attempts: &[(u64, u64, &str, i32)]) -> Vec<String> {
        let attempt = |&(started, ended, outcome, exit_code): &(u64, u64, &str, i32)| AttemptInfo {
            worker: "node12:77".into(),
            started_unix_ms: started,
            ended_unix_ms: ended,
            outcome: outcome.into(),
            exit_code,
            ..AttemptInfo::default()
        };
        let mut log = Joblog::default();
        log.add(&ExportedTask {
            id: 7,
            task: Some(TaskInfo {
                name: "a".into(),
                command: "echo a\necho b".into(),
                ..TaskInfo::default()
            }),
            attempts: attempts.iter().map(attempt).collect(),
            ..ExportedTask::default()
        });
        log.lines().collect()
    }

    #[test]
    fn a_line_is_as_parallel_writes_it() {
        let lines = log(&[(1_376_577_364_974, 1_376_577_364_982, "done", 0)]);
        let line = "7\tnode12\t1376577364.974\t     0.008\t0\t0\t0\t0\techo a\0echo b\n";
        assert_eq!(lines, [line]);
        assert_eq!(HEADER.split('\t').count(), line.split('\t').count());
    }

    #[test]
    fn lines_are_in_the_order_of_their_starts_and_tell_how_it_ended() {
        let lines = log(&[
            (9_000, 9_500, "running", 0),
            (8_000, 9_000, "done", 0),
            (3_000, 4_000, "failed", 137),
            (2_000, 3_000, "failed", 2),
            (1_000, 2_000, "failed", 0),
            (500, 900, "reclaimed", 0),
        ]);
        let ends: Vec<_> = lines
            .iter()
            .map(|line| line.split('\t').skip(6).take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(ends, ["-1 0", "-1 0", "2 0", "137 9", "0 0"]);
    }
}
