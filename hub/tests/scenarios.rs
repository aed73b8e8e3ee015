//! The core, told as stories: text files of commands and what comes of them.
//!
//! A file in `data/scenarios` has one command a line; `;` joins commands that share a commit. The
//! indented lines after it are what the hub answered, and to whom, and the tasks whose state
//! changed. `UPDATE_SCENARIOS=1` writes them anew: read the difference before you believe it.
//!
//!     create a, b needs a c priority 5 retries 1 command CMD     merge ... (as dwork's Create)
//!     steal w1 n 2 wait 10s lease 5s number 3 stay
//!     complete w1 a#1 b want 1     fail w1 a#1 exit 3 reason WORD final     release w1 a#1 needs c
//!     heartbeat w1 a#1* b#1 (reply)     exit w1     undelivered a#1
//!     steer drain w1     steer stop w1 w2
//!     cancel a     retry a (done)     wait 5s
//!     delay 1s (--retry-delay of this hub; without it 0)
//!     advance 31s (a turn each second)     pause 60s (none meanwhile)     restart
//!     state     counts     attempts a     tasks NAME from 1 to 9 ...
//!
//! A worker w1 has an id and counts its steals; any other, such as h1, is known by its name alone.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use common::*;
use dhub::convert::definition;
use dhub::scheduler::State;
use dhub::scheduler::message::*;

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
    numbers: HashMap<Name, u64>,
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
                format!("{word} {}#{}", worker.who.name, task.attempt)
            }
            _ if state == State::Skipped => {
                let store = self.hub.store();
                let row = store.task(name).expect("a row").expect("a row");
                let blame = store.name(row.blame.expect("one to blame")).expect("its name");
                format!("{word} because of {blame}")
            }
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
                self.ask(verb.into(), |ticket| Command::Create { ticket, tasks, merge });
            }
            "tasks" => {
                let prefix = words.next();
                let (from, to): (u32, u32) = (words.after("from"), words.after("to"));
                let rest = words.words.join(" ");
                let tasks =
                    (from..=to).map(|i| self.new_task(&format!("{prefix}{i} {rest}"))).collect();
                self.ask(verb.into(), |ticket| Command::Create { ticket, tasks, merge: false });
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
                };
                steal.number = self.number(&who, words.find("number"));
                let number =
                    if steal.number > 0 { format!(" {}", steal.number) } else { "".into() };
                let label = format!("steal {}{number}", who.name);
                self.ask(label, |ticket| Command::Steal { ticket, who, steal });
            }
            "complete" | "fail" => {
                let who = who(words.next());
                let want = words.find("want").map(|n| Steal {
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
                let label = format!("{verb} {}", who.name);
                self.ask(label, |ticket| Command::Complete { ticket, who, outcomes, want });
            }
            "release" => {
                let who = who(words.next());
                let needs = words.rest_after("needs");
                self.names.extend(needs.iter().cloned());
                let attempts: Vec<_> = words.words.iter().map(|word| attempt(word)).collect();
                let needs = if needs.is_empty() { Vec::new() } else { vec![needs; attempts.len()] };
                let label = format!("release {}", who.name);
                self.ask(label, |ticket| Command::Release { ticket, who, attempts, needs });
            }
            "heartbeat" => {
                let who = who(words.next());
                let reply = words.flag("reply");
                let attempts = words.words.iter().map(|word| attempt(word)).collect();
                if reply {
                    self.ask(format!("heartbeat {}", who.name), |ticket| Command::Heartbeat {
                        ticket: Some(ticket),
                        who,
                        attempts,
                    });
                } else {
                    self.hub.apply(Command::Heartbeat { ticket: None, who, attempts });
                }
            }
            "exit" => {
                let who = who(words.next());
                self.ask(format!("exit {}", who.name), |ticket| Command::Exit { ticket, who });
            }
            "steer" => {
                let order = match words.next() {
                    "drain" => Order::Drain,
                    "stop" => Order::Stop,
                    _ => self.fail("drain or stop"),
                };
                let find = |name: &&str| self.hub.scheduler.worker_id(&who(name));
                let workers = words.words.iter().filter_map(find).collect();
                self.ask("steer".into(), |ticket| Command::Steer { ticket, workers, order });
            }
            "undelivered" => {
                let leases = words.words.iter().map(|word| attempt(word));
                let leases = leases.map(|lease| (lease.name, lease.attempt)).collect();
                self.hub.apply(Command::Undelivered { leases });
            }
            "cancel" => {
                let names = words.words.iter().map(|&name| name.into()).collect();
                self.ask("cancel".into(), |ticket| Command::Cancel { ticket, names });
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
                self.ask("wait".into(), |ticket| Command::Wait { ticket, wait_ms });
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

    fn ask(&mut self, label: String, command: impl FnOnce(Ticket) -> Command) {
        let ticket = self.hub.ticket();
        self.open.insert(ticket, label);
        self.hub.apply(command(ticket));
    }

    /// Numbers are counted for clients with an id, unless the line says which.
    fn number(&mut self, who: &Who, said: Option<u64>) -> u64 {
        let last = self.numbers.entry(who.name.clone()).or_default();
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

/// The words of a command; those that were understood are taken out.
struct Words<'a> {
    words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        self.words.remove(0)
    }

    fn find<T: std::str::FromStr>(&mut self, key: &str) -> Option<T> {
        let at = self.words.iter().position(|word| *word == key)?;
        let value = self.words.get(at + 1).and_then(|word| word.parse().ok());
        self.words.drain(at..at + 2);
        Some(value.unwrap_or_else(|| panic!("'{key}' needs a value")))
    }

    fn after<T: std::str::FromStr>(&mut self, key: &str) -> T {
        self.find(key).unwrap_or_else(|| panic!("'{key}' is missing"))
    }

    fn find_ms(&mut self, key: &str) -> u64 {
        self.find::<String>(key).map_or(0, |text| ms(&text))
    }

    fn flag(&mut self, key: &str) -> bool {
        let at = self.words.iter().position(|word| *word == key);
        at.map(|at| self.words.remove(at)).is_some()
    }

    fn rest_after(&mut self, key: &str) -> Vec<Name> {
        let Some(at) = self.words.iter().position(|word| *word == key) else {
            return Vec::new();
        };
        self.words.drain(at..).skip(1).map(Name::from).collect()
    }
}

/// 1h, 2m, 3s, 4ms.
fn ms(text: &str) -> u64 {
    let (unit, times) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(unit))
        .unwrap_or_else(|| panic!("'{text}' is no time"));
    text[..text.len() - unit.len()].parse::<u64>().expect("a number") * times
}

/// NAME, NAME#ATTEMPT, and a star if its process runs.
fn attempt(text: &str) -> AttemptRef {
    let (text, started) = match text.strip_suffix('*') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (name, attempt) = text.split_once('#').unwrap_or((text, "0"));
    AttemptRef { name: name.into(), attempt: attempt.parse().expect("an attempt"), started }
}

fn show_attempts<'a>(attempts: impl Iterator<Item = (&'a Name, u32)>) -> String {
    let all: Vec<String> = attempts.map(|(name, attempt)| format!("{name}#{attempt}")).collect();
    if all.is_empty() { "nothing".into() } else { all.join(" ") }
}

