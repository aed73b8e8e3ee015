//! Questions answered by reading: after the commit, so that they see what came before them.

use dhub_proto::limits::*;
use dhub_proto::wire::{self, reply};

use super::{Fatal, Server};
use crate::convert::error;
use crate::dwork;
use crate::gate::Security;
use crate::roster::Roster;
use crate::route::Route;
use crate::scheduler::message::WorkerId;
use crate::view;

pub enum Read {
    Hello,
    Status,
    DworkStatus,
    Show(String),
    Workers { limit: usize, after: WorkerId },
}

impl Read {
    /// Whether rows are read.
    pub fn needs_rows(&self) -> bool {
        matches!(self, Read::Status | Read::Show(_))
    }
}

impl Server {
    pub(super) fn answer_read(&self, route: &Route, read: Read) -> Result<(), Fatal> {
        let body = match read {
            Read::Hello => reply::Body::Welcome(self.welcome(route)),
            Read::Status => {
                reply::Body::Status(view::status(&self.roster(), &self.store, self.about())?)
            }
            Read::DworkStatus => {
                return self.send_dwork(route, &dwork::status(self.scheduler.counts()));
            }
            Read::Workers { limit, after } => {
                reply::Body::Workers(self.roster().page(limit, after))
            }
            Read::Show(name) => match view::show(&self.roster(), &self.store, &name)? {
                Some(shown) => reply::Body::Shown(shown),
                None => {
                    let mut why =
                        error(wire::ErrorCode::ErrorNotFound, format!("there is no task '{name}'"));
                    why.names.push(name);
                    reply::Body::Error(why)
                }
            },
        };
        self.send(route, body).map(drop)
    }

    fn roster(&self) -> Roster<'_> {
        Roster {
            now: self.now(),
            scheduler: &self.scheduler,
            monitor: &self.monitor,
            worker_timeout_ms: self.options.worker_timeout_ms,
        }
    }

    fn welcome(&self, route: &Route) -> wire::Welcome {
        wire::Welcome {
            version: dhub_proto::VERSION.into(),
            report_endpoint: self.sockets[route.socket].report.clone(),
            worker_timeout_ms: self.options.worker_timeout_ms,
            lease_ms: self.options.lease_ms,
            message_bytes_max: MESSAGE_BYTES_MAX as u32,
            batch_tasks_max: BATCH_TASKS_MAX as u32,
            steal_tasks_max: STEAL_TASKS_MAX as u32,
            wait_ms_max: WAIT_MS_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX as u32,
        }
    }

    fn about(&self) -> wire::HubInfo {
        wire::HubInfo {
            version: dhub_proto::VERSION.into(),
            file: self.store.file().map(|file| file.display().to_string()).unwrap_or_default(),
            endpoints: self.sockets.iter().map(|socket| socket.endpoint.clone()).collect(),
            uptime_ms: self.monitor.uptime_ms(self.now()),
            commit_us: self.monitor.commit_us(),
            file_bytes: self.store.file_bytes(),
            insecure: self.sockets.iter().any(|socket| socket.security == Security::Plain),
            host: self.host.clone(),
            process: std::process::id(),
            handshakes_failed: self.gate.handshakes_failed,
            requests_denied: self.gate.requests_denied,
        }
    }
}
