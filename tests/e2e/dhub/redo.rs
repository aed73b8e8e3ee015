//! The log of a hub that was killed, damaged afterwards: what was acknowledged is there, or it is
//! told that it is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use e2e::{Hub, Output, Process, Space, eventually, task};

pub const PAGE: usize = 4096;
const LOG: &str = "run.db.redo";
/// What a start needs.
pub const FILES: [&str; 3] = ["run.db", "run.db-wal", LOG];

/// What a hub left that was killed, after all that these tasks stand for was acknowledged.
pub struct Killed {
    pub files: BTreeMap<&'static str, Vec<u8>>,
    pub tasks: u64,
    /// Pages of the log that begin a turn which the tables do not have, oldest first.
    pub records: Vec<usize>,
}

impl Killed {
    pub fn take(hub: &Hub, tasks: u64) -> Self {
        let files = FILES.map(|name| (name, fs::read(hub.path(name)).expect("a file")));
        let files = BTreeMap::from(files);
        let space = put(&files);
        let db = rusqlite::Connection::open(space.path("run.db")).expect("a database");
        let sql = "SELECT value FROM meta WHERE key = 'turn'";
        let folded: i64 = db.query_row(sql, [], |row| row.get(0)).expect("a turn");
        let records = records(&files[LOG]).into_iter().filter(|(turn, _)| *turn > folded as u64);
        let records = records.map(|(_, page)| page).collect();
        Self { files, tasks, records }
    }

