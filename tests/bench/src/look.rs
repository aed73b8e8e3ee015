//! What looking costs: how fast `dquery status` and `dquery list` answer while a large run goes on,
//! and what that run loses by it.

use dhub_proto::find::Target;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::wire::{self, reply, request::Body};

use crate::case::fill;
use crate::client::{Bag, NativeLoop, request};
use crate::lanes::{Lane, drive};
use crate::process::Server;
use crate::report::median;

const TASKS: u64 = 1_000_000;
const FAILED: u32 = 1_000;
const WORKERS: usize = 16;
const PAIRS: usize = 5;
const PHASE: Duration = Duration::from_secs(5);

/// What people ask, once a second each, and how many milliseconds that may take.
const LOOKS: [(&str, &[&str], Option<f64>); 6] = [
    ("status", &["status"], Some(50.0)),
    ("list", &["list"], Some(100.0)),
    ("list --failed", &["list", "--failed"], Some(100.0)),
    ("list --state running", &["list", "--state", "running"], Some(100.0)),
    ("list of a prefix", &["list", "run0.task0000012*"], Some(100.0)),
    ("count of a pattern", &["cancel", "*.task*77777", "--dry-run"], None),
];
/// Those that the run is measured beside.
const BESIDE: usize = 2;

/// Ends a lane when the time is over.
struct Timed {
    lane: Box<dyn Lane>,
    done: Arc<AtomicU64>,
    begin: Option<Instant>,
    time: Duration,
}

impl Lane for Timed {
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        if reply.is_some() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        let begin = *self.begin.get_or_insert_with(Instant::now);
        let next = self.lane.next(reply);
        next.filter(|_| begin.elapsed() < self.time)
    }
}

struct Look<'a> {
    programs: &'a Path,
    endpoint: String,
}

impl Look<'_> {
    /// Of the whole program, from its start to its end.
    fn millis(&self, args: &[&str]) -> f64 {
        let begin = Instant::now();
        let mut command = Command::new(self.programs.join("dquery"));
        command
            .args(["--insecure", "-s", &self.endpoint])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().expect("dquery");
        assert!(status.success(), "dquery {args:?}: {status}");
        begin.elapsed().as_secs_f64() * 1000.0
    }

    /// Once a second until the run is over.
    fn all(&self, over: &AtomicBool, looks: &mut [Vec<f64>]) {
        let begin = Instant::now();
        for second in 0.. {
            let due = Duration::from_millis(500 + 1000 * second);
            while begin.elapsed() < due {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            for (look, (_, args, _)) in looks.iter_mut().zip(LOOKS) {
                look.push(self.millis(args));
            }
        }
    }

    /// Tasks a second while so many of the looks are taken.
    fn drain(&self, phase: usize, many: usize, looks: &mut [Vec<f64>]) -> f64 {
        let (over, done) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
        let lane = |worker| -> Box<dyn Lane> {
            let lane = NativeLoop::lane(phase * WORKERS + worker);
            Box::new(Timed { lane, done: done.clone(), begin: None, time: PHASE })
        };
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| self.all(&over, &mut looks[..many]));
            let measured = drive(Target::plain(&self.endpoint), (0..WORKERS).map(lane).collect());
            over.store(true, Ordering::Relaxed);
            looking.join().expect("the looks");
            measured.per_second(done.load(Ordering::Relaxed))
        })
    }
}

/// Some tasks that have failed, for the status to tell of.
fn fail_some(endpoint: &str) {
    let worker = Some(wire::Worker { name: "clumsy".into(), ..wire::Worker::default() });
    let steal = wire::Steal { worker: worker.clone(), n: FAILED, ..wire::Steal::default() };
    let Some(reply::Body::Stolen(stolen)) = ask(endpoint, Body::Steal(steal)) else {
        panic!("nothing was stolen");
    };
    let outcomes = stolen.leases.into_iter().enumerate().map(|(i, lease)| wire::Outcome {
        name: lease.name,
        attempt: lease.attempt,
        result: wire::Result::Failed.into(),
        exit_code: i as i32 % 7 + 1,
        ..wire::Outcome::default()
    });
    let outcomes = outcomes.collect();
    let complete = wire::Complete { worker, outcomes, ..wire::Complete::default() };
    ask(endpoint, Body::Complete(complete));
}

fn ask(endpoint: &str, body: Body) -> Option<reply::Body> {
    struct Once(Option<Vec<u8>>, Arc<std::sync::Mutex<Vec<u8>>>);
    impl Lane for Once {
        fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
            if let Some(reply) = reply {
                *self.1.lock().expect("a lock") = reply.to_vec();
            }
            self.0.take()
        }
    }
    let reply = Arc::default();
    drive(Target::plain(endpoint), vec![Box::new(Once(Some(request(body)), Arc::clone(&reply)))]);
    let reply = reply.lock().expect("a lock");
    wire::Reply::decode(reply.as_slice()).expect("a reply").body
}

/// Prints the figures; true if all that is asked is met.
pub fn measure(programs: &Path, below: &Path, divide: u64) -> bool {
    let hub = Server::hub(&programs.join("dhub"), below);
    let look = Look { programs, endpoint: hub.endpoint.clone() };
    let tasks = TASKS / divide;
    let (mut filled, mut fills) = (0, 0);
    let mut refill = |many| {
        fill(Target::plain(&look.endpoint), Bag { prefix: format!("run{fills}.task") }, many);
        (filled, fills) = (filled + many, fills + 1);
    };
    refill(tasks);
    fail_some(&look.endpoint);
    let mut none = vec![Vec::new(); LOOKS.len()];
    let idle: Vec<f64> = LOOKS.iter().map(|(_, args, _)| look.millis(args)).collect();
    let (mut ratios, mut busy) = (Vec::new(), vec![Vec::new(); LOOKS.len()]);
    for pair in 0..PAIRS {
        // What each phase takes is put back, so that it never runs dry; the order changes.
        let mut rates = [0.0; 2];
        for turn in 0..2 {
            let looking = (turn + pair) % 2;
            let looks = if looking == 1 { &mut busy } else { &mut none };
            let rate = look.drain(2 * pair + turn, BESIDE * looking, looks);
            rates[looking] = rate;
            refill((rate * PHASE.as_secs_f64()) as u64);
        }
        eprintln!("pair {}: {:.0} a second, {:.0} with looks", pair + 1, rates[0], rates[1]);
        ratios.push(rates[1] / rates[0]);
    }
    // The others, beside a run of their own.
    let mut others = vec![Vec::new(); LOOKS.len()];
    look.drain(2 * PAIRS, LOOKS.len(), &mut others);
    others.drain(..BESIDE);
    busy.splice(BESIDE.., others);
    println!(
        "{filled} tasks were added, {FAILED} of them failed; {WORKERS} workers take and report one at a time"
    );
    println!(
        "{:<24} {:>10} {:>10} {:>8}   (ms, the whole program; median)",
        "", "idle", "busy", "must"
    );
    let mut met = true;
    for (((title, _, must), idle), busy) in LOOKS.iter().zip(idle).zip(&mut busy) {
        let busy = median(busy);
        met &= must.is_none_or(|must| busy < must);
        let must = must.map_or(String::new(), |must| format!("{must:.0}"));
        println!("{title:<24} {idle:>10.1} {busy:>10.1} {must:>8}");
    }
    let ratio = median(&mut ratios);
    println!(
        "pace of the run with one status and one list a second: {ratio:.2} of that without (must 0.9)"
    );
    met && ratio >= 0.9
}
