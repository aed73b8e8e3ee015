//! Kill, restart, look; again and again; then let everything finish, and count.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Phase, Wait};
use e2e::Hub;

use crate::check::{self, File, check_file};
use crate::journal::{Journal, Kind};
use crate::link::Link;
use crate::load::{self, Creators, LOG, Pools};
use crate::report::Report;
use crate::shared::{Shared, StopOnPanic};

/// Short, so that leases end while the run goes on.
const WORKER_TIMEOUT: Duration = Duration::from_secs(1);
const TERMS: [&str; 4] = ["--worker-timeout", "1s", "--lease", "2s"];
/// How long a hub lives, in milliseconds.
const LIFE_MS: std::ops::RangeInclusive<u64> = 20..=400;
/// Longer than any lease.
const LONG_LIFE_MS: u64 = 2_500;
/// One of so many is killed while it starts, after at most this time.
const EARLY: u32 = 8;
const EARLY_MS: u64 = 40;
/// Tasks that may be there before the first cycle.
const HEAD_START: u64 = 300;
/// For all to be finished, once nobody kills any more.
const END: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct Options {
    pub cycles: u64,
    /// Stop after this time, if that comes first.
    pub time: Option<Duration>,
    pub seed: u64,
    pub tasks_per_cycle: u64,
    /// After so many cycles the file is looked at as a whole.
    pub check_every: u64,
    /// Kill and stop pools too.
    pub trouble_pools: bool,
    /// In this cycle the file is as it was a cycle ago, as if the disk had forgotten: to see that
    /// it is noticed.
    pub forget_in: Option<u64>,
    /// Say how far it is, every so often.
    pub tell_every: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cycles: 30,
            time: None,
            seed: 0,
            tasks_per_cycle: 250,
            check_every: 1000,
            trouble_pools: true,
            forget_in: None,
            tell_every: None,
        }
    }
}

/// The journal, and the directory with the hub's file: it stays as long as the hub is not dropped.
/// `interrupted` ends it early, and well.
pub fn run(options: &Options, interrupted: &AtomicBool) -> (Report, Journal, Hub) {
    let mut hub = Hub::with(&TERMS);
    hub.space.keep(true);
    let shared = Shared::new(hub.tcp(), Journal::with_log(hub.path(LOG)));
    let hub = Mutex::new(hub);
    let creators = Creators::default();
    let begin = Instant::now();
    let mut run = Run {
        options,
        interrupted,
        shared: &shared,
        creators: &creators,
        hub: &hub,
        random: fastrand::Rng::with_seed(options.seed),
        cycles: 0,
        early_kills: 0,
        begin,
    };
    std::thread::scope(|scope| {
        let _stop = StopOnPanic(&shared);
        load::start(scope, &shared, &creators, &hub, options.seed.wrapping_add(1));
        let mut pools = Pools::start(&hub);
        run.cycles(&mut pools);
        pools.go_on();
        if shared.journal().faults().is_empty() {
            run.drain();
        }
        shared.stop.store(true, Ordering::Relaxed);
        pools.end(&mut shared.journal());
    });
    let (cycles, early_kills) = (run.cycles, run.early_kills);
    let counters = [&shared.requests, &shared.repeats].map(|it| it.load(Ordering::Relaxed));
    let mut journal = shared.into_journal();
    let mut hub = hub.into_inner().expect("the hub");
    journal.read_log();
    stop(&mut hub, &mut journal);
    let finished = journal.faults().is_empty();
    check(&mut journal, &hub, &hub.path("run.db"), finished);
    let is_well = journal.faults().is_empty();
    if !is_well {
        journal.write_events(&hub.path("events.txt")).expect("a file for the events");
    }
    hub.space.keep(!is_well);
    let report = Report {
        seed: options.seed,
        cycles,
        early_kills,
        time: begin.elapsed(),
        tasks: journal.records().filter(|(_, record)| record.sent).count() as u64,
        requests: counters[0],
        repeats: counters[1],
        totals: journal.totals,
        faults: journal.faults().to_vec(),
        dir: hub.path(""),
    };
    (report, journal, hub)
}

struct Run<'a> {
    options: &'a Options,
    interrupted: &'a AtomicBool,
    shared: &'a Shared,
    creators: &'a Creators,
    hub: &'a Mutex<Hub>,
    random: fastrand::Rng,
    cycles: u64,
    early_kills: u64,
    begin: Instant,
}

