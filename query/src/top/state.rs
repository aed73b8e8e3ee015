//! All that is on the screen, and what the hub has to be asked for it. Pure: what happens comes as a
//! call, time as an argument.

use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{StatusReport, TaskInfo, WorkerInfo};
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::asker::{Answer, Ask, Heard};
use super::deed::Deed;
use super::detail::Detail;
use super::history::History;
use super::pace::Pace;
use super::pager::Pager;
use super::palette::Palette;
use super::window::Window;
use super::workers::Workers;
use crate::failure::Failure;
use crate::render::words::plain;

/// A hub that takes so long for an answer is said to be silent.
const SILENCE: Duration = Duration::from_secs(3);
/// So long nothing is heard of a hub that is well, which is asked each second.
const GAP: Duration = Duration::from_millis(1_500);
/// A status is the same work however large the run is: if it takes long, something else does.
const STATUS_PERIOD_MAX: Duration = Duration::from_secs(3);
const PAGE_PERIOD_MAX: Duration = Duration::from_secs(30);
/// How long the outcome of a deed stays on the screen, if no key is pressed.
const MESSAGE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    Tasks,
    Workers,
}

/// What the next key means.
#[derive(Debug, PartialEq)]
pub enum Mode {
    Look,
    /// A name is typed.
    Filter(String),
    /// The next key chooses a state.
    State,
    Confirm(Deed),
    /// A number is typed.
    Priority {
        name: String,
        text: String,
    },
    Help,
}

pub struct Message {
    pub text: String,
    pub is_bad: bool,
    at: Instant,
}

/// What the hub is asked again and again.
struct Paces {
    status: Pace,
    tasks: Pace,
    workers: Pace,
    show: Pace,
}

pub struct State {
    pub palette: Palette,
    pub now: Instant,
    pub wall: Zoned,
    pub zone: TimeZone,
    pub report: Option<Box<StatusReport>>,
    pub history: History,
    pub view: View,
    pub mode: Mode,
    pub window: Window,
    pub workers: Workers,
    pub detail: Option<Detail>,
    pub help: Pager,
    message: Option<Message>,
    heard_at: Instant,
    /// When the hub was heard again after a silence.
    back_at: Option<Instant>,
    /// Why there is no status, other than that the hub is silent.
    trouble: Option<String>,
    is_silent: bool,
    /// The last page was not had; the next one is not urgent, whatever somebody does.
    page_failed: bool,
    paces: Paces,
    /// Deeds to be asked for.
    deeds: Vec<Deed>,
    pub(super) is_over: bool,
    pub(super) to_suspend: bool,
}

impl State {
    pub fn new(palette: Palette, timeout_ms: u64, now: Instant, wall: Zoned) -> Self {
        let pace = || Pace::new(now, PAGE_PERIOD_MAX);
        Self {
            palette,
            now,
            zone: wall.time_zone().clone(),
            wall,
            report: None,
            history: History::default(),
            view: View::Tasks,
            mode: Mode::Look,
            window: Window::default(),
            workers: Workers::new(timeout_ms),
            detail: None,
            help: Pager::default(),
            message: None,
            heard_at: now,
            back_at: None,
            trouble: None,
            is_silent: false,
            page_failed: false,
            paces: Paces {
                status: Pace::new(now, STATUS_PERIOD_MAX),
                tasks: pace(),
                workers: pace(),
                show: pace(),
            },
            deeds: Vec::new(),
            is_over: false,
            to_suspend: false,
        }
    }

