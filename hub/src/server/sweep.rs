//! What nobody waits for any more: dropped, so that it takes nothing from those who do.
//!
//! A connection that is gone is noticed by looking; a key that was taken back, too, since the gate reads
//! the keys by itself.

use std::collections::HashSet;

use super::{CHECK_MS, Fatal, Server};
use crate::engine::message::{Body, Ticket, User};
use crate::net::gate::Denied;
use crate::net::route::Route;
use crate::net::security::Security;

/// Of those that wait, looked at each time whether they are there.
const LOOKED_AT_MAX: usize = 20_000;

impl Server {
    /// After the answers of a turn: who is owed one now has to wait.
    pub(super) fn sweep(&mut self) -> Result<(), Fatal> {
        let now = self.now();
        if self.swept.is_some_and(|swept| now < swept + CHECK_MS) {
            return Ok(());
        }
        for user in self.leaving.take_due(now) {
            self.drop_user(user);
        }
        self.swept = Some(now);
        self.drop_revoked()?;
        self.drop_gone()
    }

    /// All connections of a key, unless it is let in again by now.
    fn drop_user(&mut self, user: User) {
        if self.gate.grant(Security::Curve, Some(user)).is_ok() {
            return;
        }
        let mut are_all_dropped = true;
        for inlet in self.sockets.iter_mut().flat_map(|it| [&mut it.router, &mut it.pull]) {
            are_all_dropped &= inlet.drop_user(user);
        }
        if !are_all_dropped {
            // The rest, once what has arrived is received.
            self.leaving.add(user, self.now());
        }
    }

    /// All that was asked with keys that were taken back.
    fn drop_revoked(&mut self) -> Result<(), Fatal> {
        if self.leaving.is_empty() {
            return Ok(());
        }
        let mut denied = Vec::new();
        let (gate, sockets) = (&self.gate, &self.sockets);
        let why = |route: &Route| gate.grant(sockets[route.socket].security, route.user).err();
        let mut part = |routes: &mut Vec<Route>| {
            let out = routes.extract_if(.., |route| why(route).is_some());
            denied.extend(out.map(|route| (why(&route), route)));
            routes.is_empty()
        };
        let owed = self
            .outbox
            .owed
            .iter_mut()
            .filter_map(|(&ticket, routes)| part(routes).then_some(ticket));
        let forgotten: HashSet<Ticket> = owed.collect();
        self.jobs.running.retain(|running| !part(&mut running.askers));
        self.jobs.ended.retain(|ended| !part(&mut ended.routes));
        for (why, route) in denied {
            self.deny(&route, &why.unwrap_or(Denied::Nobody))?;
        }
        self.forget(forgotten)
    }

    /// Some of those that wait, in turn.
    fn drop_gone(&mut self) -> Result<(), Fatal> {
        let sockets = &mut self.sockets;
        let mut gone = HashSet::new();
        let mut next = 0;
        let waiting = self.outbox.owed.range_mut(self.swept_upto..);
        for (looked_at, (&ticket, routes)) in waiting.enumerate() {
            if looked_at == LOOKED_AT_MAX {
                next = ticket;
                break;
            }
            routes.retain(|route| route.is_there(sockets));
            if routes.is_empty() {
                gone.insert(ticket);
            }
        }
        self.swept_upto = next;
        self.forget(gone)
    }

    /// What the scheduler has answered meanwhile is found to reach nobody, and taken back.
    fn forget(&mut self, tickets: HashSet<Ticket>) -> Result<(), Fatal> {
        if tickets.is_empty() {
            return Ok(());
        }
        tracing::debug!("{} requests are dropped: nobody waits for them", tickets.len());
        self.busy = true;
        self.apply(Body::Forget { tickets })
    }
}
