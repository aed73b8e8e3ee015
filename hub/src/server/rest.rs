//! Guests at rest: from those that have had their share nothing is received for a while, so that what
//! they send stays with them, and costs the hub nothing.

use std::time::{Duration, Instant};

use super::Server;
use crate::net::socket::Socket;

/// A shorter rest is not worth it: all connections are looked at when it ends.
const SHORT: Duration = Duration::from_millis(25);

impl Server {
    /// When the rest is over; but what others asked for is read first, once, or who asks most would be
    /// heard again before them, and begin the next rest.
    pub(super) fn end_rest(&mut self) {
        if self.share.rest(Instant::now()).is_some() {
            return;
        }
        let waits = !self.outbox.questions.is_empty() || self.jobs.has_guests();
        if !(waits && self.share.has_turn_for_others()) {
            self.wake_guests();
        }
    }

    /// Those that have spent the share just now.
    pub(super) fn begin_rest(&mut self, now: Instant) {
        if self.share.rest(now).is_some_and(|rest| rest >= SHORT) && !self.stopping {
            for user in self.share.let_rest() {
                zmq_sys::zmq_rest(user.to_string().as_bytes(), true);
            }
        }
    }

    /// What they sent meanwhile is taken in.
    pub(super) fn wake_guests(&mut self) {
        let users = self.share.wake();
        if users.is_empty() {
            return;
        }
        for user in users {
            zmq_sys::zmq_rest(user.to_string().as_bytes(), false);
        }
        self.sockets.iter_mut().for_each(Socket::wake);
    }
}
