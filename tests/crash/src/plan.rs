//! What the tasks are: name, dependencies and retries follow from group and number alone, so a
//! batch can be repeated, and the checker knows a task by eight bytes.

use dhub_proto::wire::Task;

/// Who adds the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    A,
    B,
    C,
    /// By `dquery addfile`.
    File,
    /// Cancelled and retried as well.
    Cancel,
}

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub group: Group,
    pub number: u32,
}

/// Groups with dependencies on each other.
pub const BATCHED: [Group; 3] = [Group::A, Group::B, Group::C];

/// Dependencies stay in blocks of so many tasks, so that one that fails does not take all down.
const BLOCK: u32 = 64;
/// The same where lines of a file depend on the line before.
const FILE_BLOCK: u32 = 16;
const CANCEL_BLOCK: u32 = 8;

impl Group {
    pub const ALL: [Group; 5] = [Group::A, Group::B, Group::C, Group::File, Group::Cancel];

    fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
            Self::C => 'c',
            Self::File => 'f',
            Self::Cancel => 'x',
        }
    }

    pub fn task(self, number: u32) -> Key {
        Key { group: self, number }
    }
}

impl Key {
    pub fn name(self) -> String {
        format!("{}{}", self.group.letter(), self.number)
    }

    pub fn parse(name: &str) -> Option<Self> {
        let (letter, number) = name.split_at_checked(1)?;
        let group = Group::ALL.into_iter().find(|it| letter.starts_with(it.letter()))?;
        let key = group.task(number.parse().ok()?);
        // One spelling only.
        (key.name() == name).then_some(key)
    }

    pub fn retries(self) -> u32 {
        match self.group {
            Group::File => 0,
            Group::Cancel => 3,
            // Some fail for good, and take others with them.
            _ if self.number % BLOCK == 40 => 0,
            _ => 3,
        }
    }

    pub fn needs(self) -> Vec<Key> {
        let Self { group, number } = self;
        let before = |block: u32, when: bool| match when && number % block != 0 {
            true => vec![group.task(number - 1)],
            false => Vec::new(),
        };
        match group {
            Group::File => before(FILE_BLOCK, number % 4 != 0),
            Group::Cancel => before(CANCEL_BLOCK, number % 8 < 4),
            Group::A | Group::B | Group::C => self.batched_needs(),
        }
    }

    /// Up to three of the block, and now and then one of another group that may not exist yet.
    fn batched_needs(self) -> Vec<Key> {
        let mut random = fastrand::Rng::with_seed(u64::from(self.number) << 8 | self.group as u64);
        let (block, at) = (self.number / BLOCK, self.number % BLOCK);
        let mut needs = Vec::new();
        if at > 0 {
            for _ in 0..random.u32(0..=3) {
                needs.push(self.group.task(block * BLOCK + random.u32(0..at)));
            }
        }
        if block > 0 && random.u32(0..50) == 0 {
            let next = BATCHED[(self.group as usize + 1) % BATCHED.len()];
            needs.push(next.task((block - 1) * BLOCK + random.u32(0..8)));
        }
        needs.sort();
        needs.dedup();
        needs
    }

    pub fn task(self) -> Task {
        Task {
            name: self.name(),
            needs: self.needs().into_iter().map(Key::name).collect(),
            priority: self.priority(),
            retries: self.retries(),
            ..Task::default()
        }
    }

    fn priority(self) -> i32 {
        match self.group {
            // As addfile gives it.
            Group::File => 0,
            _ => (self.number / BLOCK % 3) as i32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for group in Group::ALL {
            let key = group.task(4711);
            assert_eq!(Key::parse(&key.name()), Some(key));
        }
        for wrong in ["", "a", "a-1", "a01", "q1", "é1", "a4294967296"] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tasks_need_earlier_ones_of_their_group_and_a_few_of_the_next() {
        let keys = Group::ALL.into_iter().flat_map(|group| (0..1000).map(move |n| group.task(n)));
        let (mut own, mut others) = (0, 0);
        for key in keys {
            for need in key.needs() {
                assert!(need.group != key.group || need.number < key.number);
                *if need.group == key.group { &mut own } else { &mut others } += 1;
            }
        }
        assert!(own > 3000 && others > 20, "{own} {others}");
    }
}
