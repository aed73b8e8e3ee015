//! Rows of tasks in pages that nothing leads to any more, as the page above them is damaged. The
//! format: https://www.sqlite.org/fileformat2.html#b_tree_pages

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::types::Value;

use crate::store::files::wal::page_size;

/// Of a page whose rows are all of a table.
const LEAF: u8 = 13;
/// Of the first page.
const FILE_HEADER: usize = 100;

struct Pages {
    file: File,
    size: usize,
    /// What SQLite uses of each.
    usable: usize,
    count: u64,
}

/// Hands over each row with its number, as far as pages and rows can be read.
pub fn each_row(
    file: &Path,
    mut take: impl FnMut(i64, Vec<Value>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let io = |error: io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let file = File::open(file).map_err(io)?;
    let mut head = [0; FILE_HEADER];
    file.read_exact_at(&mut head, 0).map_err(io)?;
    let Some(size) = page_size(&head) else { return Ok(()) };
    let count = file.metadata().map_err(io)?.len() / size as u64;
    let pages = Pages { file, size, usable: size.saturating_sub(head[20].into()), count };
    for number in 1..=pages.count {
        let Some(page) = pages.read(number) else { continue };
        let begin = if number == 1 { FILE_HEADER } else { 0 };
        for (id, values) in pages.rows(&page, begin) {
            take(id, values)?;
        }
    }
    Ok(())
}

impl Pages {
    fn read(&self, number: u64) -> Option<Vec<u8>> {
        let mut page = vec![0; self.size];
        let at = number.checked_sub(1).filter(|_| number <= self.count)? * self.size as u64;
        self.file.read_exact_at(&mut page, at).ok().map(|()| page)
    }

    fn rows(&self, page: &[u8], begin: usize) -> Vec<(i64, Vec<Value>)> {
        if page.get(begin) != Some(&LEAF) {
            return Vec::new();
        }
        let number = |at: usize| {
            let bytes = page.get(at..at + 2)?;
            Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
        };
        let cells = number(begin + 3).unwrap_or_default();
        let cells = (0..cells).filter_map(|i| number(begin + 8 + 2 * i));
        cells.filter_map(|at| self.row(page, at)).collect()
    }

    fn row(&self, page: &[u8], at: usize) -> Option<(i64, Vec<Value>)> {
        let mut rest = page.get(at..self.usable)?;
        let (size, id) = (varint(&mut rest)?, varint(&mut rest)?);
        let size = usize::try_from(size).ok()?;
        let local = self.local(size);
        let mut payload = rest.get(..local)?.to_vec();
        let mut next = rest.get(local..).and_then(|rest| rest.get(..4)).map(to_number);
        while payload.len() < size {
            let more = self.read(next?)?;
            next = Some(to_number(more.get(..4)?));
            let part = more.get(4..self.usable)?;
            payload.extend_from_slice(&part[..part.len().min(size - payload.len())]);
        }
        Some((id as i64, record(&payload)?))
    }

    /// So much of a row is in the page itself.
    fn local(&self, size: usize) -> usize {
        let most = self.usable.saturating_sub(35);
        if size <= most {
            return size;
        }
        let least = (self.usable.saturating_sub(12) * 32 / 255).saturating_sub(23);
        let part = least + (size - least) % self.usable.saturating_sub(4).max(1);
        if part <= most { part } else { least }
    }
}

fn to_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for i in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if i == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The columns of a row.
fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let mut types = payload;
    let size = usize::try_from(varint(&mut types)?).ok()?;
    let mut types = payload.get(payload.len() - types.len()..size)?;
    let mut rest = payload.get(size..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let kind = varint(&mut types)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let bytes = rest.get(..size)?;
        rest = &rest[size..];
        values.push(match kind {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            7 => Value::Real(f64::from_bits(to_number(bytes))),
            1..=6 => {
                let unused = 64 - 8 * size as u32;
                Value::Integer((to_number(bytes) << unused) as i64 >> unused)
            }
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
        });
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn rows_are_read_as_sqlite_wrote_them() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let file = dir.path().join("a.db");
        let db = Connection::open(&file).expect("a database");
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d)").expect("a table");
        let mut insert = db.prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)").expect("SQL");
        let row = |id: i64| {
            let number = (id - 500) * (1 << (id % 50));
            (id, number, "ü".repeat(id as usize * 37 % 9_000), vec![7_u8; id as usize % 200])
        };
        for id in 1..=1_000 {
            let (_, number, text, bytes) = row(id);
            insert.execute((id, number, text, bytes, id as f64 / 3.0)).expect("a row");
        }
        drop(insert);
        db.close().expect("an end");
        let mut seen = 0;
        each_row(&file, |id, values| {
            // The table of tables has five columns too.
            if matches!(values[0], Value::Null) {
                let (_, number, text, bytes) = row(id);
                let expected = [
                    Value::Null,
                    Value::Integer(number),
                    Value::Text(text),
                    Value::Blob(bytes),
                    Value::Real(id as f64 / 3.0),
                ];
                // A whole number is stored as one.
                assert_eq!(values[..4], expected[..4], "{id}");
                seen += 1;
            }
            Ok(())
        })
        .expect("the file");
        assert_eq!(seen, 1_000);
    }
}
