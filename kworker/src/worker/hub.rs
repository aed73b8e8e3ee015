//! What the loop asks the hub, and what it makes of the answers and of silence.

use std::time::{Duration, Instant};

use dhub_proto::VERSION;
use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, ErrorCode, reply, report, request};

use super::leaving::{End, Leaving};
use super::{Worker, WorkerError};
use crate::link::Answer;
use crate::pool::{Ask, Asked, NotTaken};
use crate::talk::{rounded, shown};

/// However long the hub says.
const AWAY_MS_MAX: u64 = 10_000;

impl Worker {
    pub(super) fn ask(&mut self, now: Instant) {
        if self.link.is_silent() && !self.link.is_asked(Asked::Hello) {
            let hello = wire::Hello { version: VERSION.to_owned() };
            self.link.ask(Ask::now(Asked::Hello, request::Body::Hello(hello)), now);
        }
        if matches!(self.leaving, Leaving::Said { .. }) {
            return;
        }
        while let Some(ask) = self.pool.next_ask(now) {
            self.link.ask(ask, now);
        }
    }

    /// Leaves its connection to others for about so long, unless there is something that the hub has to hear.
    fn go_away(&mut self, away_ms: u64, now: Instant) -> Result<(), WorkerError> {
        let is_idle = self.pool.held().is_empty() && self.pool.unreported() == 0;
        if away_ms == 0 || !is_idle || self.is_leaving() {
            return Ok(());
        }
        // Not all at the same moment: half of it to one and a half.
        let random = u64::from(dhub_proto::random_id().map_or(128, |id| id[0]));
        let away = Duration::from_millis(away_ms.min(AWAY_MS_MAX) * (128 + random) / 256);
        tracing::debug!(?away, "leaves its connection to others");
        Ok(self.link.go_away(now + away)?)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No || self.pool.is_draining()
    }

    pub(super) fn beat(&mut self, now: Instant) {
        if now < self.heartbeat.due(self.pool.term(), now) {
            return;
        }
        self.heartbeat.sent(now);
        self.pool.forget_old_terms();
        let heartbeat = wire::Heartbeat {
            worker: Some(self.pool.worker().clone()),
            attempts: self.pool.held(),
            sample: Some(self.heartbeat.sample(self.pool.slots(), self.pool.running())),
            note: self.note.clone(),
            output_files: self.config.setting.output.template().to_owned(),
        };
        let report = wire::Report { body: Some(report::Body::Heartbeat(heartbeat.clone())) };
        if self.link.report(&report) || self.link.is_asked(Asked::Heartbeat) {
            return;
        }
        // Reports do not get through, as in a tunnel; requests do.
        self.link.ask(Ask::now(Asked::Heartbeat, request::Body::Heartbeat(heartbeat)), now);
    }

    pub(super) fn hear(&mut self, now: Instant) -> Result<(), WorkerError> {
        while let Some(Answer { asked, body }) = self.link.answer(now)? {
            let drained = self.pool.is_draining();
            self.take(asked, body, now)?;
            let is_gone = matches!(self.leaving, Leaving::Said { .. });
            if self.pool.is_stopped() && !is_gone {
                self.stop_now("the hub wants this pool to stop", End::Exit(Exit::Ok), now);
            } else if self.pool.is_draining() && !drained {
                self.say(&format!(
                    "the hub wants no more work done here; {} finish",
                    self.running()
                ));
            }
        }
        Ok(())
    }

    fn take(&mut self, asked: Asked, body: reply::Body, now: Instant) -> Result<(), WorkerError> {
        if !matches!(body, reply::Body::Error(_)) {
            self.busy.answered(asked);
        }
        match (asked, body) {
            (_, reply::Body::Error(error)) => return self.refused(asked, error, now),
            (Asked::Hello, reply::Body::Welcome(_)) => self.heartbeat.hurry(),
            (Asked::Steal | Asked::Listen, reply::Body::Stolen(stolen)) => {
                let away_ms = stolen.away_ms;
                self.pool.parked_answered(asked, stolen, now);
                self.go_away(away_ms, now)?;
            }
            (Asked::Complete(_), reply::Body::Completed(completed)) => {
                let away_ms = completed.stolen.as_ref().map_or(0, |stolen| stolen.away_ms);
                let (reported, not_taken) = self.pool.completed(completed, now);
                if let Some(silence) = &mut self.silence {
                    silence.reported += reported;
                }
                not_taken.iter().for_each(|not_taken| self.tell_not_taken(not_taken));
                self.go_away(away_ms, now)?;
            }
            (Asked::Release, reply::Body::Released(_)) => self.pool.released(),
            (Asked::Heartbeat, reply::Body::Heartbeaten(heartbeaten)) => {
                self.pool.heartbeaten(&heartbeaten);
            }
            (Asked::Exit, reply::Body::Exited(_)) => {}
            _ => {
                let endpoint = self.link.target().endpoint.clone();
                return Err(WorkerError::Unexpected { endpoint });
            }
        }
        Ok(())
    }

    fn refused(
        &mut self,
        asked: Asked,
        error: wire::Error,
        now: Instant,
    ) -> Result<(), WorkerError> {
        if error.code() == ErrorCode::ErrorBusy {
            self.pool.busy(asked, now);
            if let Some(lasts) = self.busy.refused(asked, now) {
                let (lasts, why) = (rounded(lasts), shown(&error.message));
                self.say(&format!("hub has been busy for {lasts}, and is asked again: {why}"));
            }
            return Ok(());
        }
        let what = match asked {
            // It knows nothing of us, so there is nothing to give back.
            Asked::Exit => return Ok(()),
            Asked::Hello => "to talk",
            Asked::Complete(_) => "the outcomes of tasks",
            Asked::Steal | Asked::Listen => "to give tasks",
            Asked::Release => "to take tasks back",
            Asked::Heartbeat => "a heartbeat",
        };
        let (code, message) = (error.code(), error.message);
        Err(match code {
            ErrorCode::ErrorDenied => WorkerError::Denied { what, message },
            _ => WorkerError::Refused { what, message },
        })
    }

    fn tell_not_taken(&self, not_taken: &NotTaken) {
        let name = shown(&not_taken.name);
        self.say(&match not_taken.code {
            ErrorCode::ErrorStale => {
                format!("{name}: its outcome came too late: {}", not_taken.message)
            }
            _ => format!("{name}: the hub did not take its outcome: {}", not_taken.message),
        });
    }
}
