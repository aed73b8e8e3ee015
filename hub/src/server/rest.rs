//! Guests at rest: from those that have had their share nothing is received for a while, so that what
//! they send stays with them, and costs the hub nothing.

use std::time::{Duration, Instant};

use super::Server;
use crate::socket::Socket;

/// A shorter rest is not worth it: all connections are looked at when it ends.
const SHORT: Duration = Duration::from_millis(25);

impl Server {
    /// As the share has it now.
    pub(super) fn let_guests_rest(&mut self, now: Instant) {
        match self.share.rest(now) {
            None => self.wake_guests(),
            Some(rest) if rest >= SHORT && !self.stopping => {
                for user in self.share.let_rest() {
                    zmq_sys::zmq_rest(user.to_string().as_bytes(), true);
                }
            }
            Some(_) => {}
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
