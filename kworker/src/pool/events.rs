//! What happens to a pool: tasks end, people have enough, the hub answers.

use super::*;

impl Pool {
    // --- events: processes -------------------------------------------------------------------

    /// The processes of a task are gone. No outcome: nobody wants it.
    pub fn ended(&mut self, name: &str, outcome: Option<Outcome>, now: Instant) {
        let Some(running) = self.running.remove(name).filter(|running| !running.lost) else {
            return;
        };
        let Some(mut outcome) = outcome else { return };
        let ran = now.duration_since(running.since);
        self.pace.ended(ran, now);
        self.judge(&mut outcome, ran);
        outcome.run_ms = Some(ran.as_millis() as u64);
        match outcome.result() {
            Verdict::Done => self.tally.done += 1,
            _ => self.tally.failed += 1,
        }
        self.ended.push_back(outcome);
    }

    /// Whoever ended this pool has ended its task, too: others may run it.
    pub fn killed_with_pool(&mut self, name: &str) {
        let running = self.running.remove(name).filter(|running| !running.lost);
        if let Some(Running { attempt, .. }) = running {
            self.give_back.push(Attempt { name: name.to_owned(), attempt, started: true });
        }
    }

    /// The system cannot start it now: it is first in the queue again.
    pub fn not_started(&mut self, lease: Lease) {
        self.running.remove(&lease.name);
        self.gauge.started -= 1;
        if self.draining {
            self.give_back.push(attempt(&lease, false));
        } else {
            self.queue.push_front(lease);
        }
    }

    // --- events: people ----------------------------------------------------------------------

    /// Starts nothing more. Returns how many tasks are given back.
    pub fn drain(&mut self) -> usize {
        self.draining = true;
        let before = self.give_back.len();
        self.give_back.extend(self.queue.drain(..).map(|lease| attempt(&lease, false)));
        self.give_back.len() - before
    }

    /// Starts and steals nothing until told otherwise; what is held stays.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Forgets all but the outcomes: Exit gives everything else back.
    pub fn abandon(&mut self) {
        self.draining = true;
        self.abandoned = true;
        self.queue.clear();
        self.give_back.clear();
        self.releasing.clear();
        self.running.values_mut().for_each(|running| running.lost = true);
    }

    // --- events: the hub ---------------------------------------------------------------------

    /// The answer to a Steal, or the part of a Completed that is like one.
    pub fn stolen(&mut self, stolen: Stolen) {
        if stolen.phase() != Phase::Unspecified {
            self.phase = stolen.phase();
            self.not_done = stolen.not_done;
        }
        self.lost(&stolen.lost);
        for lease in stolen.leases {
            self.leased(lease);
        }
        self.ordered(stolen.drain, stolen.stop);
    }

    pub fn heartbeaten(&mut self, heartbeaten: &Heartbeaten) {
        self.lost(&heartbeaten.lost);
        self.ordered(heartbeaten.drain, heartbeaten.stop);
    }

    /// By the hub.
    fn ordered(&mut self, drain: bool, stop: bool) {
        if drain || stop {
            self.drain();
        }
        self.stopped |= stop;
    }

    /// The parked request was answered.
    pub fn parked_answered(&mut self, asked: Asked, stolen: Stolen, now: Instant) {
        let ordered = stolen.drain || stolen.stop;
        let nothing = stolen.leases.is_empty() && stolen.lost.is_empty() && !ordered;
        match (asked, self.parked) {
            (Asked::Steal, Some(Parked::Steal { since, .. })) => {
                (self.parked, self.unheard) = (None, 0);
                if !nothing {
                    self.backoff = BACKOFF_MIN;
                } else if now.duration_since(since) < SOON {
                    // Everything is finished or stuck; no reason to wait in the hub.
                    self.steal_after = Some(now + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                }
            }
            (Asked::Listen, Some(Parked::Listen { since })) => {
                (self.parked, self.unheard) = (None, 0);
                if nothing && now.duration_since(since) < SOON {
                    self.listen_after = Some(now + SOON);
                }
            }
            // It was replaced meanwhile, yet it counts.
            _ => {}
        }
        self.stolen(stolen);
    }

    /// Outcomes were recorded. Returns how many, and those refused.
    pub fn completed(&mut self, completed: Completed, now: Instant) -> (usize, Vec<NotTaken>) {
        if let Some((sent, _)) = self.complete.take() {
            self.pace.answered(now.duration_since(sent));
        }
        let reported = std::mem::take(&mut self.reporting).len();
        let refused: Vec<NotTaken> = completed
            .refused
            .into_iter()
            .map(|refused| NotTaken {
                code: refused.code(),
                name: refused.name,
                message: refused.message,
            })
            .collect();
        self.stolen(completed.stolen.unwrap_or_default());
        (reported.saturating_sub(refused.len()), refused)
    }

    pub fn released(&mut self) {
        self.releasing.clear();
    }

    /// The hub has no room for the request now; it is asked again later.
    pub fn busy(&mut self, asked: Asked, now: Instant) {
        let later = Some(now + SOON);
        match asked {
            Asked::Complete(_) => {
                self.complete = None;
                self.complete_after = later;
                for outcome in std::mem::take(&mut self.reporting).into_iter().rev() {
                    self.ended.push_front(outcome);
                }
            }
            Asked::Steal | Asked::Listen => {
                self.parked = None;
                self.steal_after = later;
                self.listen_after = later;
            }
            Asked::Release => self.give_back.append(&mut self.releasing),
            Asked::Hello | Asked::Heartbeat | Asked::Exit => {}
        }
    }

    /// The hub took these from us.
    fn lost(&mut self, lost: &[Attempt]) {
        for attempt in lost {
            let same = |number: u32| attempt.attempt == number || attempt.attempt == 0;
            self.queue.retain(|lease| lease.name != attempt.name || !same(lease.attempt));
            if let Some(running) = self.running.get_mut(&attempt.name)
                && same(running.attempt)
                && !running.lost
            {
                running.lost = true;
                self.stops.push(StopTask { name: attempt.name.clone(), at_once: false });
            }
            // An outcome that is on its way may still count: nobody else may have stolen the task.
        }
    }

    fn leased(&mut self, lease: Lease) {
        if self.is_known(&lease) {
            return;
        }
        if self.draining {
            self.give_back.push(attempt(&lease, false));
            return;
        }
        self.queue.retain(|older| older.name != lease.name);
        if let Some(running) = self.running.get_mut(&lease.name) {
            running.lost = true;
            self.stops.push(StopTask { name: lease.name.clone(), at_once: true });
        }
        if lease.term_ms > 0 {
            self.term_ms = Some(self.term_ms.map_or(lease.term_ms, |ms| ms.min(lease.term_ms)));
        }
        self.queue.push_back(lease);
    }

    /// A repeat, or older than what is here.
    fn is_known(&self, lease: &Lease) -> bool {
        let known = |name: &str, attempt: u32| name == lease.name && attempt >= lease.attempt;
        self.running.get(&lease.name).is_some_and(|running| running.attempt >= lease.attempt)
            || self.queue.iter().any(|queued| known(&queued.name, queued.attempt))
            || self.reporting.iter().any(|outcome| known(&outcome.name, outcome.attempt))
            || self.ended.iter().any(|outcome| known(&outcome.name, outcome.attempt))
            || self
                .give_back
                .iter()
                .chain(&self.releasing)
                .any(|attempt| known(&attempt.name, attempt.attempt))
    }
}
