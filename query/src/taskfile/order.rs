//! The order in which tasks are sent: dependencies first, and otherwise as in the file.
//!
//! Kahn's algorithm, so that a chain of a million tasks neither recurses nor takes a million
//! rounds. A file that is in order already needs none of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dhub_proto::exit::Exit;

use super::{NOBODY, TaskFile};
use crate::failure::Failure;
use crate::render::words::{number, plain};

/// Names of a cycle that are printed.
const CYCLE_NAMES_MAX: usize = 20;

pub enum Order {
    AsInFile(u32),
    Sorted(Vec<u32>),
}

impl Order {
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let (range, sorted) = match self {
            Self::AsInFile(len) => (0..*len, [].as_slice()),
            Self::Sorted(tasks) => (0..0, tasks.as_slice()),
        };
        range.chain(sorted.iter().copied())
    }
}

impl TaskFile<'_> {
    pub fn order(&self) -> Result<Order, Failure> {
        let len = self.tasks.len() as u32;
        if (0..len).all(|task| self.inner_needs(task).all(|need| need < task)) {
            return Ok(Order::AsInFile(len));
        }
        let (sorted, open) = self.sort();
        if sorted.len() == self.tasks.len() {
            return Ok(Order::Sorted(sorted));
        }
        Err(self.cycle_failure(&self.cycle(&open)))
    }

    /// Dependencies that are tasks of this file.
    fn inner_needs(&self, task: u32) -> impl Iterator<Item = u32> {
        let owners = self.need_numbers(task).iter().map(|&need| self.owners[need as usize]);
        owners.filter(|&owner| owner != NOBODY)
    }

    /// The sorted tasks, and how many dependencies each task still waits for.
    fn sort(&self) -> (Vec<u32>, Vec<u32>) {
        let len = self.tasks.len();
        let (starts, followers) = self.followers();
        let mut open: Vec<u32> =
            (0..len as u32).map(|task| self.inner_needs(task).count() as u32).collect();
        let mut sorted = Vec::with_capacity(len);
        let free = (0..len as u32).filter(|&task| open[task as usize] == 0);
        let mut free: BinaryHeap<_> = free.map(Reverse).collect();
        while let Some(Reverse(task)) = free.pop() {
            sorted.push(task);
            let range = starts[task as usize] as usize..starts[task as usize + 1] as usize;
            for &follower in &followers[range] {
                open[follower as usize] -= 1;
                if open[follower as usize] == 0 {
                    free.push(Reverse(follower));
                }
            }
        }
        (sorted, open)
    }

    /// The tasks that need each task: those of task t from `starts[t]` to `starts[t + 1]`.
    fn followers(&self) -> (Vec<u32>, Vec<u32>) {
        let len = self.tasks.len();
        let mut starts = vec![0u32; len + 1];
        for task in 0..len as u32 {
            for need in self.inner_needs(task) {
                starts[need as usize + 1] += 1;
            }
        }
        for task in 0..len {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut followers = vec![0u32; starts[len] as usize];
        for task in 0..len as u32 {
            for need in self.inner_needs(task) {
                let place = &mut next[need as usize];
                followers[*place as usize] = task;
                *place += 1;
            }
        }
        (starts, followers)
    }

    /// Follows open dependencies until a task comes again: every open task has one.
    fn cycle(&self, open: &[u32]) -> Vec<u32> {
        let mut steps = vec![NOBODY; open.len()];
        let mut path = Vec::new();
        let mut next = (0..open.len() as u32).find(|&task| open[task as usize] > 0);
        while let Some(task) = next {
            if steps[task as usize] != NOBODY {
                let mut cycle = path.split_off(steps[task as usize] as usize);
                // The first of them in the file begins.
                let first = cycle.iter().min().copied();
                let place = cycle.iter().position(|&task| Some(task) == first);
                cycle.rotate_left(place.unwrap_or(0));
                return cycle;
            }
            steps[task as usize] = path.len() as u32;
            path.push(task);
            next = self.inner_needs(task).find(|&need| open[need as usize] > 0);
        }
        path
    }

    fn cycle_failure(&self, cycle: &[u32]) -> Failure {
        let shown = cycle.len().min(CYCLE_NAMES_MAX);
        let mut names: Vec<_> = cycle[..shown].iter().map(|&task| plain(self.name(task))).collect();
        if shown < cycle.len() {
            names.push(format!("… ({} more)", number((cycle.len() - shown) as u64)).into());
        }
        names.extend(cycle.first().map(|&task| plain(self.name(task))));
        let message =
            format!("{}: these tasks wait for each other: {}", self.file, names.join(" -> "));
        Failure::new(Exit::Input, message).hint("(nothing was added)")
    }
}
