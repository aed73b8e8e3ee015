//! What is known of an open file.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::page::{PAGE_BYTES, Page, RESERVED_BYTES, Seen, look};
use crate::writes::Writes;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the first page says how many bytes SQLite leaves alone.
const RESERVED_AT: usize = 20;
/// And how long they are.
const SIZE_AT: usize = 16;

/// A page that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    pub page: u32,
}

impl fmt::Display for Damage {
    fn fmt(&self, text: &mut fmt::Formatter) -> fmt::Result {
        write!(text, "page {} of {} is damaged", self.page, self.file.display())
    }
}

impl std::error::Error for Damage {}

static LAST: Mutex<Option<Damage>> = Mutex::new(None);

/// Pages that were told of, by file, and whether as damaged: a start opens a file more than once, and each is told once.
static TOLD: Mutex<BTreeSet<(PathBuf, u32, bool)>> = Mutex::new(BTreeSet::new());
/// Of all files together: a file that somebody else wrote has nothing but such pages.
const TOLD_MAX: usize = 100;

/// The damaged page that was read last, of any file of this process: SQLite's error does not say.
pub fn last_damage() -> Option<Damage> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub struct State {
    path: PathBuf,
    /// Its pages have checksums.
    pub summed: bool,
    /// Bytes that were mended are written.
    pub mends: bool,
    /// A page that is about to be written, or of which only some is wanted.
    pub buffer: Box<Page>,
    /// Where the file ended when it was opened, or synced last. Pages behind that are of a transaction that is under
    /// way: SQLite leaves out those that it needs no more, and may read them in spite of that.
    pub safe_end: u64,
    /// Holes are read as they are, and noted.
    pub allows_holes: bool,
    pub holes: BTreeSet<u32>,
    /// Damaged ones, until they are written: they are asked for again and again by what looks for a way around.
    damaged: HashSet<u32>,
    /// None: nobody asks for them.
    writes: Option<Arc<Writes>>,
}

impl State {
    /// Of a file with nothing in it: whoever makes one reserves the bytes.
    pub fn new(path: PathBuf) -> Self {
        let buffer = Box::new([0; PAGE_BYTES]);
        let writes = Writes::if_watched(&path);
        Self {
            path,
            summed: true,
            mends: false,
            buffer,
            safe_end: 0,
            allows_holes: false,
            holes: BTreeSet::new(),
            damaged: HashSet::new(),
            writes,
        }
    }

    /// Does what changes the file.
    pub fn change<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.writes {
            Some(writes) => writes.note(write),
            None => write(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// By the first page, or as much of it as there is. If its checksum fits, or would but for a byte, it has one:
    /// that the byte which says so is wrong makes no difference.
    pub fn begin(&mut self, first: &[u8]) {
        let says_so = |page: &[u8]| {
            page.get(RESERVED_AT) == Some(&(RESERVED_BYTES as u8))
                && page.get(SIZE_AT..SIZE_AT + 2) == Some(&(PAGE_BYTES as u16).to_be_bytes())
        };
        self.summed = match <&Page>::try_from(first) {
            Ok(page) => {
                let mut page = *page;
                let is_one = matches!(look(1, &mut page), Seen::Sound | Seen::Mended { .. });
                says_so(first) || (is_one && says_so(&page) && page.starts_with(MAGIC))
            }
            Err(_) => says_so(first),
        };
    }

    /// The first page, which comes before all others, out of SQLite's log: the one in the file was cut off when it was
    /// written first, and could not say that it has a checksum.
    pub fn note_written(&mut self, number: u32) {
        self.damaged.remove(&number);
        self.summed |= number == 1 && self.buffer.starts_with(MAGIC) && self.may_write(1);
    }

    /// Pages behind the end may come back as others.
    pub fn note_cut(&mut self) {
        self.damaged.clear();
    }

    /// A first page without room for checksums must not get into a file whose pages have them.
    pub fn may_write(&self, number: u32) -> bool {
        number != 1 || self.buffer[RESERVED_AT] == RESERVED_BYTES as u8
    }

    pub fn is_damaged(&self, number: u32) -> bool {
        self.damaged.contains(&number)
    }

    /// One that was read, each once; 0: no more.
    pub fn next_hole(&mut self) -> i32 {
        self.holes.pop_first().and_then(|page| page.try_into().ok()).unwrap_or(0)
    }

    /// Looks at a page that was read, and says that it is damaged, once.
    pub fn look(&mut self, number: u32, page: &mut Page) -> Seen {
        let seen = match look(number, page) {
            Seen::Hole if self.allows_holes => {
                self.holes.insert(number);
                Seen::Sound
            }
            Seen::Hole if u64::from(number) * PAGE_BYTES as u64 > self.safe_end => Seen::Sound,
            // SQLite reads only what it has use for.
            Seen::Hole => Seen::Damaged,
            seen => seen,
        };
        if seen == Seen::Damaged {
            self.tell_damaged(number);
            self.damaged.insert(number);
            let damage = Damage { file: self.path.clone(), page: number };
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(damage);
        }
        seen
    }

    pub fn tell_damaged(&self, number: u32) {
        self.tell(number, true, format_args!(" is damaged"));
    }

    /// What became of the byte in the file. None: the file is only looked at.
    pub fn tell_mended(&self, number: u32, at: usize, written: Option<io::Result<()>>) {
        match written {
            Some(Ok(())) => {
                self.tell(number, false, format_args!(": byte {at} was wrong, and is mended"));
            }
            Some(Err(error)) => self.tell(
                number,
                false,
                format_args!(
                    ": byte {at} is wrong; it is put right where it is read, for the file does not take it: {error}"
                ),
            ),
            None => self.tell(
                number,
                false,
                format_args!(
                    ": byte {at} is wrong; it is put right where it is read, and a hub on the file mends it"
                ),
            ),
        }
    }

    /// Says it of a page, once in this process: one that was mended may be damaged later.
    fn tell(&self, number: u32, damaged: bool, what: fmt::Arguments) {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.len() <= TOLD_MAX && told.insert((self.path.clone(), number, damaged));
        let file = self.path.display();
        match told.len() {
            _ if !is_new => {}
            ..=TOLD_MAX => tracing::warn!("page {number} of {file}{what}"),
            _ => tracing::warn!("more pages of {file} are wrong: dhub check lists them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &Path) -> Vec<bool> {
        let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|(file, ..)| file == path).map(|(.., damaged)| *damaged).collect()
    }

    #[test]
    fn a_page_that_was_mended_and_is_damaged_later_is_told_as_both_once() {
        let state = State::new("told-twice.db".into());
        for _ in 0..2 {
            state.tell_mended(3, 7, Some(Ok(())));
        }
        assert_eq!(told(state.path()), [false]);
        for _ in 0..2 {
            state.tell_damaged(3);
            state.tell_mended(3, 7, None);
        }
        assert_eq!(told(state.path()), [false, true]);
    }
}
