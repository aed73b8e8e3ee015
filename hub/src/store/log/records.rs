//! What a start finds in the log.

use std::collections::BTreeMap;
use std::{fmt, io};

use super::body::{RecordBody, VERSION};
use super::record::{self, PAGE, Remnant};
use super::{FIRST_PAGE, Medium, NOTES, region_starts};
use crate::engine::message::Turn;

/// Turns that were safe are missing or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct Gap {
    pub first: Turn,
    pub last: Turn,
    /// The next one that is there.
    pub found: Option<Turn>,
}

impl Gap {
    fn words(&self) -> String {
        let Self { first, last, found } = self;
        let missing = match first == last {
            true => format!("turn {first} is missing or damaged"),
            false => format!("turns {first} to {last} are missing or damaged"),
        };
        match found {
            Some(turn) => format!("{missing}, and turn {turn} is there"),
            None => format!("{missing}, and turn {last} was noted as safe"),
        }
    }
}

/// A record whose end nobody noted cannot be read. Either it was being written when the hub died, and
/// nobody was told of it, or it was damaged afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The turn that cannot be read.
    pub turn: Turn,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "turn {} cannot be read: it was cut off when the hub died, and nobody was told of it, or it \
             was damaged later; then what was acknowledged in the last {} ms is lost",
            self.turn,
            super::NOTE_MS
        )
    }
}

/// The records of a file, by turn.
#[derive(Default)]
pub struct Records {
    turns: BTreeMap<Turn, RecordBody>,
    /// The page after each.
    ends: BTreeMap<Turn, usize>,
    bytes: Vec<u8>,
    region_bytes: u64,
    owner: Option<u64>,
    /// The oldest version of its records.
    version: Option<u8>,
    /// The first page says that another version wrote it.
    pub of_another_version: bool,
    /// Turns that were safe, as far as it was noted.
    pub safe: Turn,
    /// Turns that the tables had for good.
    pub folded: Turn,
    /// How long it was at least.
    length: u64,
    /// The newest turn of which there are pages that are not a whole record.
    torn: Turn,
}

impl Records {
    /// All that can be read.
    pub fn read(medium: &dyn Medium, region_bytes: u64) -> io::Result<Self> {
        Ok(Self::of(medium.read()?, region_bytes))
    }

    pub fn of(bytes: Vec<u8>, region_bytes: u64) -> Self {
        let mut found = Self { region_bytes, ..Self::default() };
        let mut page = 0;
        let mut first_owner = None;
        while let Some(rest) = bytes.get(page * PAGE..).filter(|rest| !rest.is_empty()) {
            let Some(record) = record::parse(rest) else {
                match record::remnant(&rest[..rest.len().min(PAGE)]) {
                    Remnant::Of(turn) if !NOTES.contains(&page) => {
                        found.torn = found.torn.max(turn)
                    }
                    _ => {}
                }
                page += 1;
                continue;
            };
            let (head, pages) = (record.head, record.pages());
            if page == 0 {
                first_owner = Some(head.id);
            }
            let version = record.body.version;
            found.version = Some(found.version.map_or(version, |oldest| oldest.min(version)));
            // Each has the id of the first page, which may be damaged.
            found.owner = Some(head.id);
            found.safe = found.safe.max(head.safe);
            found.folded = found.folded.max(head.folded);
            found.length = found.length.max(head.bytes);
            if head.turn != FIRST_PAGE && !NOTES.contains(&page) {
                found.turns.insert(head.turn, record.body);
                found.ends.insert(head.turn, page + pages);
            }
            page += pages;
        }
        let is_whole = bytes.len() as u64 >= region_starts(region_bytes)[0];
        found.owner = first_owner.or(found.owner).filter(|_| is_whole);
        found.of_another_version = found.owner.is_none() && record::is_of_another_version(&bytes);
        found.bytes = bytes;
        found
    }

    /// Whose log it is, if it is one.
    pub fn owner(&self) -> Option<u64> {
        self.owner
    }

    /// Some of it is in words that are not written any more.
    pub fn is_of_older_version(&self) -> bool {
        self.version.is_some_and(|version| version < VERSION)
    }

    /// Some turn is in it.
    pub fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// The last one, of which there is a record or a note.
    pub fn last(&self) -> Turn {
        self.turns.last_key_value().map_or(0, |(turn, _)| *turn).max(self.safe)
    }

    pub fn turns(&self) -> &BTreeMap<Turn, RecordBody> {
        &self.turns
    }

    /// The first turns that are missing after those that the tables have, up to the next one that is
    /// there or to the last that was noted.
    pub fn gap(&self, folded: Turn) -> Option<Gap> {
        let mut last = folded;
        for (&turn, _) in self.turns.range(folded + 1..) {
            if turn != last + 1 {
                return Some(Gap { first: last + 1, last: turn - 1, found: Some(turn) });
            }
            last = turn;
        }
        (last < self.safe).then_some(Gap { first: last + 1, last: self.safe, found: None })
    }

    /// Something was written after the last turn that is not sound, or the file was cut.
    pub fn doubt(&self, folded: Turn) -> Option<Doubt> {
        let last = self.turns.last_key_value().map_or(folded, |(turn, _)| folded.max(*turn));
        let starts = region_starts(self.region_bytes).map(|start| start as usize / PAGE);
        // There a next one begins.
        let mut places = starts.iter().chain(self.ends.get(&last));
        let is_odd = places.any(|page| match self.bytes.get(page * PAGE..) {
            None | Some([]) => false,
            Some(rest) if record::parse(rest).is_some() => false,
            Some(rest) => record::remnant(&rest[..rest.len().min(PAGE)]) == Remnant::Unreadable,
        });
        let is_cut = (self.bytes.len() as u64) < self.length;
        (is_odd || is_cut || self.torn > last).then_some(Doubt { turn: last + 1 })
    }

    /// It was put back beside tables that are newer: those of a hub that was killed have no turn that
    /// was not in its log first, but for one that no region could hold.
    pub fn is_older_than(&self, tables: Turn) -> bool {
        self.last().max(self.torn) + 1 < tables && self.doubt(tables).is_none()
    }

    /// Those after the last turn that the tables have, in order.
    pub fn after(mut self, folded: Turn) -> BTreeMap<Turn, RecordBody> {
        self.turns.split_off(&(folded + 1))
    }
}
