//! One task that was opened: all that `show` tells, and what its attempts wrote.

use dhub_proto::wire::{AttemptInfo, Shown};
use jiff::tz::TimeZone;

use super::pager::Pager;
use crate::render::room::Room;
use crate::render::show;
use crate::render::words::{FAINT, ODD, paint, plain};

/// Attempts whose output is shown, the newest first.
const OUTPUTS_MAX: usize = 5;

pub struct Detail {
    pub name: String,
    pub shown: Option<Box<Shown>>,
    /// Why it cannot be shown.
    pub trouble: Option<String>,
    pub pager: Pager,
}

impl Detail {
    pub fn new(name: String) -> Self {
        Self { name, shown: None, trouble: None, pager: Pager::default() }
    }

    /// With colours, as the verb has it.
    pub fn text(&self, zone: &TimeZone, columns: usize) -> String {
        let room = Room { columns: Some(columns), lines: None };
        let mut text = match &self.shown {
            Some(shown) => {
                show::show(&without_output(shown), zone, room) + &outputs(&shown.attempts)
            }
            None if self.trouble.is_some() => String::new(),
            None => format!("{}   asking the hub …", plain(&self.name)),
        };
        if let Some(trouble) = &self.trouble {
            text = paint(ODD, trouble) + "\n" + &text;
        }
        text
    }
}

/// The verb has the end of the last output only; here all of it has room.
fn without_output(shown: &Shown) -> Shown {
    let attempts = shown.attempts.iter().map(|it| AttemptInfo {
        output: Vec::new(),
        output_file: it.output_file.clone(),
        worker: it.worker.clone(),
        outcome: it.outcome.clone(),
        reason: it.reason.clone(),
        host: it.host.clone(),
        key: it.key.clone(),
        ..*it
    });
    Shown {
        attempts: attempts.collect(),
        task: shown.task.clone(),
        needs: shown.needs.clone(),
        needed_by: shown.needed_by.clone(),
        room_for: shown.room_for.clone(),
        room_by: shown.room_by.clone(),
    }
}

fn outputs(attempts: &[AttemptInfo]) -> String {
    let mut text = String::new();
    let written = attempts.iter().rev().filter(|attempt| !attempt.output.is_empty());
    for attempt in written.take(OUTPUTS_MAX) {
        text += &format!("\n  attempt {} wrote\n", attempt.attempt);
        for line in String::from_utf8_lossy(&attempt.output).lines() {
            text += &format!("    {} {}\n", paint(FAINT, "|"), plain(&line.replace('\t', "    ")));
        }
    }
    text
}
