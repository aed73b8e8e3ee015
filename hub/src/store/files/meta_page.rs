//! The page with the numbers of `meta`, read by itself: in a log, of which it is not known yet to what file it belongs.
//! The format: https://www.sqlite.org/fileformat2.html#b_tree_pages

/// A page of a table without row ids that leads to no others.
const LEAF: u8 = 10;
const CELLS_AT: usize = 8;

/// What it says of this key; None: nothing, or it is another page.
pub fn value(page: &[u8], key: &str) -> Option<u64> {
    if *page.first()? != LEAF {
        return None;
    }
    let two =
        |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    (0..two(3)?).find_map(|cell| {
        // Its length, that of the head, and a type each; all of them below 128.
        let cell = page.get(two(CELLS_AT + 2 * cell)?..)?;
        let [_, 3, text, kind] = *cell.first_chunk()? else { return None };
        let length = usize::from(text).checked_sub(13)? / 2;
        let (found, value) = cell.get(4..)?.split_at_checked(length)?;
        let (bytes, known) = match kind {
            1..=4 => (usize::from(kind), 0),
            5 => (6, 0),
            6 => (8, 0),
            8 | 9 => (0, i64::from(kind - 8)),
            _ => return None,
        };
        let value = value.get(..bytes)?;
        // They are signed, whatever their length.
        let sign = value.first().map_or(known, |byte| i64::from(*byte as i8) >> 7);
        let value = value.iter().fold(sign, |sum, byte| sum << 8 | i64::from(*byte));
        (found == key.as_bytes()).then_some(value as u64)
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn numbers_of_each_length_are_read_as_sqlite_wrote_them() {
        let ends = [0_i64, 1, 127, 128, 255, 1 << 15, 1 << 23, 1 << 31, 1 << 47, i64::MAX];
        for number in ends.into_iter().flat_map(|end| [end, -end, !end, end.wrapping_sub(1)]) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("run.db");
            let db = Connection::open(&file).expect("a database");
            db.execute_batch(
                "PRAGMA page_size = 4096; CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                INSERT INTO meta VALUES ('before', 7)",
            )
            .expect("a table");
            db.execute("INSERT INTO meta VALUES ('log', ?1)", [number]).expect("a number");
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'";
            let root: u32 = db.query_row(sql, [], |row| row.get(0)).expect("a page");
            let root = root as usize;
            let bytes = std::fs::read(&file).expect("the file");
            let page = &bytes[(root - 1) * 4096..root * 4096];
            assert_eq!(value(page, "log"), Some(number as u64), "{number}");
            assert_eq!(value(page, "before"), Some(7));
            assert_eq!(value(page, "turn"), None);
        }
    }
}
