//! Waiting through restarts of the hub.
//!
//! A hub that was never reached is an error after `--timeout`, as everywhere. One that answered
//! before and is silent now is most likely being restarted: it is asked again until
//! `--hub-timeout` is over, and people are told once that it is silent and once that it is back.

use std::time::{Duration, Instant};

use dhub_proto::client::ClientError;
use dhub_proto::limits::WAIT_MS_MAX;
use dhub_proto::options::parse_duration;
use dhub_proto::wire::{ErrorCode, reply, request};
use indicatif::ProgressBar;

use crate::failure::{Failure, say};
use crate::hub::Hub;
use crate::render::words::span;

/// Time before a hub that is busy is asked again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PatienceOptions {
    /// How long a hub that answered before may be silent (while it is restarted, say)
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub hub_timeout: Duration,
}

pub struct Patience {
    hub_timeout: Duration,
    /// How long the hub may keep one request.
    park: Duration,
    /// When the caller wants to stop waiting.
    until: Option<Instant>,
    /// On the screen while lines are printed above it.
    bar: ProgressBar,
    reached: bool,
    /// The last request was not answered: the next one asks for an answer at once.
    doubt: bool,
    silent_since: Option<Instant>,
}

impl Patience {
    pub fn new(options: PatienceOptions, park: Duration, limit: Option<Duration>) -> Self {
        Self {
            hub_timeout: options.hub_timeout,
            park,
            // A limit beyond what the clock can tell is none.
            until: limit.and_then(|limit| Instant::now().checked_add(limit)),
            bar: ProgressBar::hidden(),
            reached: false,
            doubt: false,
            silent_since: None,
        }
    }

    pub fn show_above(&mut self, bar: &ProgressBar) {
        self.bar = bar.clone();
    }

    /// Is the caller's time over?
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Asks once, for an answer within the time that `body` is given. Nothing: ask again.
    pub fn ask(
        &mut self,
        hub: &mut Hub,
        body: impl FnOnce(u64) -> request::Body,
    ) -> Result<Option<reply::Body>, Failure> {
        let park = if self.reached && !self.doubt { self.park() } else { Duration::ZERO };
        let asked = Instant::now();
        match hub.ask_parked(body(park.as_millis() as u64), park) {
            Ok(reply) => {
                self.answered();
                Ok(Some(reply))
            }
            Err(ClientError::Refused(error)) if error.code() == ErrorCode::ErrorBusy => {
                self.answered();
                std::thread::sleep(PAUSE);
                Ok(None)
            }
            Err(error) if self.reached && error.is_silence() => {
                self.silent(asked, !park.is_zero(), hub, error)?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn park(&self) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        self.park.min(left.unwrap_or(Duration::MAX)).min(Duration::from_millis(WAIT_MS_MAX))
    }

    fn answered(&mut self) {
        self.reached = true;
        self.doubt = false;
        if let Some(since) = self.silent_since.take() {
            let text = format!("the hub is back after {}", span(since.elapsed()));
            self.bar.suspend(|| say(&text));
        }
    }

    /// A parked request that was lost in a restart and sent again is parked again, so its silence
    /// alone says nothing yet.
    fn silent(
        &mut self,
        asked: Instant,
        parked: bool,
        hub: &Hub,
        error: ClientError,
    ) -> Result<(), Failure> {
        self.doubt = true;
        if parked {
            return Ok(());
        }
        let first = self.silent_since.is_none();
        let since = *self.silent_since.get_or_insert(asked);
        if since.elapsed() >= self.hub_timeout {
            let endpoint = hub.client().target().place();
            return Err(match error {
                ClientError::NoHub { .. } => {
                    ClientError::NoHub { endpoint, waited: since.elapsed() }.into()
                }
                other => other.into(),
            });
        }
        if first {
            let text = format!(
                "the hub is silent since {}; asking again for up to {} (--hub-timeout)",
                (jiff::Zoned::now() - since.elapsed()).strftime("%H:%M:%S"),
                span(self.hub_timeout),
            );
            self.bar.suspend(|| say(&text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::fake;
    use dhub_proto::exit::Exit;
    use dhub_proto::wire::{Wait, Waited};

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn patience(hub_timeout: Duration) -> Patience {
        Patience::new(PatienceOptions { hub_timeout }, Duration::from_millis(10), None)
    }

    fn ask(patience: &mut Patience, hub: &mut Hub) -> Result<bool, Failure> {
        let reply = patience
            .ask(hub, |wait_ms| request::Body::Wait(Wait { wait_ms, ..Default::default() }))?;
        Ok(reply.is_some())
    }

    fn answer() -> Option<reply::Body> {
        Some(reply::Body::Waited(Waited::default()))
    }

    #[test]
    fn a_hub_that_never_answered_is_an_error_at_once() {
        let mut hub = fake::hub(TIMEOUT, |_| None);
        let failure = ask(&mut patience(Duration::from_secs(600)), &mut hub).unwrap_err();
        assert_eq!(failure.exit, Exit::NoHub);
    }

    #[test]
    fn a_hub_that_comes_back_is_heard_again() {
        let silent = Arc::new(AtomicBool::new(false));
        let is_silent = Arc::clone(&silent);
        let mut hub = fake::hub(Duration::from_secs(1), move |_| {
            if is_silent.load(Ordering::Relaxed) { None } else { answer() }
        });
        let mut patience = patience(Duration::from_secs(600));
        assert!(ask(&mut patience, &mut hub).unwrap());
        silent.store(true, Ordering::Relaxed);
        assert!(!ask(&mut patience, &mut hub).unwrap());
        silent.store(false, Ordering::Relaxed);
        // On a busy machine an answer may come too late, and be asked for again.
        assert!((0..60).any(|_| ask(&mut patience, &mut hub).unwrap()));
    }

    #[test]
    fn a_hub_that_stays_silent_is_given_up() {
        let mut first = true;
        let mut hub =
            fake::hub(TIMEOUT, move |_| if std::mem::take(&mut first) { answer() } else { None });
        let mut patience = patience(Duration::from_millis(300));
        let start = Instant::now();
        let failure = loop {
            if let Err(failure) = ask(&mut patience, &mut hub) {
                break failure;
            }
        };
        assert_eq!(failure.exit, Exit::NoHub);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
