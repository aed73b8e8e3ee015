//! The hub's sockets: for each endpoint a ROUTER for requests and a PULL for reports.
//!
//! Plain TCP and ipc are sockets of their own, so that what may come in by which is settled by
//! the socket alone.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use dhub_proto::endpoint::SOCKET_PATH_BYTES_MAX;
use dhub_proto::limits::MESSAGE_BYTES_MAX;

/// A peer that has not said who it is by then is dropped.
const HANDSHAKE_MS: i32 = 5_000;
/// Connections that may wait to be accepted; thousands of workers reconnect at the same time.
const BACKLOG: i32 = 4_096;
/// Replies that may wait for a slow reader; then they are dropped and their leases taken back.
const SEND_MESSAGES_MAX: i32 = 1_000;
/// Requests that may wait for the hub, for each peer; more of them wait in the peer. Each may have
/// MESSAGE_BYTES_MAX, and libzmq counts messages, not bytes, so this is low.
const RECEIVE_MESSAGES_MAX: i32 = 100;
/// A peer that answers no ping for this long is gone.
const PEER_TIMEOUT_MS: i32 = 45_000;
const PING_MS: i32 = 15_000;
/// How long the last replies may take to leave at a stop.
const LINGER_MS: i32 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen at {endpoint}: {}", match source {
        zmq::Error::EADDRINUSE => "the address is in use; another hub? choose another port with -p or --bind".to_owned(),
        zmq::Error::EACCES => "permission denied; ports below 1024 are for root".to_owned(),
        zmq::Error::EADDRNOTAVAIL | zmq::Error::ENODEV => "this machine has no such address".to_owned(),
        other => other.to_string(),
    })]
    Bind { endpoint: String, source: zmq::Error },
    #[error("cannot listen at {endpoint}: another hub answers there")]
    Alive { endpoint: String },
    #[error(
        "cannot listen at {endpoint}: the path has {bytes} bytes with its '.report', a socket's has at most {SOCKET_PATH_BYTES_MAX}; set XDG_RUNTIME_DIR to a shorter directory"
    )]
    Long { endpoint: String, bytes: usize },
    #[error("port {port} leaves none for the reports, which go to the next one")]
    Port { port: u16 },
    #[error("cannot make a socket: {0}")]
    Socket(#[from] zmq::Error),
}

pub struct Socket {
    pub router: zmq::Socket,
    pub pull: zmq::Socket,
    /// Where clients connect.
    pub endpoint: String,
    /// Where reports go, as clients are told.
    pub report: String,
    pub is_tcp: bool,
    files: Vec<PathBuf>,
}

impl Socket {
    pub fn bind(context: &zmq::Context, endpoint: &str) -> Result<Self, BindError> {
        match endpoint.strip_prefix("ipc://") {
            Some(path) => Self::bind_ipc(context, Path::new(path)),
            None => Self::bind_tcp(context, endpoint),
        }
    }

    fn bind_tcp(context: &zmq::Context, endpoint: &str) -> Result<Self, BindError> {
        let router = bind_one(context, zmq::ROUTER, endpoint)?;
        let bound = last_endpoint(&router, endpoint)?;
        let (host, port) = bound.rsplit_once(':').unwrap_or((&bound, "0"));
        let port: u16 = port.parse().unwrap_or(0);
        let (asked_host, asked_port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "0"));
        // Any port was asked for: any will do for the reports as well.
        let pull = if matches!(asked_port, "0" | "*") {
            bind_one(context, zmq::PULL, &format!("{asked_host}:*"))?
        } else {
            let next = port.checked_add(1).ok_or(BindError::Port { port })?;
            bind_one(context, zmq::PULL, &format!("{asked_host}:{next}"))?
        };
        let report = last_endpoint(&pull, endpoint)?;
        let report_port = report.rsplit_once(':').map_or("0", |(_, port)| port);
        Ok(Self {
            router,
            pull,
            endpoint: format!("{host}:{port}"),
            report: format!("tcp://:{report_port}"),
            is_tcp: true,
            files: Vec::new(),
        })
    }

    fn bind_ipc(context: &zmq::Context, path: &Path) -> Result<Self, BindError> {
        let endpoint = format!("ipc://{}", path.display());
        let report_path = PathBuf::from(format!("{}.report", path.display()));
        let bytes = report_path.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(BindError::Long { endpoint, bytes });
        }
        // libzmq replaces the socket file of a hub that is gone, but also that of one that is not.
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::Alive { endpoint });
        }
        let report = format!("ipc://{}", report_path.display());
        Ok(Self {
            router: bind_one(context, zmq::ROUTER, &endpoint)?,
            pull: bind_one(context, zmq::PULL, &report)?,
            endpoint,
            report,
            is_tcp: false,
            files: vec![path.to_owned(), report_path],
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for file in &self.files {
            // It may be gone already; libzmq removes it too, but later and in the background.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn bind_one(
    context: &zmq::Context,
    kind: zmq::SocketType,
    endpoint: &str,
) -> Result<zmq::Socket, BindError> {
    let socket = context.socket(kind)?;
    socket.set_maxmsgsize(MESSAGE_BYTES_MAX as i64)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    socket.set_backlog(BACKLOG)?;
    socket.set_sndhwm(SEND_MESSAGES_MAX)?;
    socket.set_rcvhwm(RECEIVE_MESSAGES_MAX)?;
    socket.set_linger(LINGER_MS)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_heartbeat_ivl(PING_MS)?;
    socket.set_heartbeat_timeout(PEER_TIMEOUT_MS)?;
    if kind == zmq::ROUTER {
        // A reply to a client that is gone is an error that the hub can act on.
        socket.set_router_mandatory(true)?;
    }
    let failed = |source| BindError::Bind { endpoint: endpoint.to_owned(), source };
    socket.bind(endpoint).map_err(failed)?;
    Ok(socket)
}

fn last_endpoint(socket: &zmq::Socket, asked: &str) -> Result<String, BindError> {
    Ok(socket.get_last_endpoint()?.unwrap_or_else(|_| asked.to_owned()))
}

/// A message that has arrived, if there is one.
pub fn receive(socket: &zmq::Socket) -> zmq::Result<Option<Vec<Vec<u8>>>> {
    match socket.recv_multipart(zmq::DONTWAIT) {
        Ok(parts) => Ok(Some(parts)),
        Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => Ok(None),
        Err(error) => Err(error),
    }
}
