//! What the redo log says and the tables do not agree with: a line a task, and one for all that nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::rows::words;
use crate::engine::message::{TaskId, Turn};

#[derive(Default)]
pub struct Doubts {
    /// By what they are about: what is said of it, and in which turns.
    about: BTreeMap<String, Said>,
    /// Tasks of which the tables have nothing.
    unknown: BTreeSet<TaskId>,
    of_unknown: Option<RangeInclusive<Turn>>,
}

struct Said {
    what: Vec<String>,
    turns: RangeInclusive<Turn>,
}

impl Doubts {
    pub fn add(&mut self, turn: Turn, about: String, what: String) {
        let said = self.about.entry(about);
        let said = said.or_insert_with(|| Said { what: Vec::new(), turns: turn..=turn });
        said.turns = *said.turns.start()..=turn;
        if !said.what.contains(&what) {
            said.what.push(what);
        }
    }

    pub fn add_unknown(&mut self, turn: Turn, id: TaskId) {
        self.unknown.insert(id);
        let first = self.of_unknown.as_ref().map_or(turn, |turns| *turns.start());
        self.of_unknown = Some(first..=turn);
    }

    pub fn lines(self) -> Vec<String> {
        let line = |(about, Said { what, turns }): (String, Said)| {
            format!("{about}: {} ({})", what.join(", "), in_turns(&turns))
        };
        let mut lines: Vec<_> = self.about.into_iter().map(line).collect();
        if let Some(turns) = self.of_unknown {
            let (count, turns) = (self.unknown.len(), in_turns(&turns));
            let tasks = if count == 1 { "a task that is" } else { "tasks that are" };
            let numbers: Vec<_> = ranges(self.unknown).iter().map(words).collect();
            let numbers = numbers.join(", ");
            lines.push(format!(
                "what the redo log says of {tasks} not known: number {numbers} ({turns})"
            ));
        }
        lines
    }
}

fn in_turns(turns: &RangeInclusive<Turn>) -> String {
    match turns.start() == turns.end() {
        true => format!("turn {}", turns.start()),
        false => format!("turns {} to {}", turns.start(), turns.end()),
    }
}

/// Numbers in a row as one.
fn ranges(ids: BTreeSet<TaskId>) -> Vec<RangeInclusive<i64>> {
    let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
    for id in ids.into_iter().map(|id| id as i64) {
        match ranges.last_mut().filter(|range| range.end() + 1 == id) {
            Some(range) => *range = *range.start()..=id,
            None => ranges.push(id..=id),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_one_line_and_all_that_nobody_knows_one_together() {
        let mut doubts = Doubts::default();
        for turn in 5..=9 {
            doubts.add(turn, "task a".into(), "an attempt".into());
        }
        doubts.add(9, "task a".into(), "the end".into());
        doubts.add(7, "task b".into(), "the addition".into());
        for id in [7].into_iter().chain(100..400) {
            doubts.add_unknown(id + 1, id);
        }
        let lines = [
            "task a: an attempt, the end (turns 5 to 9)",
            "task b: the addition (turn 7)",
            "what the redo log says of tasks that are not known: number 7, 100 to 399 (turns 8 to 400)",
        ];
        assert_eq!(doubts.lines(), lines);
        assert!(Doubts::default().lines().is_empty());
    }
}
