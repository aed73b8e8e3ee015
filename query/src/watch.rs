//! Looking at a hub again and again: a screen that is repainted, or a line for each change.
//!
//! A thread asks, so that a hub that does not answer stops nothing: keys, signals and the clock on
//! the screen go on. A hub that is gone is waited for, without end.

use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use dhub_proto::client::ClientError;
use dhub_proto::exit::Exit;
use dhub_proto::wire::{ErrorCode, Status, StatusReport, reply, request};
use jiff::Zoned;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::failure::{Failure, say};
use crate::hub::Hub;
use crate::output::Output;
use crate::render::room::Room;
use crate::render::words::{BAD, paint, span};
use crate::render::{json, status};
use crate::screen::Screen;

/// A hub that takes longer than this is not just slow.
const SLOW: Duration = Duration::from_secs(2);
/// How often the time since the last answer is shown anew.
const TICK: Duration = Duration::from_secs(1);

enum Event {
    Answer(Box<Result<StatusReport, ClientError>>),
    Signal(i32),
    Quit,
}

/// Begins with a report that is there already. Ends by a signal, `q`, or an answer that no patience mends.
pub fn run(
    first: StatusReport,
    pace: Duration,
    timeout_ms: u64,
    hub: Hub,
    out: Output,
) -> Result<Exit, Failure> {
    let (sender, events) = channel();
    let asking = sender.clone();
    std::thread::spawn(move || ask(hub, pace, &asking));
    let mut last = Last { report: first, at: Instant::now(), silent: false, pace };
    if !io::stdout().is_terminal() || out.json {
        return lines(&mut last, &events, out);
    }
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH])
        .map_err(|error| Failure::new(Exit::System, format!("cannot catch signals: {error}")))?;
    let mut screen = Screen::enter()?;
    let signal_sender = sender.clone();
    std::thread::spawn(move || pass_on(signals, &signal_sender));
    if io::stdin().is_terminal() {
        std::thread::spawn(move || keys(&sender));
    }
    let picture = |last: &Last, room| out.painted(&last.picture(timeout_ms, room));
    let end = repaint(&mut last, &events, &mut screen, picture);
    screen.leave();
    let end = end?;
    // The last picture stays below the shell's own text.
    out.text(&last.picture(timeout_ms, Room::of_stdout()))?;
    if let Some(signal) = end {
        // Whoever started this learns that it was a signal.
        let _ = emulate_default_handler(signal);
    }
    Ok(Exit::Ok)
}

/// What was heard last, and since when nothing is.
struct Last {
    report: StatusReport,
    at: Instant,
    silent: bool,
    pace: Duration,
}

impl Last {
    fn heard(&mut self, report: StatusReport) {
        *self = Self { report, at: Instant::now(), silent: false, pace: self.pace };
    }

    fn since(&self) -> String {
        (Zoned::now() - self.at.elapsed()).strftime("%H:%M:%S").to_string()
    }

    fn picture(&self, timeout_ms: u64, room: Room) -> String {
        let age = self.at.elapsed();
        if age < self.pace + SLOW {
            return status::status(&self.report, &Zoned::now(), timeout_ms, room);
        }
        let said = format!("no answer from the hub for {}, since {}", span(age), self.since());
        let below = Room { lines: room.lines.map(|all| all.saturating_sub(1)), ..room };
        let text = status::status(&self.report, &Zoned::now(), timeout_ms, below);
        format!("{}\n{text}", paint(BAD, said))
    }
}

/// Until a signal that ends the program, or None: a key.
fn repaint(
    last: &mut Last,
    events: &Receiver<Event>,
    screen: &mut Screen,
    picture: impl Fn(&Last, Room) -> String,
) -> Result<Option<i32>, Failure> {
    loop {
        screen.paint(&picture(last, Room::of_screen()))?;
        match events.recv_timeout(TICK) {
            Ok(Event::Answer(answer)) => match *answer {
                Ok(report) => last.heard(report),
                Err(error) => patient(error)?,
            },
            Ok(Event::Signal(SIGTSTP)) => {
                screen.leave();
                let _ = emulate_default_handler(SIGTSTP);
            }
            Ok(Event::Signal(SIGCONT)) => {
                screen.leave();
                screen.resume()?;
            }
            Ok(Event::Signal(SIGWINCH)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Signal(signal)) => return Ok(Some(signal)),
            Ok(Event::Quit) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// One for each change, until the program is ended.
fn lines(last: &mut Last, events: &Receiver<Event>, out: Output) -> Result<Exit, Failure> {
    let mut told = String::new();
    loop {
        let change = change(&last.report);
        if change != told {
            match out.json {
                true => out.documents(std::iter::once(json::status(&last.report)))?,
                false => out.raw(&format!("{}\n", status::brief(&last.report, &Zoned::now())))?,
            }
            told = change;
        }
        let answer = match events.recv() {
            Ok(Event::Answer(answer)) => *answer,
            Ok(Event::Signal(_) | Event::Quit) => continue,
            Err(_) => return Ok(Exit::Ok),
        };
        match answer {
            Ok(report) => {
                if last.silent {
                    say(&format!("the hub is back after {}", span(last.at.elapsed())));
                }
                last.heard(report);
            }
            Err(error) => {
                patient(error)?;
                if !std::mem::replace(&mut last.silent, true) {
                    say(&format!("the hub is silent since {}; waiting for it", last.since()));
                }
            }
        }
    }
}

/// What counts as one: not that time goes by.
fn change(report: &StatusReport) -> String {
    let lost = report.workers.iter().filter(|it| it.lost).count();
    format!("{:?} {} {} {lost}", report.counts, report.phase, report.workers_total)
}

/// A hub that is silent or busy is asked again; one that says no is not.
fn patient(error: ClientError) -> Result<(), Failure> {
    match error {
        error if error.is_silence() => Ok(()),
        ClientError::Refused(error) if error.code() == ErrorCode::ErrorBusy => Ok(()),
        other => Err(other.into()),
    }
}

fn ask(mut hub: Hub, pace: Duration, events: &Sender<Event>) {
    loop {
        std::thread::sleep(pace);
        let answer = match hub.ask_parked(request::Body::Status(Status {}), Duration::ZERO) {
            Ok(reply::Body::Status(report)) => Ok(report),
            Ok(_) => {
                let endpoint = hub.client().endpoint().to_owned();
                Err(ClientError::Unexpected { endpoint })
            }
            Err(error) => Err(error),
        };
        if events.send(Event::Answer(Box::new(answer))).is_err() {
            return;
        }
    }
}

fn pass_on(mut signals: Signals, events: &Sender<Event>) {
    for signal in signals.forever() {
        if events.send(Event::Signal(signal)).is_err() {
            return;
        }
    }
}

fn keys(events: &Sender<Event>) {
    for key in io::stdin().lock().bytes() {
        match key {
            Ok(b'q' | b'Q') => {
                let _ = events.send(Event::Quit);
                return;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
