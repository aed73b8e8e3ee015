//! The core, told as stories: text files of commands and what comes of them.
//!
//! A file in `data/scenarios` has one command a line; `;` joins commands that share a commit. The
//! indented lines after it are what the hub answered, and to whom, and the tasks whose state
//! changed. `UPDATE_SCENARIOS=1` writes them anew: read the difference before you believe it.
//!
//!     create a, b needs a c priority 5 retries 1 command CMD     merge ... (as dwork's Create)
//!     steal w1 n 2 wait 10s lease 5s number 3 stay replaces 2 slots 4
//!     complete w1 a#1 b want 1     fail w1 a#1 exit 3 reason WORD final     release w1 a#1 needs c
//!     heartbeat w1 a#1* b#1 (reply)     exit w1     undelivered a#1
//!     steer drain w1     steer stop w1 w2
//!     cancel a     retry a (done)     hold a     unhold a     priority 5 a b
//!     wait 5s     await 5s a b (until some of them are finished)
//!     delay 1s (--retry-delay of this hub; without it 0)
//!     revoke lab (its key is taken back)     forget steal w1 (nobody waits for those that begin so)
//!     advance 31s (a turn each second)     pause 60s (none meanwhile)     restart
//!     state     counts     attempts a     tasks NAME from 1 to 9 ...
//!
//! A worker w1 has an id and counts its steals; any other, such as h1, is known by its name alone. lab/w1 calls itself
//! w1 too, with the key lab, which is not the owner's.

#[path = "../common/mod.rs"]
mod common;
mod show;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use common::*;
use dhub::dialect::native::definition;
use dhub::engine::message::*;
use dhub::engine::scheduler::State;
use show::show_answer;
use words::{Words, attempt, ms};

#[test]
fn scenarios() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios");
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .expect("the scenarios")
        .map(|entry| entry.expect("a scenario").path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in files {
        let told = std::fs::read_to_string(&file).expect("a scenario");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let happened = Runner::new(&name).run(&told);
        if update && told != happened {
            std::fs::write(&file, happened).expect("the scenario is written");
        } else if told != happened {
            let (line, (was, is)) = told
                .lines()
                .chain(std::iter::repeat("(the end)"))
                .zip(happened.lines().chain(std::iter::repeat("(the end)")))
                .enumerate()
                .find(|(_, (was, is))| was != is)
                .expect("a difference");
            let _ = writeln!(failures, "{name}:{}\n  told:     {was}\n  happened: {is}", line + 1);
        }
    }
    assert!(failures.is_empty(), "\n{failures}UPDATE_SCENARIOS=1 writes the files anew");
}

struct Runner {
    file: String,
    line: usize,
    hub: Hub,
    /// Requests that have no answer yet, and how to call them.
    open: BTreeMap<Ticket, String>,
    /// The last number of each client.
    numbers: HashMap<String, u64>,
    names: BTreeSet<Name>,
    /// What was last shown of each task.
    shown: BTreeMap<Name, String>,
}

