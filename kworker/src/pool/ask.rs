//! What is asked of the hub next.

use super::*;

impl Pool {
    /// The request to send now.
    pub fn next_ask(&mut self, now: Instant) -> Option<Ask> {
        self.give_back_surplus(now);
        self.ask_release().or_else(|| self.ask_complete(now)).or_else(|| self.ask_steal(now))
    }

    /// When something is to be asked that must not be asked yet.
    pub fn next_ask_at(&self, now: Instant) -> Option<Instant> {
        let surplus = self.surplus_since.map(|since| since + SURPLUS);
        let stale = self.pace.stale_at().filter(|_| self.holds_by_measure());
        let waits = self.complete.is_some() || self.complete_after.is_some();
        let collects = self.collects_until().filter(|_| !waits);
        let times =
            [self.steal_after, self.listen_after, self.complete_after, surplus, stale, collects];
        times.into_iter().flatten().filter(|&at| at > now).min()
    }

    fn ask_release(&mut self) -> Option<Ask> {
        if !self.releasing.is_empty() || self.give_back.is_empty() {
            return None;
        }
        self.releasing = std::mem::take(&mut self.give_back);
        let attempts = self.releasing.clone();
        let body = Body::Release(Release { worker: Some(self.worker.clone()), attempts });
        Some(Ask::now(Asked::Release, body))
    }

    fn ask_complete(&mut self, now: Instant) -> Option<Ask> {
        if self.complete.is_some()
            || self.ended.is_empty()
            || not_yet(&mut self.complete_after, now)
            || self.collects(now)
        {
            return None;
        }
        self.completed_at = Some(now);
        let mut bytes = 0;
        while let Some(outcome) = self.ended.pop_front() {
            bytes += outcome.name.len() + outcome.output.len() + outcome.reason.len() + 64;
            self.reporting.push(outcome);
            if bytes >= OUTCOMES_BYTES_MAX {
                break;
            }
        }
        let steals = !matches!(self.parked, Some(Parked::Steal { .. }));
        let want = if steals { self.free(now) } else { 0 };
        self.complete = Some((now, want > 0));
        let body = Body::Complete(Complete {
            worker: Some(self.worker.clone()),
            outcomes: self.reporting.clone(),
            want,
            client: self.worker.id.clone(),
            number: if want > 0 { self.next_number() } else { 0 },
            lease_ms: 0,
            slots: self.slots as u32,
            waiting: 0,
        });
        Some(Ask::now(Asked::Complete(want > 0), body))
    }

    /// Until when to wait for more outcomes: what is held keeps all slots busy meanwhile.
    fn collects_until(&self) -> Option<Instant> {
        let busy = self.running.len() >= self.slots && self.queue.len() >= self.slots;
        let collects = busy && !self.ended.is_empty() && !self.draining;
        self.completed_at.map(|at| at + COLLECT).filter(|_| collects)
    }

    fn collects(&self, now: Instant) -> bool {
        self.collects_until().is_some_and(|until| until > now)
    }

    fn ask_steal(&mut self, now: Instant) -> Option<Ask> {
        // Outcomes on their way steal too.
        if matches!(self.complete, Some((_, true))) || self.abandoned || self.collects(now) {
            return None;
        }
        let n = self.free(now);
        let listen = n == 0;
        match self.parked {
            // Unless it asks for tasks that others could run sooner by now.
            Some(Parked::Steal { n: parked, .. }) if parked <= n || self.ahead(now) > 0 => {
                return None;
            }
            Some(Parked::Listen { .. }) if listen => return None,
            _ if listen && not_yet(&mut self.listen_after, now) => return None,
            _ if !listen && not_yet(&mut self.steal_after, now) => return None,
            _ => {}
        }
        let replaces = self.parked.is_some();
        // It may have been answered, and the answer be lost.
        if let (Some(Parked::Steal { number, .. }), 0) = (self.parked, self.unheard) {
            self.unheard = number;
        }
        // Who leaves when nothing is left hears first whether there is anything.
        let is_first = self.phase == Phase::Unspecified && !self.stay;
        let parked = if is_first { Duration::ZERO } else { WAIT };
        let number = self.next_number();
        self.parked = Some(match n {
            0 => Parked::Listen { since: now },
            n => Parked::Steal { since: now, n, number },
        });
        let body = Body::Steal(Steal {
            worker: Some(self.worker.clone()),
            client: self.worker.id.clone(),
            number,
            n,
            wait_ms: parked.as_millis() as u64,
            lease_ms: 0,
            stay: self.stay,
            replaces: self.unheard,
            slots: self.slots as u32,
            waiting: 0,
        });
        let asked = if listen { Asked::Listen } else { Asked::Steal };
        Some(Ask { asked, body, parked, replaces })
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// How many more tasks to take. Outcomes count too, so that a hub that takes none gives none.
    pub(super) fn free(&self, now: Instant) -> u32 {
        let held = self.ended.len() + self.reporting.len() + self.queue.len();
        if self.draining || self.paused || held >= HELD_MAX {
            return 0;
        }
        let wanted = self.slots + self.ahead(now);
        let free = wanted.saturating_sub(self.running.len() + self.queue.len());
        free.min(self.startable().saturating_sub(self.queue.len())).min(STEAL_TASKS_MAX) as u32
    }

    fn ahead(&self, now: Instant) -> usize {
        match self.ahead {
            _ if self.draining => 0,
            Ahead::Fixed(ahead) => ahead,
            Ahead::Measured => self.pace.ahead(self.slots, now),
        }
    }

    /// Whether it makes a difference when what was measured is forgotten.
    fn holds_by_measure(&self) -> bool {
        let parked = matches!(self.parked, Some(Parked::Steal { .. }));
        self.ahead == Ahead::Measured && (parked || !self.queue.is_empty())
    }

    /// What will not start soon others may have: the tasks here have turned long.
    fn give_back_surplus(&mut self, now: Instant) {
        let wanted = self.slots + self.ahead(now);
        let surplus = (self.running.len() + self.queue.len()).saturating_sub(wanted);
        let surplus = surplus.min(self.queue.len());
        if surplus == 0 || self.ahead != Ahead::Measured {
            self.surplus_since = None;
            return;
        }
        if now < *self.surplus_since.get_or_insert(now) + SURPLUS {
            return;
        }
        self.surplus_since = None;
        let back = self.queue.split_off(self.queue.len() - surplus);
        self.give_back.extend(back.iter().map(|lease| attempt(lease, false)));
    }
}

/// Whether to wait still; forgets a time that has come.
fn not_yet(after: &mut Option<Instant>, now: Instant) -> bool {
    if after.is_some_and(|after| after <= now) {
        *after = None;
    }
    after.is_some()
}
