//! A person's shell: dquery, one process after the other.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process};

use super::Creators;
use crate::journal::{Journal, Kind, Lease, Outcome};
use crate::plan::{Group, Key};
use crate::shared::Shared;

const NAP: Duration = Duration::from_millis(50);
/// One of so many tasks of the other groups.
const SHARE: u32 = 8;
const WORKER: &str = "shell";

pub fn run(shared: &Shared, creators: &Creators, hub: &Mutex<Hub>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let shell = Shell { shared, hub };
    let mut tasks = 0;
    let mut adding = true;
    while !shared.stops() {
        std::thread::sleep(NAP);
        if adding && shared.drains() {
            adding = false;
            creators.left.fetch_sub(1, Ordering::Relaxed);
        }
        if adding && shared.wants_more(tasks * SHARE) {
            let size = random.u32(4..=24);
            shell.add((tasks..tasks + size).map(|number| Group::File.task(number)).collect());
            tasks += size;
        }
        shell.steal_and_complete();
    }
    if adding {
        creators.left.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Shell<'a> {
    shared: &'a Shared,
    hub: &'a Mutex<Hub>,
}

impl Shell<'_> {
    /// As long as no hub answers, again. None: the run is over.
    fn insist(&self, args: &[&str]) -> Option<Output> {
        while !self.shared.stops() {
            let mut command = self.hub.lock().expect("the hub").command("dquery");
            command.args(args).args(["--timeout", "2s"]);
            let output = Process::start(command).end();
            self.shared.requests.fetch_add(1, Ordering::Relaxed);
            if output.code != Some(Exit::NoHub as i32) {
                return Some(output);
            }
            self.shared.repeats.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    fn add(&self, keys: Vec<Key>) {
        let lines: String = keys
            .iter()
            .map(|key| {
                let needs: String =
                    key.needs().iter().map(|need| format!(",{}", need.name())).collect();
                format!("{}{needs}\n", key.name())
            })
            .collect();
        self.hub.lock().expect("the hub").write("tasks.txt", lines);
        self.journal(|journal| journal.create_sent(&keys));
        let Some(output) = self.insist(&["addfile", "tasks.txt"]) else { return };
        self.journal(|journal| match output.code {
            Some(0) => journal.created(&keys),
            _ => journal.fault(Kind::Wrong, format!("{output:?}")),
        });
    }

    fn steal_and_complete(&self) {
        let asked = self.shared.journal().now();
        let Some(output) = self.insist(&["steal", "-q", "-n", "3", "--worker", WORKER]) else {
            return;
        };
        let nothing = [Exit::NothingReady, Exit::AllFinished, Exit::Stuck].map(|it| it as i32);
        match output.code {
            Some(0) => {}
            Some(code) if nothing.contains(&code) => return,
            _ => return self.journal(|journal| journal.fault(Kind::Wrong, format!("{output:?}"))),
        }
        let names: Vec<&str> = output.stdout.lines().collect();
        let keys: Vec<Key> = names.iter().filter_map(|name| Key::parse(name)).collect();
        self.journal(|journal| {
            for &key in &keys {
                journal.leased(Lease { key, attempt: 0, client: 0, number: 0, asked });
                journal.outcome_sent(key, Outcome::Done);
            }
        });
        let mut args = vec!["complete", "--worker", WORKER];
        args.extend(names);
        let Some(output) = self.insist(&args) else { return };
        self.journal(|journal| match output.code {
            Some(0) => {
                for &key in &keys {
                    journal.outcome_acknowledged(key, 0, Outcome::Done);
                }
            }
            // Others have some of them by now.
            Some(6) => {}
            _ => journal.fault(Kind::Wrong, format!("{output:?}")),
        });
    }

    fn journal(&self, note: impl FnOnce(&mut Journal)) {
        note(&mut self.shared.journal());
    }
}
