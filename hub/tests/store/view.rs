//! The views, for people: as with the sqlite3 shell, on the file of a stopped hub.

use std::fs;

use dhub::engine::message::*;
use rusqlite::Connection;

use crate::common::*;
use crate::dir;

#[test]
fn the_views_can_be_read() {
    let mut hub = Hub::on_file();
    let tasks = vec![
        task("a", &[]),
        task("b", &["a"]),
        task("c", &["b", "nobody"]),
        task("d", &[]),
        task("e", &["d"]),
        task("f", &[]),
        task("g", &[]),
    ];
    hub.ask(Body::Create { tasks, merge: false });
    let w1 = who("w1");
    let steal = steal(&w1, 1, 3);
    hub.ask(Request::by(w1.clone(), Body::Steal(steal)));
    let mut failed = outcome("d", 1, Verdict::Failed);
    failed.report = Report { exit_code: 9, reason: Some("no disk".into()), ..Report::default() };
    let outcomes = vec![outcome("a", 1, Verdict::Done), failed];
    hub.ask(Request::by(w1, Body::Complete { outcomes, want: None }));
    hub.ask(Body::Cancel { names: vec!["g".into()] });

    let dir = dir();
    let copy = dir.path().join("copy.db");
    for end in ["", "-wal"] {
        let from = format!("{}{end}", hub.path().display());
        fs::copy(from, format!("{}{end}", copy.display())).expect("a copy");
    }
    let db = Connection::open(copy).expect("the copy");
    let read = |sql: &str| -> Vec<String> {
        let mut select = db.prepare(sql).expect("a view");
        let rows = select.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    };
    let list = read(
        "SELECT name || ' ' || state || ' ' || attempt || coalesce(' ' || worker, '')
            || coalesce(' ' || exit_code, '') || coalesce(' ' || reason, '') FROM task_list ORDER BY name",
    );
    let expected = [
        "a done 1 w1 0",
        "b ready 0",
        "c waiting 0",
        "d failed 1 w1 9 no disk",
        "e skipped 0",
        "f running 1 w1",
        "g cancelled 0",
        "nobody missing 0",
    ];
    assert_eq!(list, expected);
    let needs = read("SELECT name || ' ' || needs FROM dependencies ORDER BY name, needs");
    assert_eq!(needs, ["b a", "c b", "c nobody", "e d"]);
}
