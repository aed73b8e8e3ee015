//! Disks that fail, and power that goes, at every I/O of a fixed load.
//!
//! The hub never acknowledges what a reopen does not find, it stops at the first commit that the
//! disk does not take, and it goes on once the disk is mended. `POWER_SEEDS=1000` tears more.

#[path = "../common/mod.rs"]
mod common;
mod lag;
mod load;
mod look;
mod model;
mod random;
mod redo;
mod vfs;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dhub::store::log::Medium;
use dhub::store::{Access, OpenError};
use dhub_proto::disk::Fault as Told;
use load::{Load, Progress, Stop};
use model::{Disk, Fault, Image, Kind, Loss, Surface};
use rusqlite::ErrorCode;
use tempfile::TempDir;

/// A few commits each: the load is short.
const CHECKPOINT_PAGES: u32 = 30;
const REGION_BYTES: u64 = 16 * 1024;

type OpenRedo = Box<dyn Fn(&Path) -> std::io::Result<Box<dyn Medium>>>;

/// A directory in memory, if the system has such: the disk that matters is the model.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = TempDir::with_prefix_in("dhub-disk", memory).or_else(|_| TempDir::new());
    dir.expect("a temporary directory")
}

/// What was left, with how much of it acknowledged: once is enough for each.
type Seen = HashSet<(usize, u64)>;

#[derive(Debug)]
enum Outcome {
    /// The hub stopped with an error, as a failed commit stops it.
    Stopped,
    /// The hub did not start.
    Refused,
    /// Nobody noticed.
    Survived,
}

#[derive(Debug, Default)]
struct Tally {
    stopped: u64,
    refused: u64,
    survived: u64,
}

/// One of SQLite's two journals on a disk of its own.
struct Bench {
    dir: TempDir,
    disk: Arc<Mutex<Disk>>,
    open_redo: OpenRedo,
    vfs: &'static str,
    network: bool,
    /// What the file says after each commit of the load.
    states: Vec<String>,
    /// What a loss of power meets, and what the clients have heard of by then.
    moments: Vec<(Surface, Progress)>,
    ios: Vec<Kind>,
}

impl Bench {
    /// Runs the load on a sound disk and notes all that happens.
    fn new(vfs: &'static str, network: bool) -> Self {
        let disk = Arc::new(Mutex::new(Disk::default()));
        vfs::register(vfs, &disk);
        let shared = Arc::clone(&disk);
        let open_redo: OpenRedo = Box::new(move |path| redo::open(&shared, path));
        let dir = directory();
        let (states, moments, ios) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { dir, disk, open_redo, vfs, network, states, moments, ios };
        bench.record();
        bench
    }

