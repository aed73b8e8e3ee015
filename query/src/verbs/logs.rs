//! `logs`: what a task wrote, from its file where that can be read, else the end that the hub keeps.

use std::fs::File;
use std::io::{self, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, AttemptInfo, Shown, State, reply, request};

use super::logfile::{self, Found};
use crate::args::task_name;
use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::{Output, Written};
use crate::patience::{Patience, PatienceOptions};
use crate::render::words::{number, plain, state};

/// Time between two looks at the file, and at the hub.
const LOOK: Duration = Duration::from_millis(200);
const ASK: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
pub struct Logs {
    /// Name of the task
    #[arg(value_parser = task_name)]
    name: String,

    /// Number of the attempt; without it, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,

    /// Go on as it writes, until the task is finished; with --attempt, until that one has ended
    #[arg(short, long)]
    follow: bool,

    /// Print the file that the worker names also if it has not the task's name or is somebody else's. Whoever
    /// may work can name any file that you can read: look at the path first, in `dquery show`
    #[arg(long)]
    file: bool,

    #[command(flatten)]
    patience: PatienceOptions,
}

pub fn run(args: Logs, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if out.json {
        let message =
            "logs prints what the task wrote as it is; dquery show --json has the end of it";
        return Err(Failure::new(Exit::Usage, message));
    }
    if args.follow {
        return Follow::new(args, hub, out).run();
    }
    let shown = ask!(hub, Show(wire::Show { name: args.name.clone() }) => Shown);
    let Some(attempt) = pick(&shown, args.attempt) else {
        return Err(no_attempt(&args, &shown));
    };
    let (file, told) = open(&args, attempt);
    told.iter().for_each(|told| say(told));
    match file {
        Some(mut file) => print_file(&mut file, out)?,
        None if attempt.ended_unix_ms == 0 => say(&no_file(attempt)),
        None => print_end(attempt, out)?,
    }
    Ok(Exit::Ok)
}

fn pick(shown: &Shown, number: Option<u32>) -> Option<&AttemptInfo> {
    match number {
        Some(number) => shown.attempts.iter().find(|attempt| attempt.attempt == number),
        None => shown.attempts.last(),
    }
}

fn no_attempt(args: &Logs, shown: &Shown) -> Failure {
    let name = plain(&args.name);
    let state = shown.task.as_ref().map_or("unknown", |task| state(task.state()));
    Failure::new(
        Exit::Refused,
        match args.attempt {
            Some(number) => format!("no attempt {number} at '{name}' is known"),
            None => format!("'{name}' has not run yet; it is {state}"),
        },
    )
}

/// Its file, if that is to be found here and may be printed, and what there is to tell of it.
fn open(args: &Logs, attempt: &AttemptInfo) -> (Option<File>, Option<String>) {
    let file = plain(&attempt.output_file);
    match logfile::open(&args.name, attempt, args.file) {
        Found::File(found) => {
            let told = format!("all that attempt {} wrote, from {file}", attempt.attempt);
            (Some(found), Some(told))
        }
        Found::Refused(why) => (None, Some(format!("{file} is not printed: {why}"))),
        Found::Absent => (None, None),
    }
}

fn print_file(file: &mut File, out: Output) -> Result<(), Failure> {
    let mut written = out.written();
    copy(file, &mut written)?;
    written.end()
}

/// What is there from where it was read last.
fn copy(file: &mut File, out: &mut Written) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => out.print(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Failure::system("cannot read the output", &error));
            }
        }
    }
}

fn print_end(attempt: &AttemptInfo, out: Output) -> Result<(), Failure> {
    out.bytes(&attempt.output)?;
    let kept = match attempt.output.len() {
        0 => format!("the hub has no output of attempt {}", attempt.attempt),
        bytes => {
            format!("these are the last {} bytes, as the hub keeps them", number(bytes as u64))
        }
    };
    say(&format!("{kept}{}", elsewhere(attempt)));
    Ok(())
}

fn no_file(attempt: &AttemptInfo) -> String {
    let number = attempt.attempt;
    format!(
        "attempt {number} runs; the hub keeps the end of its output when it has ended{}",
        elsewhere(attempt)
    )
}