impl Runner {
    fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            hub: Hub::on_file(),
            open: BTreeMap::new(),
            numbers: HashMap::new(),
            names: BTreeSet::new(),
            shown: BTreeMap::new(),
        }
    }

    /// The same text, with what happened in place of what was told.
    fn run(&mut self, told: &str) -> String {
        let mut happened = String::new();
        for (i, line) in told.lines().enumerate() {
            self.line = i + 1;
            if line.starts_with(' ') {
                continue;
            }
            happened += line;
            happened.push('\n');
            if !line.is_empty() && !line.starts_with('#') {
                for line in self.carry_out(line) {
                    let _ = writeln!(happened, "  {line}");
                }
            }
        }
        happened
    }

    fn carry_out(&mut self, line: &str) -> Vec<String> {
        let mut out = Vec::new();
        let last = self.hub.ticket();
        for command in line.split(" ; ") {
            self.command(command, &mut out);
        }
        self.turn(&mut out);
        for (_, label) in self.open.range(last..) {
            out.push(format!("{label}: parked"));
        }
        self.changed(&mut out);
        out
    }

    fn turn(&mut self, out: &mut Vec<String>) {
        let answers = self.hub.turn();
        self.answers(answers, out);
    }

    fn answers(&mut self, answers: Vec<(Ticket, Answer)>, out: &mut Vec<String>) {
        for (ticket, answer) in answers {
            let label = self.open.remove(&ticket).unwrap_or_else(|| self.fail("nobody asked"));
            out.push(format!("{label}: {}", show_answer(&answer)));
        }
    }

    /// The tasks that are not what they were.
    fn changed(&mut self, out: &mut Vec<String>) {
        for name in &self.names {
            let now = self.show_task(name);
            let before = self.shown.insert(name.clone(), now.clone());
            if before.as_ref() != Some(&now) && (before.is_some() || now != "unknown") {
                out.push(format!("{name} {now}"));
            }
        }
    }

    fn show_task(&self, name: &str) -> String {
        let Some(state) = self.hub.state(name) else {
            return "unknown".into();
        };
        let word = format!("{state:?}").to_lowercase();
        match self.hub.scheduler.find(name) {
            Some(task) if state == State::Running => {
                let worker = self.hub.scheduler.worker(task.holder).expect("a known worker");
                format!("{word} {}#{}", called(&worker.who), task.attempt)
            }
            _ if state == State::Skipped => {
                let store = self.hub.store();
                let row = store.task(name).expect("a row").expect("a row");
                let blame = store.name(row.blame.expect("one to blame")).expect("its name");
                format!("{word} because of {blame}")
            }
            Some(task) if task.held => format!("{word}, held"),
            _ => word,
        }
    }

    fn command(&mut self, line: &str, out: &mut Vec<String>) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = Words { words: rest.split(' ').filter(|word| !word.is_empty()).collect() };
        match verb {
            "create" | "merge" => {
                let tasks: Vec<NewTask> = rest.split(',').map(|task| self.new_task(task)).collect();
                let merge = verb == "merge";
                self.ask(verb.into(), Body::Create { tasks, merge });
            }
            "tasks" => {
                let prefix = words.next();
                let (from, to): (u32, u32) = (words.after("from"), words.after("to"));
                let rest = words.words.join(" ");
                let tasks =
                    (from..=to).map(|i| self.new_task(&format!("{prefix}{i} {rest}"))).collect();
                self.ask(verb.into(), Body::Create { tasks, merge: false });
            }
            "steal" => {
                let who = who(words.next());
                let mut steal = Steal {
                    client: who.id,
                    number: 0,
                    n: words.find("n").unwrap_or(1),
                    wait_ms: words.find_ms("wait"),
                    lease_ms: words.find_ms("lease"),
                    stay: words.flag("stay"),
                    replaces: words.find("replaces").unwrap_or(0),
                    slots: words.find("slots").unwrap_or(0),
                    waiting: words.find("waiting").unwrap_or(0),
                };
                steal.number = self.number(&who, words.find("number"));
                let number =
                    if steal.number > 0 { format!(" {}", steal.number) } else { "".into() };
                let label = format!("steal {}{number}", called(&who));
                self.ask(label, Request::by(who, Body::Steal(steal)));
            }
            "complete" | "fail" => {
                let who = who(words.next());
                let slots = words.find("slots").unwrap_or(0);
                let want = words.find("want").map(|n| Steal {
                    slots,
                    number: self.number(&who, words.find("number")),
                    ..steal(&who, 0, n)
                });
                let report = Report {
                    exit_code: words.find("exit").unwrap_or(0),
                    reason: words.find::<String>("reason").map(String::into),
                    ..Report::default()
                };
                let is_final = words.flag("final");
                let verdict = if verb == "fail" { Verdict::Failed } else { Verdict::Done };
                let outcomes = words.words.iter().map(|word| {
                    let AttemptRef { name, attempt, .. } = attempt(word);
                    Outcome { name, attempt, verdict, is_final, report: report.clone() }
                });
                let outcomes = outcomes.collect();
                let label = format!("{verb} {}", called(&who));
                self.ask(label, Request::by(who, Body::Complete { outcomes, want }));
            }
            "release" => {
                let who = who(words.next());
                let needs = words.rest_after("needs");
                self.names.extend(needs.iter().cloned());
                let attempts: Vec<_> = words.words.iter().map(|word| attempt(word)).collect();
                let needs = if needs.is_empty() { Vec::new() } else { vec![needs; attempts.len()] };
                let label = format!("release {}", called(&who));
                self.ask(label, Request::by(who, Body::Release { attempts, needs }));
            }
            "heartbeat" => {
                let who = who(words.next());
                let reply = words.flag("reply");
                let attempts = words.words.iter().map(|word| attempt(word)).collect();
                let label = format!("heartbeat {}", called(&who));
                let heartbeat = Request::by(who, Body::Heartbeat { attempts });
                match reply {
                    true => self.ask(label, heartbeat),
                    false => self.hub.apply(heartbeat),
                }
            }
            "exit" => {
                let who = who(words.next());
                self.ask(format!("exit {}", called(&who)), Request::by(who, Body::Exit));
            }
            "steer" => {
                let order = match words.next() {
                    "drain" => Order::Drain,
                    "stop" => Order::Stop,
                    _ => self.fail("drain or stop"),
                };
                let find = |name: &&str| self.hub.scheduler.worker_id(&who(name));
                let workers = words.words.iter().filter_map(find).collect();
                self.ask("steer".into(), Body::Steer { workers, order });
            }
            "revoke" => {
                let keys = words.words.iter().map(|&key| key.into()).collect();
                self.hub.apply(Body::Revoked { keys });
            }
            "undelivered" => {
                let leases = words.words.iter().map(|word| attempt(word));
                let leases = leases.map(|lease| (lease.name, lease.attempt)).collect();
                self.hub.apply(Body::Undelivered { leases });
            }
            "forget" => {
                let beginning = words.words.join(" ");
                let open = self.open.iter().filter(|(_, label)| label.starts_with(&beginning));
                let tickets = open.map(|(&ticket, _)| ticket).collect();
                self.hub.apply(Body::Forget { tickets });
            }
            "cancel" => {
                let names = words.words.iter().map(|&name| name.into()).collect();
                self.ask("cancel".into(), Body::Cancel { names });
            }
            "hold" | "unhold" => self.adjust(verb, Adjustment::Held(verb == "hold"), &words),
            "priority" => {
                let priority = words.next().parse().expect("a priority");
                self.adjust(verb, Adjustment::Priority(priority), &words);
            }
            "await" => {
                let wait_ms = ms(words.next());
                let names: Vec<Name> = words.words.iter().map(|&name| name.into()).collect();
                let label = format!("await {}", names.join(" "));
                self.ask(label, Body::Await { names, wait_ms, output: false });
            }
            "retry" => {
                let done = words.flag("done");
                let names: Vec<Name> = words.words.iter().map(|&name| name.into()).collect();
                let (retried, others) = self.hub.retry(&names, done);
                let mut line =
                    format!("retry: retried {}, unskipped {}", retried.retried, retried.unskipped);
                for refused in retried.refused {
                    let _ = write!(line, "; {} refused: {}", refused.name, refused.message);
                }
                out.push(line);
                self.answers(others, out);
            }
            "wait" => {
                let wait_ms = ms(words.next());
                self.ask("wait".into(), Body::Wait { wait_ms });
            }
            "advance" => {
                let mut left = ms(words.next());
                while left > 0 {
                    let step = left.min(TURN_MS);
                    left -= step;
                    self.hub.now += step;
                    self.turn(out);
                }
            }
            "delay" => {
                let hub = std::mem::replace(&mut self.hub, Hub::in_memory());
                self.hub = hub.delay_retries(ms(words.next()));
            }
            "pause" => self.hub.now += ms(words.next()),
            "restart" => {
                self.turn(out);
                self.open.clear();
                self.hub.restart();
            }
            "state" => {
                for name in &self.names {
                    out.push(format!("{name} {}", self.show_task(name)));
                }
            }
            "counts" => out.push(self.counts()),
            "attempts" => {
                let name = words.next();
                let row = self.hub.store().task(name).expect("a row").expect("a task");
                for row in self.hub.store().attempts(row.id, 100).expect("its attempts") {
                    let (exit, reason) = (row.exit_code, &row.reason);
                    let comma = if reason.is_empty() { "" } else { ": " };
                    out.push(format!(
                        "#{} {} {} exit {exit}{comma}{reason}",
                        row.attempt, row.worker, row.outcome
                    ));
                }
            }
            _ => self.fail("unknown command"),
        }
    }

    fn adjust(&mut self, verb: &str, to: Adjustment, words: &Words) {
        let names = words.words.iter().map(|&name| name.into()).collect();
        self.ask(verb.into(), Body::Adjust { names, to });
    }

    fn ask(&mut self, label: String, request: impl Into<Request>) {
        let ticket = self.hub.send(request);
        self.open.insert(ticket, label);
    }

    /// Numbers are counted for clients with an id, unless the line says which.
    fn number(&mut self, who: &Who, said: Option<u64>) -> u64 {
        let last = self.numbers.entry(called(who)).or_default();
        match (said, who.id) {
            (Some(number), _) => {
                *last = number.max(*last);
                number
            }
            (None, Some(_)) => {
                *last += 1;
                *last
            }
            (None, None) => 0,
        }
    }

    fn new_task(&mut self, text: &str) -> NewTask {
        let mut words = Words { words: text.split(' ').filter(|word| !word.is_empty()).collect() };
        let name: Name = words.next().into();
        let priority = words.find("priority").unwrap_or(0);
        let retries = words.find("retries").unwrap_or(0);
        let command: Option<String> = words.find("command");
        let needs = words.rest_after("needs");
        self.names.insert(name.clone());
        self.names.extend(needs.iter().cloned());
        let details =
            command.map(|command| Details { command: Some(command.into()), ..Details::default() });
        let definition = definition(&needs, priority, retries, details.as_ref());
        NewTask { name, needs, definition, priority, retries, details: details.map(Box::new) }
    }

    fn counts(&self) -> String {
        let counts = self.hub.scheduler.counts();
        let mut line = format!("{:?}", self.hub.scheduler.phase()).to_lowercase();
        for state in STATES {
            if counts.of(state) > 0 {
                let _ = write!(line, ", {} {state:?}", counts.of(state));
            }
        }
        line.to_lowercase()
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{}:{}: {why}", self.file, self.line)
    }
}
