//! Whole files through SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhub_checksum::{
    Bad, Damage, PAGE_BYTES, Scrub, Seen, allow_holes, free_pages, holes_read, is_summed,
    last_damage, look, mend_in_place, reserve, scan, scrub,
};
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

fn open(file: &Path) -> Connection {
    dhub_checksum::open(file, OpenFlags::default(), None).expect("a database")
}

/// Rows of all sizes, in pages of all kinds, also unused ones.
fn make(file: &Path, journal: &str) {
    let db = open(file);
    reserve(&db).expect("room for checksums");
    db.pragma_update(None, "journal_mode", journal).expect("a journal");
    // So little that pages leave it before the first page is written.
    db.pragma_update(None, "cache_size", 10).expect("a cache");
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, more BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO t SELECT i, 'task ' || i, zeroblob(i % 10 * 900) FROM n;
         UPDATE t SET more = CAST(replace(hex(more), '0', 'x') AS BLOB);
         DELETE FROM t WHERE id BETWEEN 100 AND 140;",
    )
    .expect("rows");
    assert!(is_summed(&db));
    db.close().expect("closed");
}

fn sum_of_all(file: &Path) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count(*), sum(length(name) + id * length(more)) FROM t";
    open(file).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn bad_pages(file: &Path) -> Option<Vec<Bad>> {
    scan(&mut File::open(file).expect("the file"), &BTreeMap::new()).expect("read")
}

/// The damage that was seen last is that of the whole process.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("a.db");
    (dir, file)
}

#[test]
fn every_page_has_its_checksum() {
    let _turn = one_at_a_time();
    for journal in ["wal", "delete", "off"] {
        let (_dir, file) = place();
        make(&file, journal);
        let bytes = fs::read(&file).expect("the file");
        for (n, page) in bytes.chunks(PAGE_BYTES).enumerate() {
            let mut page = page.try_into().expect("a page");
            assert_eq!(look(n as u32 + 1, &mut page), Seen::Sound, "{journal}: page {}", n + 1);
        }
        assert_eq!(bad_pages(&file), Some(vec![]));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let plain = Connection::open_with_flags(&file, flags).expect("without a VFS of ours");
        let sound: String =
            plain.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
        assert_eq!(sound, "ok");
    }
}

#[test]
fn a_wrong_byte_is_mended_wherever_it_is() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    make(&file, "wal");
    let (bytes, all) = (fs::read(&file).expect("the file"), sum_of_all(&file).expect("rows"));
    // The header, what it says of checksums, and then about one in each page.
    let rest = (100..bytes.len()).step_by(PAGE_BYTES + 41);
    for at in [0, 17, 18, 20, 24, 31].into_iter().chain(rest) {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        fs::write(&file, &wrong).expect("written");
        let bad = Bad { page: (at / PAGE_BYTES) as u32 + 1, byte: Some(at % PAGE_BYTES) };
        assert_eq!(bad_pages(&file), Some(vec![bad]));
        assert_eq!(sum_of_all(&file).expect("rows"), all, "byte {at}");
        assert!(fs::read(&file).expect("the file") == wrong, "byte {at}: written by reading");
    }
}

/// A new file, and the same with a wrong bit in each page.
fn one_byte_of_each_page(file: &Path) -> (Vec<u8>, Vec<u8>) {
    make(file, "wal");
    let bytes = fs::read(file).expect("the file");
    let mut wrong = bytes.clone();
    for page in wrong.chunks_mut(PAGE_BYTES) {
        page[2000] ^= 0x04;
    }
    (bytes, wrong)
}

#[test]
fn what_is_mended_is_written_where_that_is_wanted() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    let (bytes, wrong) = one_byte_of_each_page(&file);
    fs::write(&file, &wrong).expect("written");
    let db = open(&file);
    mend_in_place(&db);
    let all = "SELECT sum(length(name) + id * length(hex(more))) FROM t NOT INDEXED";
    db.query_row(all, [], |row| row.get::<_, i64>(0)).expect("rows");
    db.query_row("SELECT max(name) FROM t WHERE name > ''", [], |_| Ok(())).expect("an index");
    drop(db);
    let mended = fs::read(&file).expect("the file");
    let pages = mended.chunks(PAGE_BYTES).zip(bytes.chunks(PAGE_BYTES));
    let left = pages.filter(|(one, other)| one != other).count();
    // Unused ones are not read.
    assert!(left < bytes.len() / PAGE_BYTES / 2, "{left}");
}