fn elsewhere(attempt: &AttemptInfo) -> String {
    match (attempt.output_file.as_str(), attempt.host.as_str()) {
        ("", _) => String::new(),
        (file, "") => format!("; all of it: {}", plain(file)),
        (file, host) => format!("; all of it: {} on {}", plain(file), plain(host)),
    }
}

/// Follows a task from attempt to attempt.
struct Follow<'a> {
    args: Logs,
    hub: &'a mut Hub,
    out: Output,
    patience: Patience,
    /// The last attempt of which all was printed.
    printed: u32,
    told: String,
    /// The same of its file.
    file_told: String,
}

impl<'a> Follow<'a> {
    fn new(args: Logs, hub: &'a mut Hub, out: Output) -> Self {
        let patience = Patience::new(args.patience, Duration::ZERO, None);
        Self { args, hub, out, patience, printed: 0, told: String::new(), file_told: String::new() }
    }

    fn run(mut self) -> Result<Exit, Failure> {
        loop {
            let shown = self.show()?;
            let state = shown.task.as_ref().map(|task| task.state()).unwrap_or_default();
            match pick(&shown, self.args.attempt) {
                None if self.args.attempt.is_some() => return Err(no_attempt(&self.args, &shown)),
                Some(attempt) if attempt.attempt > self.printed => self.print(attempt)?,
                _ if is_finished(state) => return Ok(Exit::Ok),
                _ => {
                    let state = crate::render::words::state(state);
                    self.tell(format!(
                        "'{}' is {state}; waiting until it runs",
                        plain(&self.args.name)
                    ));
                }
            }
            if self.args.attempt.is_some_and(|number| number == self.printed) {
                return Ok(Exit::Ok);
            }
            sleep(LOOK);
        }
    }

    fn print(&mut self, attempt: &AttemptInfo) -> Result<(), Failure> {
        let (file, told) = open(&self.args, attempt);
        if let Some(told) = told.filter(|told| *told != self.file_told) {
            say(&told);
            self.file_told = told;
        }
        match (file, attempt.ended_unix_ms) {
            (Some(mut file), 0) => self.follow(attempt.attempt, &mut file)?,
            (Some(mut file), _) => print_file(&mut file, self.out)?,
            // Its worker may not have told yet where it writes.
            (None, 0) => {
                self.tell(format!("{}; waiting", no_file(attempt)));
                sleep(ASK);
                return Ok(());
            }
            (None, _) => print_end(attempt, self.out)?,
        }
        self.printed = attempt.attempt;
        Ok(())
    }

    /// What is written is printed, until the attempt has ended.
    fn follow(&mut self, attempt: u32, file: &mut File) -> Result<(), Failure> {
        let mut asked = Instant::now();
        let mut written = self.out.written();
        loop {
            copy(file, &mut written)?;
            if asked.elapsed() >= ASK {
                if !self.runs(attempt)? {
                    // What it wrote between the last look and its end.
                    copy(file, &mut written)?;
                    return written.end();
                }
                asked = Instant::now();
            }
            sleep(LOOK);
        }
    }

    fn runs(&mut self, attempt: u32) -> Result<bool, Failure> {
        let list = wire::List {
            selection: Some(wire::Selection {
                names: vec![self.args.name.clone()],
                ..wire::Selection::default()
            }),
            ..wire::List::default()
        };
        match self.patience.ask(self.hub, |_| request::Body::List(list))? {
            // Silence says nothing of the task.
            None => Ok(true),
            Some(reply::Body::Listed(listed)) => Ok(listed
                .tasks
                .first()
                .is_some_and(|task| task.state() == State::Running && task.attempt == attempt)),
            Some(_) => Err(self.hub.unexpected()),
        }
    }

    fn show(&mut self) -> Result<Shown, Failure> {
        loop {
            let show = wire::Show { name: self.args.name.clone() };
            match self.patience.ask(self.hub, |_| request::Body::Show(show))? {
                None => {}
                Some(reply::Body::Shown(shown)) => return Ok(shown),
                Some(_) => return Err(self.hub.unexpected()),
            }
        }
    }

    /// Each thing once.
    fn tell(&mut self, what: String) {
        if what != self.told {
            say(&what);
            self.told = what;
        }
    }
}

fn is_finished(state: State) -> bool {
    matches!(state, State::Done | State::Failed | State::Skipped | State::Cancelled)
}
