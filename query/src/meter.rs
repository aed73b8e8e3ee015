//! How far a wait is: a bar where somebody looks, a line now and then elsewhere.

use std::io::stderr;
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use dhub_proto::wire::Counts;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::say;
use crate::output::watched;
use crate::render::progress::{brief, finished};

pub struct Meter {
    /// Draws nothing when standard error is no terminal.
    bar: ProgressBar,
    begin: Instant,
    /// Tasks that were finished then.
    first: Option<u64>,
    /// How often something is said without a bar. Zero: never.
    every: Duration,
    said: Instant,
    said_of: u64,
}

impl Meter {
    pub fn new(every: Duration) -> Self {
        // It is cut where the window ends.
        let style = ProgressStyle::with_template("{wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style);
        let now = Instant::now();
        Self { bar, begin: now, first: None, every, said: now, said_of: 0 }
    }

    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// `per_s` is how fast it goes just now; 0 if nobody knows.
    pub fn show(&mut self, counts: &Counts, per_s: f64) {
        let finished = finished(counts);
        let first = *self.first.get_or_insert(finished);
        let overall = finished.saturating_sub(first) as f64 / self.begin.elapsed().as_secs_f64();
        self.bar.set_message(painted(brief(counts, per_s, overall, columns())));
        let due = !self.every.is_zero() && self.said.elapsed() >= self.every;
        if !watched() && due && finished != self.said_of {
            say(&strip_str(&brief(counts, per_s, overall, None)).to_string());
            (self.said, self.said_of) = (Instant::now(), finished);
        }
    }

    /// Above the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// One column less than there are: a full line would wrap in a window that shrinks.
fn columns() -> Option<usize> {
    let size = console::Term::stderr().size_checked();
    size.map(|(_, columns)| usize::from(columns.saturating_sub(1)))
}

fn painted(text: String) -> String {
    match AutoStream::choice(&stderr()) {
        ColorChoice::Never => strip_str(&text).to_string(),
        _ => text,
    }
}
