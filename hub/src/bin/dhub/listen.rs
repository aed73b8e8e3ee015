//! Where a hub listens, and what it says of that.

use std::path::Path;

use dhub::args::Args;
use dhub::engine::scheduler::{Scheduler, State};
use dhub::net::error::HomeError;
use dhub::net::home::{Home, ServerKeys};
use dhub::net::security::Security;
use dhub::net::socket::{BindError, Socket};
use dhub_proto::{access, endpoint, limits};

use crate::failure::Failure;

/// Where the keys of this hub are; by the real name of its file, as a start has found it, if one has.
pub fn home(args: &Args, real: Option<&Path>) -> Result<Home, Failure> {
    let base = args.dir.clone().or_else(access::default_dir).ok_or(HomeError::Nowhere)?;
    let what = "the path of the file";
    let system = |source| Failure::System { what, source };
    let base = std::path::absolute(base).map_err(system)?;
    match (&args.file, real) {
        // It may be gone by now, and its files are looked at later.
        (Some(file), Some(real)) => Ok(Home::of_real(&base, file, real.to_owned())),
        (file, _) => Home::of(&base, file.as_deref()).map_err(system),
    }
}

/// Ports tried one after the other, if none was asked for: each hub takes two.
pub const PORTS_TRIED: u16 = 100;

/// At the port of the last time, where workers look for this hub, else at the first that is free.
pub fn bind_anywhere(
    context: &zmq::Context,
    home: &Home,
    keys: &ServerKeys,
) -> Result<Socket, Failure> {
    let bind_at = |port: u16| Socket::bind(context, &format!("tcp://0.0.0.0:{port}"), Some(keys));
    let bind = |port: u16| match bind_at(port) {
        Err(BindError::Bind { source: zmq::Error::EADDRINUSE, .. }) => None,
        bound => Some(bound),
    };
    let last = home.place()?.endpoints;
    let last = last.first().and_then(|endpoint| endpoint.rsplit_once(':')?.1.parse().ok());
    if let Some(bound) = last.and_then(bind) {
        return Ok(bound?);
    }
    if let Some(port) = last {
        say!(
            "  warning     port {port} is taken now; workers that know this hub there do not find it"
        );
    }
    let mut ports = (0..PORTS_TRIED).map(|n| limits::PORT + 2 * n);
    Ok(ports.find_map(bind).unwrap_or_else(|| bind_at(0))?)
}

/// The endpoint of this hub for its user on this machine; the same again after a restart.
pub fn own_ipc(home: &Home) -> Result<String, Failure> {
    let dir = endpoint::make_socket_dir()?;
    Ok(format!("ipc://{}", dir.join(format!("{}.sock", home.name())).display()))
}

pub fn describe(socket: &Socket) -> String {
    let endpoint = &socket.endpoint;
    match socket.security {
        Security::Curve if socket.is_ipc => format!("{endpoint}  encrypted, on this machine"),
        Security::Curve => format!("{endpoint}  encrypted"),
        Security::Plain => format!("{endpoint}  plain"),
    }
}

/// What a restart goes on with.
pub fn found(scheduler: &Scheduler) -> String {
    let counts = scheduler.counts();
    let mut text = match counts.total() {
        1 => "1 task".to_owned(),
        total => format!("{total} tasks"),
    };
    let states = [
        (State::Done, "done"),
        (State::Failed, "failed"),
        (State::Skipped, "skipped"),
        (State::Cancelled, "cancelled"),
        (State::Running, "running"),
        (State::Ready, "ready"),
        (State::Waiting, "waiting"),
    ];
    let parts: Vec<String> = states
        .iter()
        .filter(|(state, _)| counts.of(*state) > 0)
        .map(|(state, name)| format!("{} {name}", counts.of(*state)))
        .collect();
    if !parts.is_empty() {
        text += &format!(" ({})", parts.join(", "));
    }
    text
}