    pub fn at(&mut self, now: Instant, wall: Zoned) {
        (self.now, self.wall) = (now, wall);
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Somebody pressed Ctrl-Z. Told once.
    pub fn takes_suspend(&mut self) -> bool {
        std::mem::take(&mut self.to_suspend)
    }

    /// What the hub is to be asked now; each is under way from here on.
    pub fn wanted(&mut self) -> Vec<Ask> {
        let now = self.now;
        let mut wanted: Vec<Ask> = self.deeds.drain(..).map(Ask::Do).collect();
        let mut want = |pace: &mut Pace, ask: Ask| {
            pace.ask(now);
            wanted.push(ask);
        };
        if self.paces.status.is_due(now) {
            want(&mut self.paces.status, Ask::Status);
        }
        if let Some(detail) = &self.detail {
            if self.paces.show.is_due(now) {
                want(&mut self.paces.show, Ask::Show(detail.name.clone()));
            }
            return wanted;
        }
        match self.view {
            View::Tasks if !self.paces.tasks.is_asked() => {
                if let Some(query) = self.window.urgent().filter(|_| !self.page_failed) {
                    want(&mut self.paces.tasks, Ask::Tasks(query));
                } else if self.paces.tasks.is_due(now) {
                    want(&mut self.paces.tasks, Ask::Tasks(self.window.refresh()));
                }
            }
            View::Workers if self.workers.are_many && self.paces.workers.is_due(now) => {
                want(&mut self.paces.workers, Ask::Workers);
            }
            _ => {}
        }
        wanted
    }

    /// How long nothing will be wanted if nothing happens.
    pub fn until_wanted(&self) -> Duration {
        let Paces { status, tasks, workers, show } = &self.paces;
        let next = match (&self.detail, self.view) {
            (Some(_), _) => show.next(),
            (None, View::Tasks) => tasks.next(),
            (None, View::Workers) => workers.next().filter(|_| self.workers.are_many),
        };
        let next = [status.next(), next].into_iter().flatten().min();
        next.map_or(Duration::MAX, |next| next.saturating_duration_since(self.now))
    }

    pub fn heard(&mut self, heard: Heard) {
        let Heard { ask, took, answer } = heard;
        let (failed, now) = (answer.is_err(), self.now);
        let silent = matches!(&answer, Err(failure) if failure.exit == Exit::NoHub);
        let superseded = matches!(answer, Ok(Answer::Superseded));
        if !silent && !superseded {
            if now.saturating_duration_since(self.heard_at) > GAP {
                self.back_at = Some(now);
            }
            self.heard_at = now;
        }
        let back_at = self.back_at;
        if let Some(pace) = self.pace_of(&ask) {
            // What was asked of a hub that was away says nothing about its load.
            let was_away = pace.asked_at() <= back_at;
            pace.heard(now, if failed || was_away { Duration::ZERO } else { took });
        }
        if superseded {
            return;
        }
        self.is_silent = silent;
        if let Ask::Tasks(_) = ask {
            self.page_failed = failed;
        }
        match answer {
            Ok(answer) => self.answered(ask, answer),
            Err(failure) => self.refused(&ask, &failure, silent),
        }
    }

    /// None: not asked again and again, or no more.
    fn pace_of(&mut self, ask: &Ask) -> Option<&mut Pace> {
        match ask {
            Ask::Status => Some(&mut self.paces.status),
            Ask::Tasks(query) if self.window.asks_for(query) => Some(&mut self.paces.tasks),
            Ask::Workers => Some(&mut self.paces.workers),
            Ask::Show(name) if self.detail.as_ref().is_some_and(|it| it.name == *name) => {
                Some(&mut self.paces.show)
            }
            Ask::Tasks(_) | Ask::Show(_) | Ask::Do(_) => None,
        }
    }

    fn answered(&mut self, ask: Ask, answer: Answer) {
        match (ask, answer) {
            (Ask::Status, Answer::Status(report)) => self.told(report),
            (Ask::Tasks(query), Answer::Tasks(listed)) => {
                self.window.heard(&query, listed, self.now);
            }
            (Ask::Workers, Answer::Workers(workers)) => self.workers.heard(workers),
            (Ask::Show(name), Answer::Shown(shown)) => {
                if let Some(detail) = self.detail.as_mut().filter(|it| it.name == name) {
                    (detail.shown, detail.trouble) = (Some(shown), None);
                }
            }
            (Ask::Do(_), Answer::Done(sentence)) => {
                self.say(sentence, false);
                // What it changed is to be seen.
                self.paces.status.now(self.now);
                self.ask_page();
                self.paces.show.now(self.now);
            }
            // Each question has its own kind of answer.
            _ => {}
        }
    }

    fn told(&mut self, report: Box<StatusReport>) {
        self.trouble = None;
        let counts = report.counts.unwrap_or_default();
        self.history.note(self.now, counts.done);
        self.workers.are_many = report.workers_total > report.workers.len() as u64;
        if !self.workers.are_many {
            self.workers.heard(report.workers.clone());
        }
        self.report = Some(report);
    }

    fn refused(&mut self, ask: &Ask, failure: &Failure, silent: bool) {
        let text = failure.message.lines().next().unwrap_or_default();
        match ask {
            Ask::Do(deed) => {
                let (verb, name) = (deed.verb(), plain(deed.name()));
                self.say(format!("cannot {verb} '{name}': {text}"), true);
            }
            // The header says since when.
            _ if silent => {}
            Ask::Show(name) => {
                if let Some(detail) = self.detail.as_mut().filter(|it| it.name == *name) {
                    detail.trouble = Some(text.to_owned());
                }
            }
            Ask::Status => self.trouble = Some(text.to_owned()),
            Ask::Tasks(_) | Ask::Workers => self.say(text.to_owned(), true),
        }
    }

    pub(super) fn say(&mut self, text: String, is_bad: bool) {
        let text = plain(&text).into_owned();
        self.message = Some(Message { text, is_bad, at: self.now });
    }

    pub(super) fn hush(&mut self) {
        self.message = None;
    }

    pub fn message(&self) -> Option<&Message> {
        let young = |it: &&Message| self.now.saturating_duration_since(it.at) < MESSAGE;
        self.message.as_ref().filter(young)
    }

    /// Why what is on the screen may be old.
    pub fn trouble(&self) -> Option<String> {
        let waits = self.paces.status.asked_at();
        let waits = waits.map_or(Duration::ZERO, |at| self.now.saturating_duration_since(at));
        let since = self.now.saturating_duration_since(self.heard_at);
        if self.is_silent || waits > SILENCE {
            return Some(format!("no answer for {} s", since.as_secs()));
        }
        self.trouble.clone()
    }

    /// Another page is wanted than the one that is asked for.
    pub(super) fn ask_page(&mut self) {
        self.paces.tasks.now(self.now);
    }

    pub(super) fn open(&mut self) {
        if let Some(task) = self.window.task() {
            self.detail = Some(Detail::new(task.name.clone()));
            self.paces.show.now(self.now);
        }
    }

    pub(super) fn close(&mut self) {
        self.detail = None;
        self.ask_page();
    }

    pub(super) fn carry_out(&mut self, deed: Deed) {
        self.say(format!("{} '{}': asking the hub …", deed.verb(), plain(deed.name())), false);
        self.deeds.push(deed);
    }

    /// The task that keys speak of.
    pub(super) fn task(&self) -> Option<&TaskInfo> {
        match &self.detail {
            Some(detail) => detail.shown.as_ref().and_then(|shown| shown.task.as_ref()),
            None => Some(self.window.task()?).filter(|_| self.view == View::Tasks),
        }
    }

    pub(super) fn worker(&self) -> Option<&WorkerInfo> {
        match (&self.detail, self.view) {
            (None, View::Workers) => self.workers.worker(),
            _ => None,
        }
    }
}