    fn access(&self) -> Access<'_> {
        Access {
            network: self.network,
            vfs: Some(self.vfs),
            checkpoint_pages: CHECKPOINT_PAGES,
            medium: Some(&*self.open_redo),
            region_bytes: REGION_BYTES,
            alone: true,
            ..Access::default()
        }
    }

    fn file(&self, dir: &str) -> PathBuf {
        let dir = self.dir.path().join(dir);
        fs::create_dir_all(&dir).expect("a directory");
        dir.join("run.db")
    }

    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.disk.lock().expect("the disk")
    }

    fn record(&mut self) {
        let file = self.file("record");
        self.disk().history = Some(Vec::new());
        let mut heard = vec![(0, Progress::new())];
        let mut states = Vec::new();
        let mut load = Load::start(&file, self.access(), Some(&self.disk), Progress::new());
        load.open().expect("a new file");
        states.push(look::at(&file));
        load.after_commit = Some(Box::new(|progress: &Progress| {
            let history = self.disk().history.as_ref().map_or(0, Vec::len);
            // The answers may leave now, before anything else happens.
            heard.push((history - 1, progress.clone()));
            states.push(look::at(&file));
        }));
        load.run().expect("a sound disk");
        look::is_at_its_end(&mut load);
        load.close().expect("a clean stop");
        drop(load);
        let mut disk = self.disk.lock().expect("the disk");
        let history = disk.history.take().expect("a history");
        let ios = std::mem::take(&mut disk.ios);
        drop(disk);
        let mut at = heard.into_iter().peekable();
        let mut known = Progress::new();
        let mut moments = Vec::new();
        for (i, surface) in history.into_iter().enumerate() {
            while let Some((_, progress)) = at.next_if(|(from, _)| *from <= i) {
                known = progress;
            }
            moments.push((surface, known.clone()));
        }
        assert_eq!(moments.last().map(|(_, heard)| heard.commits + 1), Some(states.len()));
        (self.states, self.moments, self.ios) = (states, moments, ios);
    }

    /// What a reopen finds is what was acknowledged, or one commit more: all or nothing of it.
    #[track_caller]
    fn holds(&self, found: &str, heard: &Progress, when: &str) {
        let acknowledged = heard.commits;
        let next = self.states.get(acknowledged + 1);
        let holds = found == self.states[acknowledged] || next.is_some_and(|next| found == next);
        let empty = found.is_empty() && acknowledged == 0;
        assert!(
            holds || empty,
            "{when}: of {acknowledged} acknowledged commits:\n{}",
            look::difference(&self.states[acknowledged], found)
        );
    }

    /// A hub starts on what is left, on a sound disk, and takes the load to its end.
    fn goes_on(&self, image: &Image, heard: &Progress, to_the_end: bool, when: &str) {
        let file = self.file("image");
        for path in load::companions(&file) {
            let _ = fs::remove_file(path);
        }
        for (path, bytes) in image {
            let name = path.file_name().expect("a name");
            fs::write(file.with_file_name(name), bytes).expect("what is left");
        }
        self.holds(&look::at(&file), heard, when);
        let access = Access { vfs: None, medium: None, ..self.access() };
        let mut load = Load::start(&file, access, None, heard.clone());
        load.open().unwrap_or_else(|stop| panic!("{when}: {stop}"));
        look::is_sound(&mut load, when);
        if to_the_end {
            load.run().unwrap_or_else(|stop| panic!("{when}: {stop}"));
            look::is_at_its_end(&mut load);
        }
    }

    /// What the load comes to with this fault. What is wrong with the disk is told, whatever the load was at.
    fn strike<'a>(
        &'a self,
        file: &'a Path,
        at: usize,
        fault: Fault,
    ) -> (Load<'a>, Result<(), Stop>) {
        for path in load::companions(file) {
            let _ = fs::remove_file(path);
        }
        self.disk().reset(Some((at, fault)));
        let mut load = Load::start(file, self.access(), Some(&self.disk), Progress::new());
        let stop = load.open().and_then(|()| load.run()).and_then(|()| load.close());
        let told = match fault {
            Fault::Full => Told::Full,
            Fault::Quota => Told::Quota,
            Fault::ReadOnly => Told::ReadOnly,
            Fault::Gone | Fault::SyncGone => Told::Failing,
            // What comes after it may be all that is seen of it.
            Fault::Eio | Fault::Short | Fault::Sync => return (load, stop),
        };
        // A hub opens the file, or makes it, before SQLite does; then the system says why not.
        let is_open = |it: &OpenError| match it {
            OpenError::Unusable { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::CannotOpen)
            }
            _ => false,
        };
        if let Err(stop) = &stop
            && !matches!(stop, Stop::Open(error) if is_open(error))
        {
            let when = format!("{fault:?} at I/O {at} of {}", self.vfs);
            assert_eq!(dhub::store::fault(stop), Some(told), "{when}: {stop}");
        }
        (load, stop)
    }

    /// These differ from a full disk only in what is told.
    fn every_refusal_is_told(&self) {
        let file = self.file("fault");
        for fault in [Fault::Quota, Fault::ReadOnly] {
            let strikes = self.ios.iter().enumerate().filter(|(_, io)| fault.strikes(**io));
            let told = strikes.filter(|(at, _)| self.strike(&file, *at, fault).1.is_err()).count();
            println!("{}: {fault:?}: {told} told", self.vfs);
            assert!(told > 20);
        }
    }

    /// The fault at this I/O or the next that it is for. None: the load has no such I/O any more.
    fn fails(&self, at: usize, fault: Fault, seen: &mut Seen) -> Option<Outcome> {
        let when = format!("{fault:?} at I/O {at} of {}", self.vfs);
        let file = self.file("fault");
        let (load, stop) = self.strike(&file, at, fault);
        let heard = load.heard.clone();
        let left = self.disk().surface().clone();
        let at_stop = load.struck_at_stop;
        drop(load);
        let struck = self.disk().struck?;

        // The power goes, too.
        let random = at as u64;
        for loss in [Loss::Unsynced, Loss::Sectors(random)] {
            let image = left.image(loss);
            if seen.insert((heard.commits, look::fingerprint(&image))) {
                self.goes_on(&image, &heard, false, &format!("{when}, then {loss:?}"));
            }
        }

        // The disk is mended while the machine stays up: what the system shows may be more than
        // what is safe, and a sync that succeeds now does not make up for the one that failed.
        self.disk().mend();
        self.holds(&look::at(&file), &heard, &when);
        let mut load = Load::start(&file, self.access(), Some(&self.disk), heard);
        load.open().unwrap_or_else(|stop| panic!("{when}, restarted: {stop}"));
        look::is_sound(&mut load, &when);
        // Of each I/O once, and of each sync: the rest of the load is the same.
        let to_the_end = matches!(fault, Fault::Gone | Fault::Sync | Fault::SyncGone);
        if to_the_end {
            load.run().unwrap_or_else(|stop| panic!("{when}, restarted: {stop}"));
            look::is_at_its_end(&mut load);
        }
        let (before, heard) = (look::at(&file), load.heard.clone());
        load.kill();
        drop(load);
        self.disk().lose(Loss::Unsynced);
        let after = look::at(&file);
        let when = format!("{when}, restarted, then the power went");
        if to_the_end {
            assert!(after == before, "{when}:\n{}", look::difference(&before, &after));
        } else {
            self.holds(&after, &heard, &when);
        }
        match stop {
            Ok(()) => {
                // SQLite may look in vain, or fail to remove an old log. When it stops, all is safe
                // already, and it only syncs its journal once more.
                let harmless = matches!(struck, Kind::Look | Kind::Delete | Kind::SyncNames);
                assert!(harmless || self.network && at_stop, "{when}: nobody noticed: {struck:?}");
                Some(Outcome::Survived)
            }
            Err(Stop::Open(_)) => Some(Outcome::Refused),
            Err(Stop::Store(_)) => Some(Outcome::Stopped),
        }
    }

    fn every_io_fails(&self) {
        let kinds =
            [Fault::Eio, Fault::Gone, Fault::Full, Fault::Short, Fault::Sync, Fault::SyncGone];
        let mut images = Seen::new();
        for fault in kinds {
            let mut tally = Tally::default();
            for (at, _) in self.ios.iter().enumerate().filter(|(_, io)| fault.strikes(**io)) {
                // The load may be shorter by an I/O or two: times are stored, and small ones are shorter.
                match self.fails(at, fault, &mut images) {
                    Some(Outcome::Stopped) => tally.stopped += 1,
                    Some(Outcome::Refused) => tally.refused += 1,
                    Some(Outcome::Survived) => tally.survived += 1,
                    None => {}
                }
            }
            println!("{}: {fault:?}: {tally:?}", self.vfs);
        }
    }

    fn power_goes_at_every_io(&self) {
        let seeds: u64 = match std::env::var("POWER_SEEDS") {
            Ok(seeds) => seeds.parse().expect("POWER_SEEDS is a number"),
            Err(_) => 1,
        };
        let mut seen = Seen::new();
        let mut images = 0;
        for (at, (surface, heard)) in self.moments.iter().enumerate() {
            let torn = (0..seeds).map(|seed| seed << 32 | at as u64);
            let torn = torn.flat_map(|seed| [Loss::After(seed), Loss::Sectors(seed)]);
            for loss in [Loss::Unsynced, Loss::Nothing].into_iter().chain(torn) {
                let image = surface.image(loss);
                images += 1;
                if seen.insert((heard.commits, look::fingerprint(&image))) {
                    let when = format!("{loss:?} after change {at} of {}", self.vfs);
                    self.goes_on(&image, heard, true, &when);
                }
            }
        }
        println!(
            "{}: power lost at {} changes, {images} images, {} of them different",
            self.vfs,
            self.moments.len(),
            seen.len()
        );
    }
}

#[test]
fn every_disk_that_takes_nothing_is_told() {
    Bench::new("log-refusals", false).every_refusal_is_told();
    Bench::new("journal-refusals", true).every_refusal_is_told();
}

#[test]
fn every_io_fails_with_the_log() {
    Bench::new("log-faults", false).every_io_fails();
}

#[test]
fn every_io_fails_with_the_journal_of_network_files() {
    Bench::new("journal-faults", true).every_io_fails();
}

#[test]
fn the_power_goes_with_the_log() {
    Bench::new("log-power", false).power_goes_at_every_io();
}

#[test]
fn the_power_goes_with_the_journal_of_network_files() {
    Bench::new("journal-power", true).power_goes_at_every_io();
}
