//! FILE.redo: what is committed and not yet folded into the tables.
//!
//! A commit is one record, written at the next free page and synced. The file has two regions: while
//! one fills, the turns of the other are folded into the tables, and then it is written over, so
//! that a commit neither allocates blocks nor waits for a journal. Records are never changed or
//! removed: turns count up without a gap, and those that the tables have are of no more account.
//! The first page says whose log it is and is written once.
//!
//! What is safe is noted, so that damage is told from a write that was cut off: each record says that
//! the turns before it were safe, and some milliseconds after a commit a note says it of the last
//! one. Two pages behind the first one take the notes in turn: one that is torn leaves the other. They
//! are not synced by themselves, so that nobody waits for them. Whatever was noted and is missing was
//! damaged: then the hub does not start. What comes after it and cannot be read is in doubt.

mod body;
mod medium;
mod record;
mod records;

use std::io;
use std::sync::Arc;

use super::files::Files;
use crate::engine::message::Turn;
use crate::store::files::paths::REDO;

use record::{HEADER, Head, PAGE};

pub use body::{decode, encode};
pub use medium::{Medium, RedoFile};
pub use records::{Doubt, Gap, Records};

/// In place of a turn, for these count from 1.
const FIRST_PAGE: Turn = 0;
/// Pages of the notes.
const NOTES: [usize; 2] = [1, 2];
/// How soon after a commit it is noted that it is safe.
pub const NOTE_MS: u64 = 20;
/// Room for records in each of the two regions.
pub const REGION_BYTES: u64 = 16 << 20;
/// So much is filled with zeros at a time, for the records to be written over.
const FILL_BYTES: u64 = 256 << 10;

/// Where the regions begin: behind the first page and the notes.
fn region_starts(region_bytes: u64) -> [u64; 2] {
    let first = ((1 + NOTES.len()) * PAGE) as u64;
    [first, first + region_bytes]
}

#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    used: u64,
    /// As far as it has been written once.
    filled: u64,
    /// The newest turn in it.
    last: Turn,
}

pub struct Redo {
    medium: Box<dyn Medium>,
    /// Which file it belongs to.
    id: u64,
    region_bytes: u64,
    regions: [Region; 2],
    current: usize,
    record: Vec<u8>,
    /// How long the file is at least.
    bytes: u64,
    /// The last turn that a note is about, and how many notes there were.
    noted: Turn,
    notes: usize,
    /// To see before each write whether the log was cut: what is written would make it as long again.
    files: Option<Arc<Files>>,
}

/// What a commit has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It is safe.
    Taken,
    /// Both regions are full: turns have to be folded first.
    Full,
    /// No region could ever hold it.
    TooLarge,
}

impl Redo {
    /// A log without turns that count; what is in the file is written over. `turn` is the last one
    /// that the tables have.
    pub fn new(medium: Box<dyn Medium>, id: u64, region_bytes: u64, turn: Turn) -> Self {
        let regions =
            region_starts(region_bytes).map(|start| Region { start, ..Region::default() });
        Self {
            medium,
            id,
            region_bytes,
            regions,
            current: 0,
            record: Vec::new(),
            bytes: 0,
            noted: turn,
            notes: 0,
            files: None,
        }
    }

    pub fn watch(&mut self, files: &Arc<Files>) {
        self.files = Some(Arc::clone(files));
    }

    fn is_whole(&self) -> io::Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        files.look_at_length(REDO).map_err(io::Error::other)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// An empty log that says whose it is. Nothing of another one stays behind it.
    pub fn begin(&mut self) -> io::Result<()> {
        self.medium.clear()?;
        self.record.clear();
        self.record.resize(HEADER, 0);
        // What a file lacks that is older than this is told by it.
        let head = self.head(FIRST_PAGE, self.noted, self.noted);
        record::seal(&mut self.record, head);
        // With the pages of the notes: a log is never shorter.
        self.record.resize((1 + NOTES.len()) * PAGE, 0);
        self.medium.write(0, &self.record)?;
        self.medium.sync()
    }

    /// Writes a turn and makes it safe, if there is room. All before it are: else the hub would have
    /// stopped. `folded` is the last turn that the tables have for good; `write` appends what the
    /// record says.
    pub fn append(
        &mut self,
        turn: Turn,
        folded: Turn,
        write: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>,
    ) -> io::Result<Room> {
        self.record.clear();
        self.record.resize(HEADER, 0);
        self.record = write(std::mem::take(&mut self.record))?;
        let head = self.head(turn, turn - 1, folded);
        record::seal(&mut self.record, head);
        let needed = self.record.len() as u64;
        if needed > self.region_bytes {
            // It goes into the tables, and the log is to end right before it.
            self.note(turn - 1, folded)?;
            self.medium.sync()?;
            return Ok(Room::TooLarge);
        }
        if !self.make_room(needed, folded) {
            return Ok(Room::Full);
        }
        self.is_whole()?;
        self.fill(needed, turn - 1, folded)?;
        let region = &mut self.regions[self.current];
        self.medium.write(region.start + region.used, &self.record)?;
        self.medium.sync()?;
        (region.used, region.last) = (region.used + needed, turn);
        Ok(Room::Taken)
    }

    fn head(&self, turn: Turn, safe: Turn, folded: Turn) -> Head {
        Head { id: self.id, turn, safe, folded, bytes: self.bytes }
    }

    /// Makes sure that the region was written as far as this once. A note says how long the file is
    /// by that: if it is shorter later, it was cut.
    fn fill(&mut self, needed: u64, safe: Turn, folded: Turn) -> io::Result<()> {
        let region = &mut self.regions[self.current];
        let end = region.used + needed;
        if end <= region.filled {
            return Ok(());
        }
        if self.regions.iter().all(|region| region.filled == 0) {
            // The first zeros of a hub may be written over the last turns of the one before: without
            // this, the log would look older than the tables if the power went here.
            self.note(safe, folded)?;
            self.medium.sync()?;
        }
        let region = &mut self.regions[self.current];
        let fill = FILL_BYTES.max(needed).min(self.region_bytes - region.filled);
        self.medium.write(region.start + region.filled, &vec![0; fill as usize])?;
        region.filled += fill;
        self.bytes = self.bytes.max(region.start + region.filled);
        self.is_whole()?;
        self.note(safe, folded)
    }

    pub fn is_noted(&self, turn: Turn) -> bool {
        turn <= self.noted
    }

    /// Says that this turn, which is committed, is safe.
    pub fn note(&mut self, turn: Turn, folded: Turn) -> io::Result<()> {
        let mut note = vec![0; HEADER];
        record::seal(&mut note, self.head(turn, turn, folded));
        let page = NOTES[self.notes % NOTES.len()];
        self.medium.write((page * PAGE) as u64, &note)?;
        (self.noted, self.notes) = (turn, self.notes + 1);
        Ok(())
    }

    /// Goes to the start of a region whose turns are folded: of this one for choice, so that a hub
    /// with little to do stays on few pages.
    fn make_room(&mut self, needed: u64, folded: Turn) -> bool {
        let fits = |region: &Region| region.used + needed <= self.region_bytes;
        for at in [self.current, 1 - self.current] {
            let region = &mut self.regions[at];
            if region.last <= folded {
                region.used = 0;
            }
        }
        if !fits(&self.regions[self.current]) && self.regions[1 - self.current].used == 0 {
            self.current = 1 - self.current;
        }
        fits(&self.regions[self.current])
    }

    /// Nothing in it counts any more.
    pub fn remove(self) -> io::Result<()> {
        self.medium.remove()
    }

    /// Whatever has its name stays.
    pub fn leave(self) {}
}