impl Run<'_> {
    fn goes_on(&self) -> bool {
        let time = self.options.time.is_none_or(|time| self.begin.elapsed() < time);
        // With the first fault all stays as it is, for the analysis.
        let well = self.shared.journal().faults().is_empty();
        let stops = self.shared.stops() || self.interrupted.load(Ordering::Relaxed);
        time && well && !stops && self.cycles < self.options.cycles
    }

    fn cycles(&mut self, pools: &mut Pools) {
        let mut link = Link::native(self.shared, self.random.u64(..));
        let mut told = self.begin;
        while self.goes_on() {
            self.cycles += 1;
            let due = HEAD_START + self.cycles * self.options.tasks_per_cycle;
            self.shared.tasks_due.store(due / 3, Ordering::Relaxed);
            // Each start gives all leases a new term: what the dead hold would never come back.
            let life_ms = match self.shared.is_full() {
                true => LONG_LIFE_MS,
                false => self.random.u64(LIFE_MS),
            };
            std::thread::sleep(Duration::from_millis(life_ms));
            self.kill_and_restart();
            if check::check_recent(self.shared, &mut link).is_none() {
                break;
            }
            if self.options.trouble_pools {
                pools.trouble(self.hub, &mut self.random, WORKER_TIMEOUT * 3);
            }
            if self.options.tell_every.is_some_and(|every| told.elapsed() >= every) {
                told = Instant::now();
                self.tell();
            }
        }
    }

    fn kill_and_restart(&mut self) {
        let mut hub = self.hub.lock().expect("the hub");
        if !hub.is_running() {
            let text = format!("the hub ended by itself: {}", hub.stderr());
            self.shared.journal().fault(Kind::Wrong, text);
        }
        hub.kill9();
        if self.cycles.is_multiple_of(self.options.check_every) {
            self.check_copy(&hub);
        }
        match self.options.forget_in {
            Some(cycle) if cycle == self.cycles + 1 => copy(&hub, "run", "old"),
            Some(cycle) if cycle == self.cycles => copy(&hub, "old", "run"),
            _ => {}
        }
        while self.options.forget_in.is_none() && self.random.u32(0..EARLY) == 0 {
            let after = Duration::from_millis(self.random.u64(0..EARLY_MS));
            hub.start_and_kill9(after);
            self.early_kills += 1;
            self.cycles += 1;
        }
        hub.restart();
        self.shared.hubs.fetch_add(1, Ordering::Release);
    }

    /// The file as the dead hub left it. A copy, so that it is the next hub that recovers it.
    fn check_copy(&self, hub: &Hub) {
        copy(hub, "run", "copy");
        let mut journal = self.shared.journal();
        check(&mut journal, hub, &hub.path("copy.db"), false);
        for name in ["copy.db", "copy.db-wal", "copy.db-shm", "copy.db.redo", "copy.db.lock"] {
            // Not all of them are there.
            let _ = std::fs::remove_file(hub.path(name));
        }
    }

    /// No more kills: all that was begun gets finished.
    fn drain(&mut self) {
        let last = self.creators.progress.most() + load::BATCH_MAX;
        self.shared.last.store(last, Ordering::Relaxed);
        self.shared.drain.store(true, Ordering::Release);
        let mut link = Link::native(self.shared, self.random.u64(..));
        let until = Instant::now() + END;
        let wait_ms = 200;
        let mut phase = Phase::Unspecified;
        while Instant::now() < until && !self.shared.stops() {
            let adding = self.creators.left.load(Ordering::Relaxed) > 0;
            let parked = Duration::from_millis(wait_ms);
            let heard = link.ask_parked(Body::Wait(Wait { wait_ms, ..Default::default() }), parked);
            let Some(heard) = heard else { return };
            if let Answer::Waited(waited) = heard.body {
                phase = waited.phase();
            }
            if !adding && phase == Phase::Finished {
                check::check_all(self.shared, &mut link);
                return;
            }
        }
        let text = format!("not everything is finished after {END:?}: {phase:?}");
        self.shared.journal().fault(Kind::Wrong, text);
    }

    fn tell(&self) {
        let journal = self.shared.journal();
        eprintln!(
            "{:>6.0} s  {} cycles  {} tasks added  {} requests, {} sent again  {} faults",
            self.begin.elapsed().as_secs_f64(),
            self.cycles,
            journal.totals.created,
            self.shared.requests.load(Ordering::Relaxed),
            self.shared.repeats.load(Ordering::Relaxed),
            journal.faults().len()
        );
    }
}

/// The file of a dead hub, and its logs.
fn copy(hub: &Hub, from: &str, to: &str) {
    for suffix in [".db", ".db-wal", ".db.redo"] {
        let [from, to] = [from, to].map(|name| hub.path(&format!("{name}{suffix}")));
        // There is no log if nothing was committed since the last start.
        let copied = if from.exists() {
            std::fs::copy(&from, &to).map(drop)
        } else if to.exists() {
            std::fs::remove_file(&to)
        } else {
            Ok(())
        };
        copied.unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
}

fn stop(hub: &mut Hub, journal: &mut Journal) {
    let output = hub.terminate();
    if output.code != Some(0) {
        journal
            .fault(Kind::Wrong, format!("the hub ended with {:?}: {}", output.code, output.stderr));
    }
}

/// `dhub check`, and the rows by SQLite itself.
fn check(journal: &mut Journal, hub: &Hub, db: &Path, finished: bool) {
    journal.read_log();
    let sound = hub.space.run("dhub", &["check".as_ref(), db.as_os_str()]);
    if sound.code != Some(0) {
        journal.fault(Kind::Wrong, format!("dhub check: {}{}", sound.stdout, sound.stderr));
    }
    let file = File { db, log: &hub.path(LOG), finished };
    match check_file(&file, journal) {
        Ok(faults) => faults.into_iter().for_each(|it| journal.fault(it.kind, it.text)),
        Err(error) => journal.fault(Kind::Wrong, format!("the file cannot be read: {error}")),
    }
}