/// Also what nothing reads: by the end of it the file is as it was, but for what nobody can mend.
#[test]
fn a_scrub_mends_all_pages_under_an_open_connection() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    let (bytes, mut wrong) = one_byte_of_each_page(&file);
    // The last one is of no use to anybody who did not write it.
    let last = bytes.len() - PAGE_BYTES;
    wrong[last..][..9].fill(0xA5);
    fs::write(&file, &wrong).expect("written");
    let db = open(&file);
    let mut found = Scrub::default();
    while !found.is_over {
        scrub(&db, &mut found);
    }
    let pages = (bytes.len() / PAGE_BYTES) as u32;
    assert_eq!((found.mended, found.damaged), (pages - 1, 1));
    let mended = fs::read(&file).expect("the file");
    assert!(mended[..last] == bytes[..last], "what can be mended is");
    assert!(mended[last..] == wrong[last..], "what cannot stays");
    assert_eq!(bad_pages(&file), Some(vec![Bad { page: pages, byte: None }]));
    let plain = Connection::open(&file).expect("without a VFS of ours");
    let mut none = Scrub::default();
    scrub(&plain, &mut none);
    assert_eq!((none.is_over, none.mended), (true, 0));
}

#[test]
fn more_than_a_byte_is_an_error_that_leaves_the_transaction() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    make(&file, "wal");
    let mut bytes = fs::read(&file).expect("the file");
    // In the index of the names, in the table, and in what is left of pages that were split.
    let found = bytes.windows(8).enumerate().filter(|(_, it)| it == b"task 250");
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    for &at in &places {
        bytes[at..at + 8].copy_from_slice(b"task 999");
    }
    fs::write(&file, &bytes).expect("written");
    let db = open(&file);
    db.pragma_update(None, "journal_mode", "wal").expect("a journal");
    let change = db.unchecked_transaction().expect("a transaction");
    change.execute("UPDATE t SET more = 'new' WHERE id = 1", []).expect("another row");
    let read = |id: i64| {
        let sql = "SELECT CAST(more AS TEXT) FROM t WHERE id = ?1";
        db.query_row(sql, [id], |row| row.get::<_, String>(0))
    };
    let failed = [250, 1].map(|id| read(id).map_err(|error| error.sqlite_error_code()));
    assert!(failed.contains(&Ok("new".into())), "{failed:?}");
    change.commit().expect("the other row");
    assert_eq!(failed[0], Err(Some(ErrorCode::DatabaseCorrupt)));
    let damage = last_damage().expect("a page");
    assert_eq!(damage.file, file);
    assert!(places.iter().any(|at| at / PAGE_BYTES + 1 == damage.page as usize), "{damage}");
}

/// Numbers of the pages that are part of a table or an index, as SQLite's own walk through them finds them.
fn used_pages(file: &Path) -> BTreeSet<u32> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let plain = Connection::open_with_flags(file, flags).expect("without a VFS of ours");
    let mut select = plain.prepare("SELECT pageno FROM dbstat").expect("a walk");
    let pages = select.query_map([], |row| row.get(0)).expect("pages");
    pages.collect::<rusqlite::Result<_>>().expect("pages")
}

fn copy_all(file: &Path, to: &Path) -> rusqlite::Result<Vec<u32>> {
    let (from, mut to) = (open(file), open(to));
    reserve(&to)?;
    allow_holes(&from, true);
    Backup::new(&from, &mut to)?.step(-1)?;
    Ok(holes_read(&from))
}