    /// The same, damaged.
    pub fn damaged(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Space {
        let mut files = self.files.clone();
        damage(files.get_mut(name).expect("a file"));
        put(&files)
    }

    pub fn without(&self, name: &str) -> Space {
        let mut files = self.files.clone();
        files.remove(name);
        put(&files)
    }

    pub fn said(&self) -> String {
        format!("{} task", self.tasks)
    }
}

fn put(files: &BTreeMap<&'static str, Vec<u8>>) -> Space {
    let space = Space::new();
    for (name, bytes) in files {
        space.write(name, bytes);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(space.path(name), mode).expect("a mode");
    }
    space
}

/// The turns in a log and their first pages; the first page is whose it is, two are notes.
fn records(log: &[u8]) -> BTreeMap<u64, usize> {
    let pages = log.chunks_exact(PAGE).enumerate().skip(3);
    let records = pages.filter(|(_, bytes)| bytes.starts_with(b"dhubred"));
    let turn = |bytes: &[u8]| u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes"));
    records.map(|(page, bytes)| (turn(bytes), page)).collect()
}

/// A hub that was killed with so many turns in its log alone; it adds a task a turn.
pub fn killed(unfolded: usize) -> Killed {
    for _ in 0..50 {
        let mut hub = Hub::start();
        let native = hub.native();
        let first: Vec<_> = (1..=300).map(|n| task(&format!("first-{n}"), &[])).collect();
        native.create(&first);
        let mut tasks = 300;
        for n in 1..=40 {
            native.create(&[task(&format!("t{n}"), &["first-1"])]);
            tasks += 1;
        }
        hub.kill9();
        let killed = Killed::take(&hub, tasks);
        if killed.records.len() >= unfolded {
            return killed;
        }
    }
    panic!("each turn was folded before the hub was killed");
}

/// Nothing is lost, or it is said that something may be.
#[track_caller]
fn is_told(killed: &Killed, check: &Output, what: &str) {
    if check.code == Some(22) {
        check.is_one_message().says(&[LOG]);
        return;
    }
    check.exits(0);
    let is_whole = check.stdout.contains(&killed.said());
    let is_told = check.stdout.contains("in doubt");
    assert!(is_whole || is_told, "{what}: {} tasks, and {check:?}", killed.tasks);
}

#[test]
fn a_flip_anywhere_in_what_is_not_folded_is_never_silent() {
    let killed = killed(3);
    let last = killed.records.len() - 1;
    let mut is_said = false;
    for (i, &page) in killed.records.iter().enumerate() {
        // Of the header and of the body; of the last record more.
        let bytes: Vec<usize> = match i == last {
            true => (0..80).step_by(5).collect(),
            false => vec![9 + i * 7 % 70],
        };
        for byte in bytes {
            let at = page * PAGE + byte;
            let space = killed.damaged(LOG, |log| log[at] ^= 1 << (byte % 8));
            let what = format!("record {i} of {}, byte {byte}", last + 1);
            let check = space.run("dhub", &["check", "run.db"]);
            is_told(&killed, &check, &what);
            if check.stdout.contains("in doubt") && !is_said {
                is_said = true;
                let space = killed.damaged(LOG, |log| log[at] ^= 1 << (byte % 8));
                a_start_says_so(&space);
            }
        }
    }
}

/// It goes on with what there is.
fn a_start_says_so(space: &Space) {
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    let mut hub = Process::start(command);
    eventually("a start in doubt", || {
        assert!(hub.is_running(), "{}", hub.stderr());
        let said = hub.stderr();
        said.contains("warning     in doubt: turn ").then_some(())
    });
    hub.signal(rustix::process::Signal::TERM);
    hub.end().exits(0);
}

#[test]
fn a_cut_anywhere_in_what_is_not_folded_is_never_silent() {
    let killed = killed(3);
    let pages = killed.records.iter().copied().chain([0, 1, 2, 3, 60, 66]);
    for page in pages {
        let space = killed.damaged(LOG, |log| log.truncate(page * PAGE));
        let check = space.run("dhub", &["check", "run.db"]);
        is_told(&killed, &check, &format!("cut at page {page}"));
    }
}

/// Within milliseconds after the last commit, and with no other one behind it.
#[test]
fn what_was_noted_is_damage_and_the_start_says_what_saves_the_rest() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    let log = hub.path(LOG);
    eventually("a note", || {
        let bytes = fs::read(&log).expect("the log");
        let notes = [1, 2].map(|page| &bytes[page * PAGE..][..16]);
        let noted = notes.iter().map(|note| u64::from_le_bytes(note[8..].try_into().expect("8")));
        (noted.max() == Some(1)).then_some(())
    });
    // One note, not one again and again.
    let slots = || {
        let bytes = fs::read(&log).expect("the log");
        [1, 2].map(|page| u64::from_le_bytes(bytes[page * PAGE + 8..][..8].try_into().expect("8")))
    };
    let before = slots();
    hub.query(&["status"]).ok();
    hub.query(&["list", "--all"]).ok();
    assert_eq!(slots(), before);
    hub.kill9();

    // As if the tables had not followed yet.
    let mut killed = Killed::take(&hub, 1);
    let space = killed.without("run.db-wal");
    let db = e2e::open_file(&space.path("run.db"));
    db.execute_batch(
        "DELETE FROM tasks; UPDATE meta SET value = 0 WHERE key = 'turn'; PRAGMA wal_checkpoint",
    )
    .expect("an older state");
    drop(db);
    killed.files.insert("run.db", fs::read(space.path("run.db")).expect("the file"));
    killed.files.remove("run.db-wal");
    let sound = killed.damaged(LOG, |_| {});
    sound.run("dhub", &["check", "run.db"]).exits(0).prints(&["1 task "]);

    let space = killed.damaged(LOG, |log| log[3 * PAGE + 80] ^= 1);
    for args in [&["check", "run.db"][..], &["-f", "run.db"]] {
        let said = space.run("dhub", args);
        said.exits(22).is_one_message().says(&[
            "run.db.redo is damaged, or ",
            "run.db was replaced by an older one: turn 1 is missing or damaged, and turn 1 was noted as safe",
            "dhub rescue",
        ]);
        assert!(!said.stderr.contains("without-redo"), "{said:?}");
    }
    let said = space.run("dhub", &["rescue", "run.db", "saved.db"]);
    said.exits(28).prints(&["lost       turn 1 of the redo log"]);
}
