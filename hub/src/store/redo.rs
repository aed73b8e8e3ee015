//! FILE.redo: what is committed and not yet folded into the tables.
//!
//! A commit is one record, written at the next free page and synced. The file has two regions: while
//! one fills, the turns of the other are folded into the tables, and then it is written over, so
//! that a commit neither allocates blocks nor waits for a journal. Records are never changed or
//! removed: turns count up without a gap, and those that the tables have are of no more account.
//! The first page says whose log it is and is written once.
//!
//! A write that was cut off fails its checksum; it was the last one, and was not acknowledged.
//! Whatever else is missing between two turns was there once: then the hub does not start.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dhub_proto::private::{self, Mode, PrivateError};

use crate::scheduler::message::Turn;

/// Records begin at multiples of this: none is written over by its successor.
const PAGE: usize = 4096;
/// Changes with the format of a record or of what is in it.
const MAGIC: [u8; 8] = *b"dhubred3";
/// What it has in all versions.
const MAGIC_BYTES: usize = 7;
const HEADER: usize = 40;
/// In place of a turn, for these count from 1.
const FIRST_PAGE: Turn = 0;
/// Room for records in each of the two regions.
pub const REGION_BYTES: u64 = 16 << 20;
/// So much is filled with zeros at a time, for the records to be written over.
const FILL_BYTES: u64 = 256 << 10;

/// What the log is written to: a file, or in tests a disk that fails.
pub trait Medium {
    fn read(&self) -> io::Result<Vec<u8>>;
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    /// Nothing is in it any more.
    fn clear(&self) -> io::Result<()>;
    fn remove(self: Box<Self>) -> io::Result<()>;
}

/// The file as the system has it.
pub struct RedoFile {
    file: File,
    path: PathBuf,
}

impl RedoFile {
    /// Made if it is not there; then its name in the directory is safe too.
    pub fn open(path: &Path, mode: Option<Mode>) -> Result<Self, PrivateError> {
        let file = private::keep(path, mode)?.file;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
        synced.map_err(|source| PrivateError::Io { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }
}

impl Medium for RedoFile {
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    fn remove(self: Box<Self>) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
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

/// A record is missing between others, so the file was damaged after it was written.
#[derive(Debug, thiserror::Error)]
#[error("turn {missing} is missing or damaged, and turn {found} is there")]
pub struct Gap {
    missing: Turn,
    found: Turn,
}

/// The records of a file, by turn.
#[derive(Default)]
pub struct Records {
    /// With what they say, and whose they are.
    turns: BTreeMap<Turn, (u64, Vec<u8>)>,
    /// The first page says that another version wrote it.
    pub of_another_version: bool,
}

impl Records {
    /// All that can be read.
    pub fn read(medium: &dyn Medium) -> io::Result<Self> {
        let bytes = medium.read()?;
        let of_another_version =
            bytes.starts_with(&MAGIC[..MAGIC_BYTES]) && !bytes.starts_with(&MAGIC);
        let mut records = Self { of_another_version, ..Self::default() };
        let mut rest = bytes.as_slice();
        while rest.len() >= HEADER {
            let pages = match parse(rest) {
                Some((id, turn, body)) => {
                    records.turns.insert(turn, (id, body.to_vec()));
                    (HEADER + body.len()).div_ceil(PAGE)
                }
                None => 1,
            };
            rest = &rest[rest.len().min(pages * PAGE)..];
        }
        Ok(records)
    }

    /// Whose log it is, if it is one.
    pub fn owner(&self) -> Option<u64> {
        self.turns.get(&FIRST_PAGE).map(|(id, _)| *id)
    }

    /// Some turn is in it.
    pub fn has_turns(&self) -> bool {
        self.turns.keys().any(|turn| *turn != FIRST_PAGE)
    }

    /// Those after the last turn that the tables have, in order.
    pub fn after(mut self, folded: Turn) -> Result<BTreeMap<Turn, Vec<u8>>, Gap> {
        let newer = self.turns.split_off(&(folded + 1));
        for (missing, &found) in (folded + 1..).zip(newer.keys()) {
            if missing != found {
                return Err(Gap { missing, found });
            }
        }
        Ok(newer.into_iter().map(|(turn, (_, body))| (turn, body)).collect())
    }
}

/// Whose record begins here, of which turn, with what it says.
fn parse(bytes: &[u8]) -> Option<(u64, Turn, &[u8])> {
    let header = bytes.get(..HEADER)?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    if header[..8] != MAGIC {
        return None;
    }
    let (sum, id, turn, size) = (number(8)?, number(16)?, number(24)?, number(32)?);
    let body = bytes[HEADER..].get(..usize::try_from(size).ok()?)?;
    (sum == checksum(&header[16..], body)).then_some((id, turn, body))
}

fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(header);
    sum.update(body);
    u64::from(sum.finalize())
}

impl Redo {
    /// A log without turns that count; what is in the file is written over.
    pub fn new(medium: Box<dyn Medium>, id: u64, region_bytes: u64) -> Self {
        let region = |start| Region { start, ..Region::default() };
        let regions = [region(PAGE as u64), region(PAGE as u64 + region_bytes)];
        Self { medium, id, region_bytes, regions, current: 0, record: Vec::new() }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// An empty log that says whose it is. Nothing of another one stays behind it.
    pub fn begin(&mut self) -> io::Result<()> {
        self.medium.clear()?;
        self.record.clear();
        self.record.resize(HEADER, 0);
        self.seal(FIRST_PAGE);
        self.medium.write(0, &self.record)?;
        self.medium.sync()
    }

    /// Writes a turn and makes it safe, if there is room. `folded` is the last turn that the tables
    /// have for good; `write` appends what the record says.
    pub fn append(
        &mut self,
        turn: Turn,
        folded: Turn,
        write: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>,
    ) -> io::Result<Room> {
        self.record.clear();
        self.record.resize(HEADER, 0);
        self.record = write(std::mem::take(&mut self.record))?;
        self.seal(turn);
        let needed = self.record.len() as u64;
        if needed > self.region_bytes {
            return Ok(Room::TooLarge);
        }
        if !self.make_room(needed, folded) {
            return Ok(Room::Full);
        }
        let region = &mut self.regions[self.current];
        let end = region.used + needed;
        if end > region.filled {
            let zeros =
                vec![0; FILL_BYTES.max(needed).min(self.region_bytes - region.filled) as usize];
            self.medium.write(region.start + region.filled, &zeros)?;
            region.filled += zeros.len() as u64;
        }
        self.medium.write(region.start + region.used, &self.record)?;
        self.medium.sync()?;
        (region.used, region.last) = (end, turn);
        Ok(Room::Taken)
    }

    /// Fills in the header. Whole pages: nothing has to be read first, and a size says where the next
    /// record begins.
    fn seal(&mut self, turn: Turn) {
        let size = self.record.len() - HEADER;
        for (at, number) in (16..).step_by(8).zip([self.id, turn, size as u64]) {
            self.record[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let (header, body) = self.record.split_at_mut(HEADER);
        let sum = checksum(&header[16..], body);
        header[..8].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&sum.to_le_bytes());
        self.record.resize(self.record.len().next_multiple_of(PAGE), 0);
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
}
