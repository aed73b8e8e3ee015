//! Figures of a run over time: what ended, what ran.

use super::histogram::nice;
use super::{Outcome, Run};

/// Bins that the time of a run is cut into, about: fewer if there is little to put into them.
const BINS_MAX: u64 = 240;
const BINS_MIN: u64 = 24;
/// Attempts that a bin should have.
const BIN_ATTEMPTS: u64 = 4;

#[derive(Debug, Default, PartialEq)]
pub struct OverTime {
    pub bin_ms: u64,
    /// Attempts that ended in a bin.
    pub done: Vec<u64>,
    pub failed: Vec<u64>,
    /// How many ran at the same time, on average over a bin.
    pub running: Vec<f64>,
}

pub fn over_time(run: &Run) -> OverTime {
    let span = run.span_ms();
    let aim = (run.attempts().count() as u64 / BIN_ATTEMPTS).clamp(BINS_MIN, BINS_MAX);
    let bin_ms = nice((span.end - span.start).div_ceil(aim));
    let bins = ((span.end - span.start) / bin_ms + 1) as usize;
    let bin = |ms: u64| (ms.saturating_sub(span.start) / bin_ms) as usize;
    let (mut done, mut failed) = (vec![0; bins], vec![0; bins]);
    let mut busy_ms = vec![0.0; bins];
    // How many more, or fewer, run from a bin on than in the one before.
    let mut steps = vec![0_i64; bins + 1];
    for (_, _, attempt) in run.attempts() {
        let (first, last) = (bin(attempt.started_ms), bin(attempt.ended_ms));
        match attempt.outcome {
            Outcome::Done => done[last] += 1,
            Outcome::Failed | Outcome::Reclaimed => failed[last] += 1,
            Outcome::Cancelled | Outcome::Running => {}
        }
        let begin = |bin: usize| span.start + bin as u64 * bin_ms;
        if first == last {
            busy_ms[first] += attempt.run_ms() as f64;
            continue;
        }
        busy_ms[first] += (begin(first + 1) - attempt.started_ms) as f64;
        busy_ms[last] += (attempt.ended_ms - begin(last)) as f64;
        steps[first + 1] += 1;
        steps[last] -= 1;
    }
    let mut through = 0;
    for (bin, busy) in busy_ms.iter_mut().enumerate() {
        through += steps[bin];
        *busy = (*busy + through as f64 * bin_ms as f64) / bin_ms as f64;
        *busy = (*busy * 1e3).round() / 1e3;
    }
    OverTime { bin_ms, done, failed, running: busy_ms }
}

/// The most attempts that ran at one time.
pub fn most_at_once(run: &Run) -> u64 {
    let mut starts: Vec<u64> = run.attempts().map(|(.., it)| it.started_ms).collect();
    let mut ends: Vec<u64> = run.attempts().map(|(.., it)| it.ended_ms).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let (mut most, mut ended) = (0, 0);
    for (started, &at) in starts.iter().enumerate() {
        // One that ends when another starts made room for it.
        ended += ends[ended..].iter().take_while(|&&end| end <= at).count();
        most = most.max(started + 1 - ended.min(started));
    }
    most as u64
}

#[cfg(test)]
mod tests {
    use dhub_proto::wire::State;

    use super::super::tests::run;
    use super::*;

    #[test]
    fn what_ended_and_what_ran_bin_by_bin() {
        let run = run(&[
            ("a", State::Done, &[], &[(1, 101, "done")]),
            ("b", State::Done, &[], &[(51, 61, "failed"), (61, 121, "done")]),
            ("c", State::Done, &[], &[(121, 241, "done")]),
        ]);
        let figures = over_time(&run);
        assert_eq!(figures.bin_ms, 10_000);
        assert_eq!((figures.done.iter().sum::<u64>(), figures.failed[6]), (3, 1));
        assert_eq!((figures.running[0], figures.running[7], figures.running[11]), (1.0, 2.0, 1.0));
        let busy: f64 = figures.running.iter().sum();
        assert!((busy - 29.0).abs() < 0.1, "{busy}");
        assert_eq!(most_at_once(&run), 2);
    }

    #[test]
    fn a_run_without_attempts_has_one_empty_bin() {
        let figures = over_time(&Run::default());
        assert_eq!((figures.done, figures.running), (vec![0], vec![0.0]));
        assert_eq!(most_at_once(&Run::default()), 0);
    }
}
