//! Bits that flip in the file of a killed hub and in SQLite's log. Each is told, mended, or makes no difference.
//!
//! `FLIPS=1000 cargo test -p dhub --test damage -- --nocapture` makes more of them and prints what became of each;
//! `FLIP_SEED` begins elsewhere.

#[path = "disk/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhub::convert::definition;
use dhub::scheduler::message::*;
use dhub::scheduler::{Counts, State};
use dhub::server::{Options, restore};
use dhub::store::{Access, Page, Scanned, Store};
use random::Random;
use tempfile::TempDir;

/// The files of a hub that damage is done to, by how their names end.
const PARTS: [&str; 2] = ["", "-wal"];
const ALL: [&str; 3] = ["", "-wal", ".redo"];
const TASKS: u64 = 400;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn new_task(id: TaskId) -> NewTask {
    let name = format!("task {id}");
    let needs: Vec<Name> =
        id.is_multiple_of(7).then(|| format!("task {}", id - 1).into()).into_iter().collect();
    let details = Details {
        command: Some(format!("simulate --seed {} --out /data/{id}", id * 7).into()),
        time_limit_ms: id % 3 * 1000,
        stdin: id.is_multiple_of(50).then(|| vec![b'x'; 9000].into()),
        ..Details::default()
    };
    let definition = definition(&needs, 0, 1, Some(&details));
    let details = (!id.is_multiple_of(5)).then(|| Box::new(details));
    NewTask { name: name.into(), needs, definition, priority: 0, retries: 1, details }
}

fn added(id: TaskId) -> Change {
    let needs = if id.is_multiple_of(7) { vec![id - 1] } else { Vec::new() };
    Change::Added { id, task: Box::new(new_task(id)), needs, adopted: false }
}

fn ended(id: TaskId) -> [Change; 2] {
    let (how, state) = if id.is_multiple_of(9) {
        (Ended::Failed, State::Failed)
    } else {
        (Ended::Done, State::Done)
    };
    let output = Some(format!("what task {id} wrote").into_bytes().into_boxed_slice());
    let report = Report { exit_code: 3, reason: Some("so".into()), output, output_file: None };
    let ended = Change::Ended { task: id, attempt: 1, worker: 1, how, report };
    let (attempt, failures, reclaims, blame) = (1, 0, 0, id);
    [ended, Change::Finished { task: id, state, attempt, failures, reclaims, blame }]
}

/// The files of a hub that was killed: some turns are in the file, some in SQLite's log, the last in the redo log.
fn killed(dir: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let file = dir.join("run.db");
    let open = || Store::open(&file, "today", false).expect("a file").store;
    let counts = |done: u64, failed: u64| {
        let mut counts = Counts::default();
        counts.set(State::Done, done);
        counts.set(State::Failed, failed);
        counts
    };
    let mut store = open();
    let worker = Change::Worker { id: 1, who: Who { name: "w".into(), ..Who::default() } };
    let first: Vec<Change> = std::iter::once(worker).chain((1..=TASKS).map(added)).collect();
    store.commit(first, &counts(0, 0)).expect("a commit");
    store.close().expect("a stop");
    let mut store = open();
    for (turn, ids) in (1..=90).collect::<Vec<_>>().chunks(9).enumerate() {
        let changes = ids.iter().flat_map(|&id| ended(id)).collect();
        let turn = turn as u64 + 1;
        store.commit(changes, &counts(turn * 8, turn)).expect("a commit");
        // All but the last are folded.
        if turn < 10 {
            store.settle().expect("folded");
        }
    }
    // While it is open: closing it would move its logs into the file.
    let bytes =
        |end: &&'static str| (*end, fs::read(dir.join(format!("run.db{end}"))).expect("a file"));
    ALL.iter().map(bytes).collect()
}

struct Place {
    dir: TempDir,
}

impl Place {
    fn with(files: &BTreeMap<&'static str, Vec<u8>>) -> Self {
        let dir = TempDir::new().expect("a directory");
        for (end, bytes) in files {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(format!("run.db{end}"));
            fs::write(&path, bytes).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        Self { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("run.db")
    }

    /// What `dhub check` says; empty: that it is sound.
    fn check(&self) -> Vec<String> {
        let scanned = match Scanned::of(&self.file(), "today") {
            Ok(scanned) => scanned,
            Err(error) => return vec![error.to_string()],
        };
        match Store::open(&self.file(), "today", false) {
            Err(error) => vec![error.to_string()],
            Ok(opened) => {
                let mut problems = scanned.problems(Some(&opened.store));
                match opened.store.check() {
                    Ok(more) => problems.extend(more),
                    Err(error) => problems.push(error.to_string()),
                }
                problems
            }
        }
    }

    /// All that a hub that starts on it tells of its tasks; or why it does not start.
    fn run(&self) -> Result<String, String> {
        let access = Access::default();
        let mut store = Store::open_with(&self.file(), "today", access)
            .map_err(|error| error.to_string())?
            .store;
        let mut all = || -> Result<String, dhub::store::StoreError> {
            let scheduler = restore(&store, &Options::default())?;
            store.upgrade()?;
            store.add_checksums(&Arc::default())?;
            let mut text = format!("{:?}\n", scheduler.counts());
            let mut after = 0;
            loop {
                let page = store.page(Page::Any, after, 100)?;
                let Some(last) = page.last() else { return Ok(text) };
                after = last.id;
                for row in page {
                    let (attempts, details) = (store.attempts(row.id, 9)?, store.details(row.id)?);
                    let past = store.look_up(&row.name)?;
                    text += &format!("{row:?}\n  {details:?}\n  {attempts:?}\n  {past:?}\n");
                }
            }
        };
        all().map_err(|error| error.to_string())
    }
}

#[test]
fn no_flip_goes_by_in_silence() {
    let home = TempDir::new().expect("a directory");
    let files = killed(home.path());
    let sound = Place::with(&files);
    assert_eq!(sound.check(), [""; 0]);
    let all = Place::with(&files).run().expect("a hub that starts");
    for (n, part) in PARTS.iter().enumerate() {
        let (flips, seed) = (number("FLIPS", 150), number("FLIP_SEED", 0) + n as u64);
        let mut random = Random::new(seed);
        let (mut told, mut refused, mut same, mut after) = (0, 0, 0, 0);
        for _ in 0..flips {
            let mut files = files.clone();
            let bytes = files.get_mut(part).expect("a file");
            let bit = random.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let problems = Place::with(&files).check();
            told += u64::from(!problems.is_empty());
            match Place::with(&files).run() {
                Err(_) => refused += 1,
                Ok(found) if found == all => {
                    same += 1;
                    after += u64::from(problems.is_empty());
                }
                Ok(_) => {
                    panic!("run.db{part}: bit {bit} changed a task, and the hub runs: {problems:?}")
                }
            }
            assert!(
                part != &"" || !problems.is_empty(),
                "run.db: bit {bit} is wrong, and dhub check says that it is sound"
            );
        }
        println!(
            "run.db{part}: {flips} flips, {told} told by dhub check; at a start {refused} refused, {same} mended or without effect, {after} of them not told as nothing is lost; 0 ran with changed tasks"
        );
    }
}
