//! The schema changes only with its version: a file of each version is kept in tests/data, and
//! later hubs must go on with it.

use std::path::Path;

use dhub::store::Store;
use rusqlite::Connection;

/// All that the schema says, without comments and white space.
fn schema(file: &Path) -> (i64, Vec<(String, String)>) {
    let db = Connection::open(file).expect("a database");
    let version = db.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    let mut select = db
        .prepare("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .expect("a schema");
    let rows = select.query_map([], |row| {
        let sql: String = row.get(1)?;
        let lines = sql.lines().filter_map(|line| line.split("--").next());
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        Ok((row.get(0)?, words.join(" ")))
    });
    (version, rows.expect("rows").map(|row| row.expect("a row")).collect())
}

#[test]
fn a_schema_that_changed_has_a_new_version() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let file = dir.path().join("run.db");
    Store::open(&file, "today", false).expect("a new file").store.close().expect("a clean stop");
    let (version, now) = schema(&file);
    let kept = format!("../tests/data/schema-{version}.db");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(kept);
    assert!(kept.is_file(), "version {version} needs {}; schema.sh shows how", kept.display());
    let copy = dir.path().join("kept.db");
    std::fs::copy(&kept, &copy).expect("a copy");
    let (kept_version, before) = schema(&copy);
    assert_eq!(version, kept_version);
    assert_eq!(
        now, before,
        "schema.sql changed: raise VERSION in store/version.rs and migrate older files"
    );
}
