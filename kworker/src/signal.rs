//! Signals as something to poll.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use dhub_proto::signal::is_ignored;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithOrigin;

/// Delivers through a pipe to itself, so that the poll wakes up.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
}

/// What has come since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    pub child: bool,
    /// SIGINT, SIGTERM or SIGHUP, and whether the parent sent it.
    pub stop: Option<(i32, bool)>,
}

impl Signals {
    /// From here on Ctrl-C does not end the process by itself.
    pub fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let mut signals = vec![SIGCHLD, SIGINT, SIGTERM];
        // nohup means it.
        if !is_ignored(SIGHUP) {
            signals.push(SIGHUP);
        }
        Ok(Self {
            delivery: SignalDelivery::with_pipe(read, write, WithOrigin::default(), signals)?,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.delivery.get_read().as_raw_fd()
    }

    pub fn take(&mut self) -> Arrived {
        let mut arrived = Arrived::default();
        for signal in self.delivery.pending() {
            match signal.signal {
                SIGCHLD => arrived.child = true,
                stop => {
                    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
                    let sender = signal.process.map(|process| process.pid);
                    arrived.stop = Some((stop, sender.is_some() && sender == parent));
                }
            }
        }
        arrived
    }
}

/// Ends this process as the signal would have done, so that a calling shell sees it.
pub fn die_of(signal: i32) {
    if let Err(error) = signal_hook::low_level::emulate_default_handler(signal) {
        tracing::error!(signal, %error, "cannot end by the signal");
    }
}
