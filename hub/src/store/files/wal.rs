//! FILE-wal, SQLite's log, looked at as it lies there. SQLite takes the frames up to the first that
//! is damaged and says nothing of the rest; some of that the file may have already, and what it then
//! shows was never so. The format: https://www.sqlite.org/fileformat2.html#walformat

use std::collections::BTreeMap;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit says in which order the bytes are summed up.
const MAGIC: u32 = 0x377f_0682;

/// Two sums over all before; each frame has them, so one is damaged or goes on from the one before.
type Sum = (u32, u32);

struct Frame {
    page: u32,
    /// Of the file after the commit that this frame ends; 0: it ends none.
    pages_after: u32,
    /// Where its page begins.
    at: usize,
    is_sound: bool,
}

/// What is in the log.
pub struct Wal {
    bytes: Vec<u8>,
    page_size: usize,
    frames: Vec<Frame>,
    header_is_sound: bool,
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn sum(mut sum: Sum, bytes: &[u8], is_big: bool) -> Sum {
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| {
            let word = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            if is_big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        sum.0 = sum.0.wrapping_add(word(0)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(4)).wrapping_add(sum.0);
    }
    sum
}

impl Wal {
    /// None: nothing in it could be a log's. `page_size` is that of the file.
    pub fn read(bytes: Vec<u8>, page_size: usize) -> Option<Self> {
        let stored = |at: usize| Some((number(&bytes, at)?, number(&bytes, at + 4)?));
        let header_sum = stored(24)?;
        let magic = number(&bytes, 0)?;
        // If that is damaged, the order of this kind of machine.
        let is_big = if magic & !1 == MAGIC { magic & 1 == 1 } else { cfg!(target_endian = "big") };
        let computed = sum((0, 0), &bytes[..24], is_big);
        let header_is_sound = magic & !1 == MAGIC
            && computed == header_sum
            && number(&bytes, 8) == Some(page_size as u32);
        let salt_at = if header_is_sound { 16 } else { HEADER + 8 };
        let salt = bytes.get(salt_at..salt_at + 8).unwrap_or_default();
        let mut frames = Vec::new();
        // From what the frame before says of itself, and from what it is.
        let mut before = [computed, header_sum];
        let mut at = HEADER;
        while let Some(frame) = bytes.get(at..at + FRAME_HEADER + page_size) {
            let (head, page) = frame.split_at(FRAME_HEADER);
            let stored = (number(head, 16)?, number(head, 20)?);
            let go_on = |from: Sum| sum(sum(from, &head[..8], is_big), page, is_big);
            let is_sound = &head[8..16] == salt && before.iter().any(|&from| go_on(from) == stored);
            before = if is_sound { [stored; 2] } else { [go_on(before[0]), stored] };
            frames.push(Frame {
                page: number(head, 0)?,
                pages_after: number(head, 4)?,
                at: at + FRAME_HEADER,
                is_sound,
            });
            at += FRAME_HEADER + page_size;
        }
        Some(Self { page_size, frames, header_is_sound, bytes })
    }

    /// The first frame that SQLite does not take.
    fn end(&self) -> usize {
        if !self.header_is_sound {
            return 0;
        }
        self.frames.iter().position(|frame| !frame.is_sound).unwrap_or(self.frames.len())
    }

    /// It was damaged after it was written: a commit stands behind what cannot be read, and another
    /// one begins behind that. Each is synced before the next one.
    pub fn is_damaged(&self) -> bool {
        // A log that begins anew writes over the header, with all that stands behind it in the file
        // already. What the tables have tells that apart from damage.
        if !self.header_is_sound {
            return false;
        }
        let rest = &self.frames[self.end()..];
        let Some(commit) = rest.iter().position(|frame| frame.is_sound && frame.pages_after > 0)
        else {
            return false;
        };
        rest[commit + 1..].iter().any(|frame| frame.is_sound)
    }

