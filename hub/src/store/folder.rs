//! The thread that folds, and looks at the pages when it has nothing to fold.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use dhub_checksum::Scrub;
use rusqlite::Connection;

use super::tables::fold::{Batch, fold};
use crate::engine::message::*;

pub(super) struct Job {
    pub(super) db: Connection,
    pub(super) batches: Vec<Batch>,
    pub(super) scrub: Option<Scrub>,
}

pub(super) struct Folded {
    pub(super) db: Connection,
    /// None: there was nothing to fold.
    pub(super) turn: Option<Turn>,
    pub(super) result: Result<(), (rusqlite::Error, Vec<Batch>)>,
    pub(super) scrub: Option<Scrub>,
}

/// The thread that folds; it ends when the store goes.
pub(super) struct Folder {
    /// None: it is to end.
    pub(super) jobs: Option<Sender<Job>>,
    pub(super) folded: Receiver<Folded>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Folder {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (outbox, folded) = channel();
        let work = move || {
            for Job { db, batches, mut scrub } in inbox {
                let turn = batches.last().map(|batch| batch.turn);
                let result = fold(&db, &batches).map_err(|error| (error, batches));
                if let Some(scrub) = &mut scrub {
                    dhub_checksum::scrub(&db, scrub);
                }
                if outbox.send(Folded { db, turn, result, scrub }).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("fold".into()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), folded, thread: Some(thread) })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, the store would say so at the next fold.
            let _ = thread.join();
        }
    }
}
