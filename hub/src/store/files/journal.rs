//! FILE-journal, which a hub with --network-file leaves when it dies in a transaction: pages as they were before. SQLite
//! puts them back into whatever file has the name. The format: https://www.sqlite.org/fileformat2.html#the_rollback_journal

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::meta_page::value;
use crate::engine::message::Turn;
use crate::store::files::paths::beside;

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Instead of a count: all that follow.
const ALL: u32 = u32::MAX;

pub fn journal_path(file: &Path) -> PathBuf {
    beside(file, "-journal")
}

/// The last turn that the tables had before the transaction, if the page with it was changed by that. `meta` is the number
/// of the page. One page is in memory at a time: a journal may be as large as the file.
pub fn turn_before(journal: impl Read + Seek, meta: u32) -> Option<Turn> {
    value(&page(journal, meta)?, "turn")
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A page as it was, if it is there whole. What was written later is of no account: it was not safe yet.
fn page(mut journal: impl Read + Seek, wanted: u32) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 28];
        journal.read_exact(&mut head).ok()?;
        let [count, nonce, _, sector, size] =
            [8, 12, 16, 20, 24].map(|by| number(&head, by).unwrap_or_default());
        let (sector, size) = (sector as usize, size as usize);
        let is_one = head.starts_with(&MAGIC);
        if !is_one || !(512..=65_536).contains(&size) || !(32..=65_536).contains(&sector) {
            return None;
        }
        journal.seek_relative((sector - head.len()) as i64).ok()?;
        let mut record = vec![0; 8 + size];
        for _ in 0..if count == ALL { ALL - 1 } else { count } {
            journal.read_exact(&mut record).ok()?;
            let page = &record[4..4 + size];
            let counted = (1..size.div_ceil(200)).map(|n| u32::from(page[size - 200 * n]));
            let sum = counted.fold(nonce, u32::wrapping_add);
            if number(&record, 0) == Some(wanted) && number(&record, 4 + size) == Some(sum) {
                return Some(page.to_vec());
            }
        }
        let at = journal.stream_position().ok()?;
        journal.seek_relative((at.next_multiple_of(sector as u64) - at) as i64).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use rusqlite::Connection;

    use super::*;

    #[test]
    fn the_turn_before_a_transaction_is_found_whatever_it_is() {
        for turn in [0, 1, 2, 127, 128, 40_000, 9_000_000, 3 << 30, 1 << 41, 1 << 52] {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("run.db");
            let db = Connection::open(&file).expect("a database");
            db.execute_batch(include_str!("../tables/schema.sql")).expect("the tables");
            let set = |turn: i64| {
                let sql = "INSERT OR REPLACE INTO meta VALUES ('turn', ?1)";
                db.execute(sql, [turn]).expect("a turn");
            };
            db.execute_batch("INSERT INTO meta VALUES ('log', -5), ('other', 300)").expect("rows");
            set(turn);
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'";
            let meta: u32 = db.query_row(sql, [], |row| row.get(0)).expect("a page");
            // Pages that do not fit into memory are written, and those of before with them.
            db.execute_batch("PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN")
                .expect("a transaction");
            set(turn + 1);
            for id in 1..100 {
                let sql = "INSERT INTO tasks (id, name, state, created_ms, command) VALUES (?1, ?1, 2, 0, zeroblob(3000))";
                db.execute(sql, [id]).expect("a task");
            }
            let journal = fs::read(journal_path(&file)).expect("the journal");
            let before = |journal: &[u8], page| turn_before(Cursor::new(journal), page);
            assert_eq!(before(&journal, meta), Some(turn as u64));
            assert_eq!(before(&journal, 90_000), None);
            assert_eq!(before(&journal[8..], meta), None, "no journal");
            for end in (0..journal.len()).step_by(101) {
                let cut = before(&journal[..end], meta);
                assert!(cut.is_none() || cut == Some(turn as u64), "{end}");
            }
        }
    }
}
