//! One record: whole pages, each of which says what it is part of.
//!
//! The first page has a header of `HEADER` bytes; each further one begins with a stamp, so that what
//! is left of a long record that was written over is not taken for the beginning of another one.

use super::body::{RecordBody, VERSION, VERSIONS};
use crate::engine::message::Turn;

/// Records begin at multiples of this: none is written over by its successor.
pub const PAGE: usize = 4096;
/// Before the digit of the version of what is in the record.
const MAGIC: [u8; 7] = *b"dhubred";
/// Begins the second page of a record, and those after it.
const MORE: [u8; 8] = *b"dhubmor4";
/// The magic and the turn, in each page.
const STAMP: usize = 16;
/// The stamp, a checksum, and five numbers.
pub const HEADER: usize = STAMP + 48;

/// What is said besides the changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Whose log it is.
    pub id: u64,
    pub turn: Turn,
    /// All turns up to this one were safe when it was written.
    pub safe: Turn,
    /// And up to this one the tables had them for good.
    pub folded: Turn,
    /// The file was at least so long.
    pub bytes: u64,
}

pub struct Record {
    pub head: Head,
    pub body: RecordBody,
}

impl Record {
    pub fn pages(&self) -> usize {
        pages(self.body.bytes.len())
    }
}

fn pages(body: usize) -> usize {
    1 + body.saturating_sub(PAGE - HEADER).div_ceil(PAGE - STAMP)
}

/// What a page is, if it begins no sound record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remnant {
    /// Nothing was ever written there.
    Blank,
    /// It says that it is of this turn.
    Of(Turn),
    Unreadable,
}

/// In which version the bytes of a record speak, if they are of one that is known.
fn version(bytes: &[u8]) -> Option<u8> {
    let digit = bytes.strip_prefix(&MAGIC)?.first()?;
    VERSIONS.into_iter().find(|version| b'0' + version == *digit)
}

/// The bytes were written by another version, which is not known.
pub fn is_of_another_version(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) && version(bytes).is_none()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The record that begins here, if it is sound.
pub fn parse(bytes: &[u8]) -> Option<Record> {
    let header = bytes.get(..HEADER)?;
    let version = version(header)?;
    let [turn, sum, id, size, safe, folded, long] =
        [8, 16, 24, 32, 40, 48, 56].map(|at| number(header, at));
    let mut left = usize::try_from(size?).ok().filter(|size| *size <= bytes.len())?;
    let mut body = Vec::with_capacity(left);
    let (mut rest, mut skip) = (bytes, HEADER);
    while left > 0 {
        let part = rest.get(skip..)?;
        let part = &part[..part.len().min(PAGE - skip).min(left)];
        body.extend_from_slice(part);
        left -= part.len();
        (rest, skip) = if left > 0 { (rest.get(PAGE..)?, STAMP) } else { (rest, STAMP) };
    }
    let head = Head { id: id?, turn: turn?, safe: safe?, folded: folded?, bytes: long? };
    (sum? == checksum(header, &body))
        .then_some(Record { head, body: RecordBody { version, bytes: body } })
}

/// What this page is, that begins no sound record.
pub fn remnant(page: &[u8]) -> Remnant {
    if page.iter().all(|byte| *byte == 0) {
        return Remnant::Blank;
    }
    match (page.get(..8), number(page, 8), number(page, 40)) {
        (Some(magic), Some(turn), _) if magic == MORE => Remnant::Of(turn),
        // Said twice: a bit that flips cannot make a new one old.
        (Some(magic), Some(turn), Some(safe)) if version(magic).is_some() => {
            Remnant::Of(turn.max(safe.saturating_add(1)))
        }
        _ => Remnant::Unreadable,
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let mut sum = crc32fast::Hasher::new();
    // Which version it speaks is part of it since version 6.
    let version = if header[7] >= b'6' { &header[7..8] } else { &[] };
    sum.update(version);
    sum.update(&header[8..16]);
    sum.update(&header[24..]);
    sum.update(body);
    u64::from(sum.finalize())
}

/// Makes whole pages of a body that stands behind room for a header.
pub fn seal(record: &mut Vec<u8>, head: Head) {
    let size = record.len() - HEADER;
    record[..7].copy_from_slice(&MAGIC);
    record[7] = b'0' + VERSION;
    let numbers = [(8, head.turn), (24, head.id), (32, size as u64), (40, head.safe)];
    for (at, number) in numbers.into_iter().chain([(48, head.folded), (56, head.bytes)]) {
        record[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    let (header, body) = record.split_at(HEADER);
    let sum = checksum(header, body);
    record[16..24].copy_from_slice(&sum.to_le_bytes());
    let pages = pages(size);
    record.resize(pages * PAGE, 0);
    // From the end, where there is room.
    for page in (1..pages).rev() {
        let from = PAGE + (page - 1) * (PAGE - STAMP);
        let to = page * PAGE + STAMP;
        record.copy_within(from..from + PAGE - STAMP, to);
        record[to - STAMP..to - 8].copy_from_slice(&MORE);
        record[to - 8..to].copy_from_slice(&head.turn.to_le_bytes());
    }
    // What was moved away is not part of the last page.
    let end = match pages {
        1 => HEADER + size,
        _ => (pages - 1) * PAGE + STAMP + (size - (PAGE - HEADER) - (pages - 2) * (PAGE - STAMP)),
    };
    record[end..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_length_is_read_as_it_was_written() {
        let head = Head { id: 7, turn: 9, safe: 8, folded: 3, bytes: 99 };
        let edge = PAGE - HEADER;
        let more = PAGE - STAMP;
        for size in [0, 1, edge - 1, edge, edge + 1, edge + more, edge + more + 1, 100_000] {
            let body: Vec<u8> = (0..size).map(|i| ((i * i) >> 3) as u8 | 1).collect();
            let mut record = vec![0; HEADER];
            record.extend_from_slice(&body);
            seal(&mut record, head);
            assert_eq!(record.len() % PAGE, 0);
            let read = parse(&record).expect("a sound record");
            assert_eq!((read.head, read.pages() * PAGE), (head, record.len()), "{size}");
            assert_eq!(read.body.bytes, body, "{size}");
            for page in record.chunks(PAGE).skip(1) {
                assert_eq!(remnant(page), Remnant::Of(9));
            }
            // A page that is missing at its end.
            assert!(parse(&record[..record.len() - PAGE]).is_none(), "{size}");
        }
    }

    #[test]
    fn no_bit_of_a_header_makes_a_new_record_an_old_one() {
        let mut record = vec![0; HEADER];
        record.extend_from_slice(b"body");
        seal(&mut record, Head { id: 7, turn: 9, safe: 8, folded: 3, bytes: 99 });
        for bit in 0..8 * (HEADER + 4) {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped).is_none(), "bit {bit}");
            let is_old = matches!(remnant(&flipped), Remnant::Of(..=8) | Remnant::Blank);
            assert!(!is_old, "bit {bit}");
        }
    }
}