    /// The newest state of each page in it, up to the last commit that can be read, and how many
    /// pages the file has then. What is damaged in between is passed over.
    pub fn pages(&self) -> (BTreeMap<u32, &[u8]>, Option<u32>) {
        let last = self.frames.iter().rposition(|frame| frame.is_sound && frame.pages_after > 0);
        let Some(last) = last else { return (BTreeMap::new(), None) };
        let sound = self.frames[..=last].iter().filter(|frame| frame.is_sound);
        let page = |frame: &Frame| (frame.page, &self.bytes[frame.at..frame.at + self.page_size]);
        (sound.map(page).collect(), Some(self.frames[last].pages_after))
    }
}

impl Wal {
    /// Frames before the last commit that cannot be read, and whose pages no later one has.
    pub fn unread(&self) -> usize {
        let last = self.frames.iter().rposition(|frame| frame.is_sound && frame.pages_after > 0);
        let frames = &self.frames[..last.map_or(0, |last| last + 1)];
        let has_later = |at: usize, page: u32| {
            frames[at + 1..].iter().any(|later| later.is_sound && later.page == page)
        };
        let unread = frames.iter().enumerate().filter(|(_, frame)| !frame.is_sound);
        unread.filter(|(at, frame)| !has_later(*at, frame.page)).count()
    }
}

/// The size of the pages, as the first bytes of a file say it.
pub fn page_size(file: &[u8]) -> Option<usize> {
    let size = u16::from_be_bytes(file.get(16..18)?.try_into().ok()?);
    let size = if size == 1 { 65_536 } else { usize::from(size) };
    (size >= 512 && size.is_power_of_two()).then_some(size)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use std::fs;

    use super::*;

    /// Three commits, the last of which is of two pages.
    fn log() -> (Vec<u8>, usize) {
        let dir = tempfile::TempDir::new().expect("a directory");
        let file = dir.path().join("a.db");
        let db = Connection::open(&file).expect("a database");
        db.pragma_update(None, "journal_mode", "WAL").expect("a log");
        db.execute_batch(
            "CREATE TABLE t (x); INSERT INTO t VALUES (1); INSERT INTO t VALUES (zeroblob(5000))",
        )
        .expect("rows");
        let bytes = fs::read(dir.path().join("a.db-wal")).expect("the log");
        (bytes, page_size(&fs::read(&file).expect("the file")).expect("a size"))
    }

    #[test]
    fn a_log_as_sqlite_wrote_it_is_sound() {
        let (bytes, size) = log();
        let wal = Wal::read(bytes.clone(), size).expect("a log");
        assert!(wal.frames.len() >= 5 && wal.frames.iter().all(|frame| frame.is_sound));
        assert!(!wal.is_damaged());
        assert_eq!(wal.pages().1, Some(3));
        // Cut anywhere, it is as if the power had gone.
        for end in (0..bytes.len()).step_by(97) {
            let cut = Wal::read(bytes[..end].to_vec(), size);
            assert!(cut.is_none_or(|wal| !wal.is_damaged()), "{end}");
        }
    }

    #[test]
    fn damage_before_the_last_commit_is_told_and_only_that_frame_is_lost() {
        let (bytes, size) = log();
        let sound = Wal::read(bytes.clone(), size).expect("a log");
        let commits = |wal: &Wal| wal.frames.iter().filter(|frame| frame.pages_after > 0).count();
        assert_eq!(commits(&sound), 3);
        // Magic, size of the pages, salts and sums; then a number, a salt, the sums and a page.
        let header = [0, 3, 10, 16, 20, 24, 28];
        let frame = [32, 41, 48, 54, 32 + 24 + 1000];
        for at in header.into_iter().chain(frame) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            let wal = Wal::read(flipped, size).expect("a log");
            // Of the header, what the tables have tells.
            assert_eq!(wal.is_damaged(), at >= HEADER, "byte {at}");
            let lost = wal.frames.iter().filter(|frame| !frame.is_sound).count();
            assert_eq!(lost, usize::from(at >= HEADER), "byte {at}");
        }
    }
}
