//! What a run has come to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::journal::{Fault, Kind, Totals};

pub struct Report {
    pub seed: u64,
    pub cycles: u64,
    /// Of these: hubs killed while they started.
    pub early_kills: u64,
    pub time: Duration,
    pub tasks: u64,
    pub requests: u64,
    pub repeats: u64,
    pub totals: Totals,
    pub faults: Vec<Fault>,
    /// The file of the hub and, if there are faults, the journal's last events.
    pub dir: PathBuf,
}

impl Report {
    pub fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Totals { created, leased, done, failed, refused, cancelled, ran, .. } = self.totals;
        let rows = [
            ("seed", self.seed),
            ("cycles (kill -9 and restart)", self.cycles),
            ("  killed while starting", self.early_kills),
            ("seconds", self.time.as_secs()),
            ("tasks", self.tasks),
            ("requests", self.requests),
            ("  sent again", self.repeats),
            ("acknowledged: tasks added", created),
            ("  leases", leased),
            ("  outcomes: done", done),
            ("  outcomes: failed", failed),
            ("  cancelled", cancelled),
            ("outcomes refused as stale", refused),
            ("attempts run by kworker", ran),
        ];
        for (what, count) in rows {
            writeln!(out, "{what:<32}{count:>12}")?;
        }
        let kinds = [
            (Kind::Lost, "lost"),
            (Kind::Changed, "changed"),
            (Kind::Repeated, "repeated"),
            (Kind::Twice, "attempts given out twice"),
            (Kind::Early, "started too early"),
            (Kind::Wrong, "other faults"),
        ];
        for (kind, what) in kinds {
            writeln!(out, "{what:<32}{:>12}", self.count(kind))?;
        }
        Ok(())
    }
}
