//! The order of the rows. The hub has tasks in the order in which they were added; every other
//! order is made here, of as many as are looked at.

use std::cmp::Ordering;

use dhub_proto::wire::{State, TaskInfo};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Key {
    #[default]
    Added,
    Name,
    State,
    Time,
    Worker,
    ExitCode,
}

const KEYS: [Key; 6] = [Key::Added, Key::Name, Key::State, Key::Time, Key::Worker, Key::ExitCode];

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sort {
    pub key: Key,
    pub reversed: bool,
}

impl Sort {
    pub fn next(self) -> Self {
        let at = KEYS.iter().position(|&key| key == self.key).unwrap_or(0);
        Self { key: KEYS[(at + 1) % KEYS.len()], reversed: false }
    }

    /// Only what is sorted here can be turned round.
    pub fn reverse(self) -> Self {
        Self { reversed: !self.reversed && self.is_local(), ..self }
    }

    /// Not as the hub has them.
    pub fn is_local(self) -> bool {
        self.key != Key::Added
    }

    pub fn describe(self) -> String {
        let key = match self.key {
            Key::Added => return String::new(),
            Key::Name => "name",
            Key::State => "state",
            Key::Time => "time",
            Key::Worker => "worker",
            Key::ExitCode => "exit code",
        };
        format!("by {key}{}", if self.reversed { ", reversed" } else { "" })
    }

    pub fn sort(self, tasks: &mut [TaskInfo]) {
        tasks.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if self.reversed { order.reverse() } else { order };
            order.then(a.id.cmp(&b.id))
        });
    }

    /// The longest and the largest exit codes first; what people look for is on top.
    fn compare(self, a: &TaskInfo, b: &TaskInfo) -> Ordering {
        match self.key {
            Key::Added => Ordering::Equal,
            Key::Name => a.name.cmp(&b.name),
            Key::State => urgency(a.state()).cmp(&urgency(b.state())),
            Key::Time => b.run_ms.cmp(&a.run_ms),
            Key::Worker => (a.worker.is_empty(), &a.worker).cmp(&(b.worker.is_empty(), &b.worker)),
            Key::ExitCode => b.exit_code.cmp(&a.exit_code),
        }
    }
}

fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Running => 1,
        State::Ready => 2,
        State::Waiting => 3,
        State::Skipped => 4,
        State::Cancelled => 5,
        State::Done => 6,
        State::Missing | State::Unspecified => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, name: &str, state: State, run_ms: u64) -> TaskInfo {
        TaskInfo { id, name: name.into(), state: state.into(), run_ms, ..TaskInfo::default() }
    }

    #[test]
    fn what_people_look_for_comes_first() {
        let mut tasks = vec![
            task(1, "b", State::Done, 10),
            task(2, "a", State::Running, 30),
            task(3, "c", State::Failed, 20),
        ];
        let mut ids = |key, reversed| {
            Sort { key, reversed }.sort(&mut tasks);
            tasks.iter().map(|task| task.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(Key::Name, false), [2, 1, 3]);
        assert_eq!(ids(Key::State, false), [3, 2, 1]);
        assert_eq!(ids(Key::Time, false), [2, 3, 1]);
        assert_eq!(ids(Key::Time, true), [1, 3, 2]);
        assert_eq!(ids(Key::Worker, false), [1, 2, 3], "alike: as they were added");
    }

    #[test]
    fn the_key_goes_round_to_the_order_of_the_hub() {
        let mut sort = Sort::default();
        let keys: Vec<Key> = (0..KEYS.len())
            .map(|_| {
                sort = sort.next();
                sort.key
            })
            .collect();
        assert_eq!(keys, [&KEYS[1..], &KEYS[..1]].concat());
        assert_eq!(sort.reverse(), sort, "the hub's order has one direction");
    }
}
