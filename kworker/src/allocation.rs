//! How long a batch system lets this pool run.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process_group};

/// What is left when the pool has left: for the batch system's own doings, and clocks that differ.
const MARGIN: Duration = Duration::from_secs(30);
/// Of a short allocation: one in so many parts.
const MARGIN_PART: u32 = 10;
/// How long a cluster's server that is down may keep the pool waiting.
const SQUEUE: Duration = Duration::from_secs(10);

/// A job of Slurm that this process belongs to.
#[derive(Debug, PartialEq, Eq)]
pub struct Allocation {
    pub job: String,
    pub end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Never,
    In(Duration),
    /// Why not.
    Unknown(String),
}

impl Allocation {
    pub fn here() -> Option<Self> {
        Self::find(|name| std::env::var(name).ok(), squeue, SystemTime::now())
    }

    fn find(
        variable: impl Fn(&str) -> Option<String>,
        squeue: impl Fn(&str) -> Result<String, String>,
        now: SystemTime,
    ) -> Option<Self> {
        let job = variable("SLURM_JOB_ID").filter(|job| !job.is_empty())?;
        // Newer ones tell it, in seconds since 1970. It may have been changed since; the other
        // way costs the cluster's only server a question for each pool.
        let end = variable("SLURM_JOB_END_TIME").and_then(|end| end.trim().parse().ok());
        let end = match end {
            Some(end) => {
                let end =
                    UNIX_EPOCH + Duration::from_secs(u32::MAX.into()).min(Duration::from_secs(end));
                End::In(end.duration_since(now).unwrap_or_default())
            }
            None => match squeue(&job) {
                Err(why) => End::Unknown(why),
                Ok(left) => time_left(&left),
            },
        };
        Some(Self { job, end })
    }
}

/// Of what is left of an allocation: how much a pool may use.
pub fn usable(left: Duration) -> Duration {
    left - MARGIN.min(left / MARGIN_PART)
}

fn squeue(job: &str) -> Result<String, String> {
    let failed = |error| format!("squeue: {error}");
    let child = Command::new("squeue")
        .args(["-h", "-j", job, "-o", "%L"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let group = Pid::from_child(&child);
    let (send, answer) = channel();
    thread::spawn(move || {
        // Nobody may wait for it any more.
        let _ = send.send(child.wait_with_output());
    });
    let Ok(output) = answer.recv_timeout(SQUEUE) else {
        let _ = kill_process_group(group, Signal::KILL);
        return Err(format!("squeue has not answered for {} s", SQUEUE.as_secs()));
    };
    let output = output.map_err(failed)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("squeue: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// `days-hours:minutes:seconds`, of which the first parts may be missing.
fn time_left(text: &str) -> End {
    let text = text.trim();
    if matches!(text, "UNLIMITED" | "NOT_SET") {
        return End::Never;
    }
    let unknown = || End::Unknown(format!("squeue said '{text}'"));
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let clock: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
    let (Ok(days), Some(clock)) = (days.parse::<u64>(), clock) else { return unknown() };
    if days > 100_000 || clock.len() > 3 || clock.iter().any(|&part| part > 1_000_000) {
        return unknown();
    }
    let seconds = clock.iter().fold(0, |seconds, part| seconds * 60 + part);
    End::In(Duration::from_secs(days * 86_400 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)], squeue: Result<&str, &str>) -> Option<End> {
        let variable = |name: &str| {
            let found = variables.iter().find(|variable| variable.0 == name);
            found.map(|variable| variable.1.to_owned())
        };
        let squeue = |job: &str| {
            assert_eq!(job, "7");
            squeue.map(str::to_owned).map_err(str::to_owned)
        };
        Allocation::find(variable, squeue, UNIX_EPOCH + Duration::from_secs(1000)).map(|it| it.end)
    }

    #[test]
    fn the_environment_tells_or_else_squeue() {
        let (job, no) = (("SLURM_JOB_ID", "7"), Err("no squeue"));
        let seconds = |n| Some(End::In(Duration::from_secs(n)));
        assert_eq!(find(&[], no), None);
        assert_eq!(find(&[job, ("SLURM_JOB_END_TIME", "4600")], no), seconds(3600));
        assert_eq!(find(&[job, ("SLURM_JOB_END_TIME", "900")], no), seconds(0));
        assert_eq!(find(&[job], Ok("59:30\n")), seconds(3570));
        assert_eq!(find(&[job], no), Some(End::Unknown("no squeue".into())));
    }

    #[test]
    fn times_as_squeue_writes_them() {
        let seconds = |n| End::In(Duration::from_secs(n));
        assert_eq!(time_left("0:05"), seconds(5));
        assert_eq!(time_left("1:00:00\n"), seconds(3600));
        assert_eq!(time_left("2-03:04:05"), seconds(2 * 86_400 + 3 * 3600 + 4 * 60 + 5));
        assert_eq!(time_left("UNLIMITED"), End::Never);
        for strange in ["", "INVALID", "1:2:3:4", "x-1:00", "99999999999999-0:00"] {
            assert!(matches!(time_left(strange), End::Unknown(_)), "{strange}");
        }
    }

    #[test]
    fn a_part_of_the_allocation_is_left_alone() {
        assert_eq!(usable(Duration::from_secs(3600)), Duration::from_secs(3570));
        assert_eq!(usable(Duration::from_secs(60)), Duration::from_secs(54));
    }
}
