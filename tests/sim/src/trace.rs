//! What happened, in lines that a person can follow.
//!
//! A seed runs without a trace first; one that fails runs again with it, and says the same.

use std::collections::VecDeque;
use std::fmt::Arguments;

use dhub::engine::message::Millis;

pub struct Trace {
    lines: VecDeque<String>,
    most: usize,
    /// Of all lines, also those dropped: two runs that differ anywhere differ here.
    digest: u64,
    begin: Option<Millis>,
}

impl Trace {
    /// Keeps the last `most` lines; with 0 nothing is even formatted.
    pub fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), most, digest: 0xcbf2_9ce4_8422_2325, begin: None }
    }

    pub fn is_on(&self) -> bool {
        self.most > 0
    }

    pub fn note(&mut self, now: Millis, line: Arguments) {
        if self.most == 0 {
            return;
        }
        let since = now - *self.begin.get_or_insert(now);
        let (s, ms) = (since / 1000, since % 1000);
        let line = format!("{:>3}:{:02}:{:02}.{ms:03}  {line}", s / 3600, s / 60 % 60, s % 60);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub fn into_lines(self) -> (Vec<String>, u64) {
        (self.lines.into(), self.digest)
    }
}

/// A line of the trace; its arguments are looked at only if there is one.
#[macro_export]
macro_rules! note {
    ($trace:expr, $now:expr, $($line:tt)*) => {
        if $trace.is_on() {
            $trace.note($now, format_args!($($line)*));
        }
    };
}