fn show_lost(lost: &[(Name, u32)]) -> String {
    if lost.is_empty() {
        return String::new();
    }
    let lost = lost.iter().map(|(name, attempt)| (name, *attempt));
    format!(", lost {}", show_attempts(lost))
}

fn show_order(order: Order) -> &'static str {
    match order {
        Order::None => "",
        Order::Drain => ", drain",
        Order::Stop => ", stop",
    }
}

fn show_stolen(stolen: &Stolen) -> String {
    let leases = show_attempts(stolen.leases.iter().map(|lease| (&lease.name, lease.attempt)));
    let mut line = match stolen.leases.is_empty() {
        true => format!("nothing, {:?}", stolen.phase).to_lowercase(),
        false => leases,
    };
    if let Some(lease) = stolen.leases.iter().find(|lease| lease.term_ms != WORKER_TIMEOUT_MS) {
        let _ = write!(line, " for {}s", lease.term_ms / 1000);
    }
    if stolen.not_done > 0 {
        let _ = write!(line, ", {} not done", stolen.not_done);
    }
    line + &show_lost(&stolen.lost) + show_order(stolen.order)
}

fn show_refused(refused: &[Refused]) -> String {
    let mut line = String::new();
    for Refused { name, attempt, code, message } in refused {
        let _ = write!(line, "; {name}#{attempt} refused, {code:?}: {message}");
    }
    line
}

fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Created { added, existing, ready } => {
            format!("added {added}, existing {existing}, ready {ready}")
        }
        Answer::Stolen(stolen) => show_stolen(stolen),
        Answer::Completed { refused, stolen } => {
            let stolen = stolen
                .as_ref()
                .map_or(String::new(), |stolen| format!("; {}", show_stolen(stolen)));
            format!("ok{}{stolen}", show_refused(refused))
        }
        Answer::Released { released, refused } => {
            format!("released {released}{}", show_refused(refused))
        }
        Answer::Heartbeaten { lost, order } => {
            format!("ok{}{}", show_lost(lost), show_order(*order))
        }
        Answer::Steered => "ok".into(),
        Answer::Exited { released } => format!("released {released}"),
        Answer::Cancelled { cancelled, refused } => {
            format!("cancelled {cancelled}{}", show_refused(refused))
        }
        Answer::Revived { .. } => panic!("only jobs revive"),
        Answer::Waited { phase } => format!("{phase:?}").to_lowercase(),
        Answer::Error { code, message, names } => {
            format!("{code:?}: {message} [{}]", names.join(" "))
        }
        Answer::Replaced => "replaced".into(),
        Answer::Joined { .. } => "joined by its repeat".into(),
    }
}
