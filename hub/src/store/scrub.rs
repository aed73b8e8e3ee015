//! A look at all pages of the file after a start, in the thread that folds: what nobody reads is mended too.
//!
//! Some pages at a time, and then a pause, so that neither the disk nor who wants to read has to wait for it.

use std::path::Path;
use std::time::{Duration, Instant};

use dhub_checksum::Scrub;

use super::{Store, StoreError};

/// Half a megabyte each time: a gigabyte takes 40 s, and 1 % of a processor.
const PAUSE: Duration = Duration::from_millis(20);

/// How far it has come.
#[derive(Default)]
pub struct Scrubbing {
    /// None: there is nothing to look at.
    scrub: Option<Scrub>,
    next: Option<Instant>,
}

impl Scrubbing {
    /// What to look at next, if it is time to.
    pub fn take_due(&mut self) -> Option<Scrub> {
        let scrub = self.scrub.filter(|scrub| !scrub.is_over)?;
        let is_due = self.due().is_some_and(|due| due.is_zero());
        is_due.then(|| {
            self.put_off();
            scrub
        })
    }

    pub fn put_off(&mut self) {
        self.next = self.next.map(|_| Instant::now() + PAUSE);
    }

    fn due(&self) -> Option<Duration> {
        let next = self.next.filter(|_| self.scrub.is_some_and(|scrub| !scrub.is_over))?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// What was found. At the end it is said, if it is anything.
    pub fn note(&mut self, scrub: Option<Scrub>, file: Option<&Path>) {
        let Some(scrub) = scrub else { return };
        self.scrub = Some(scrub);
        let Scrub { mended, damaged, .. } = scrub;
        if scrub.is_over && mended + damaged > 0 {
            let file = file.map_or_else(String::new, |file| file.display().to_string());
            tracing::warn!(
                "all pages of {file} were looked at: besides those told before, {mended} had one wrong byte and are mended; {damaged} are damaged"
            );
        }
    }
}

impl Store {
    /// From now on, whenever there is time.
    pub(super) fn begin_scrub(&self) -> Result<(), StoreError> {
        if dhub_checksum::is_summed(&*self.db()?) {
            *self.scrubbing.borrow_mut() =
                Scrubbing { scrub: Some(Scrub::default()), next: Some(Instant::now()) };
        }
        Ok(())
    }

    pub(super) fn scrub_due(&self) -> Option<Duration> {
        if self.is_away() { None } else { self.scrubbing.borrow().due() }
    }

    /// Pages that are damaged, as far as they have been looked at.
    pub fn damaged_pages(&self) -> u64 {
        self.scrubbing.borrow().scrub.map_or(0, |scrub| scrub.damaged.into())
    }
}