#[test]
fn a_page_of_zeros_is_damage_unless_it_is_of_no_use() {
    let _turn = one_at_a_time();
    let (dir, file) = place();
    make(&file, "wal");
    let (bytes, all) = (fs::read(&file).expect("the file"), sum_of_all(&file).expect("rows"));
    let (used, count) = (used_pages(&file), (bytes.len() / PAGE_BYTES) as u32);
    let listed = free_pages(&File::open(&file).expect("the file"), &BTreeMap::new());
    assert!(listed.len() > 5 && used.is_disjoint(&listed), "{listed:?}");
    for page in 1..=count {
        let mut wrong = bytes.clone();
        wrong[(page as usize - 1) * PAGE_BYTES..][..PAGE_BYTES].fill(0);
        fs::write(&file, &wrong).expect("written");
        if listed.contains(&page) {
            assert_eq!(bad_pages(&file), Some(vec![]), "page {page}");
            assert_eq!(sum_of_all(&file).expect("rows"), all, "page {page}");
            let to = dir.path().join(format!("copy {page}.db"));
            assert_eq!(copy_all(&file, &to).expect("a copy"), [page]);
            assert_eq!(sum_of_all(&to).expect("rows"), all, "page {page}");
            continue;
        }
        // Without its first page, nothing says that it has checksums; and that is no database.
        if page > 1 {
            let bad = bad_pages(&file).expect("checksums");
            assert!(bad.contains(&Bad { page, byte: None }), "page {page}: {bad:?}");
        }
        if used.contains(&page) {
            let db = open(&file);
            let read = |sql: &str| db.query_row(sql, [], |_| Ok(()));
            let table = read("SELECT sum(length(name) + length(hex(more))) FROM t NOT INDEXED");
            let index = read("SELECT max(length(name)) FROM t INDEXED BY sqlite_autoindex_t_1");
            assert!(table.is_err() || index.is_err(), "page {page}");
            let damage = Damage { file: file.clone(), page };
            assert!(page == 1 || last_damage() == Some(damage), "page {page}: {:?}", last_damage());
        }
    }
}

/// In one transaction: what it needs no more when it ends is never written.
#[test]
fn pages_that_sqlite_leaves_out_are_no_damage() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    make(&file, "delete");
    let all = sum_of_all(&file).expect("rows");
    let db = open(&file);
    db.execute_batch(
        "BEGIN; CREATE TABLE u (x); INSERT INTO u VALUES (zeroblob(600000)); DELETE FROM u;
         DROP TABLE u; CREATE TABLE v (x); INSERT INTO v VALUES (1); COMMIT",
    )
    .expect("a transaction");
    db.close().expect("closed");
    let bytes = fs::read(&file).expect("the file");
    let is_hole = |page: &&[u8]| page.iter().all(|&byte| byte == 0);
    assert!(bytes.chunks(PAGE_BYTES).any(|page| is_hole(&page)), "none were left out");
    assert_eq!(bad_pages(&file), Some(vec![]));
    assert_eq!(sum_of_all(&file).expect("rows"), all);
    let db = open(&file);
    db.execute_batch("INSERT INTO v VALUES (zeroblob(500000)); PRAGMA integrity_check")
        .expect("they are used");
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("rows");
    assert_eq!(sound, "ok");
}

#[test]
fn a_file_without_checksums_stays_without() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    let plain = Connection::open(&file).expect("a database");
    plain
        .execute_batch("CREATE TABLE t (id, name, more); INSERT INTO t VALUES (1, 'a', 'b')")
        .expect("a row");
    drop(plain);
    let db = open(&file);
    assert!(!is_summed(&db));
    db.execute("INSERT INTO t VALUES (2, 'c', 'd')", []).expect("another row");
    drop(db);
    assert_eq!(bad_pages(&file), None);
    assert_eq!(sum_of_all(&file).expect("rows"), (2, 5));
}

/// SQLite's shell makes pages of another length of them: they have room for checksums, and have none.
#[test]
fn pages_of_another_length_have_none() {
    let _turn = one_at_a_time();
    let (_dir, file) = place();
    make(&file, "delete");
    let plain = Connection::open(&file).expect("without a VFS of ours");
    plain.execute_batch("PRAGMA page_size = 8192; VACUUM").expect("longer pages");
    drop(plain);
    assert!(!is_summed(&open(&file)));
    assert_eq!(bad_pages(&file), None);
}
