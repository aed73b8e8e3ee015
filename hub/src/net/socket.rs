//! The hub's sockets: for each endpoint a ROUTER for requests and a PULL for reports.
//!
//! Encrypted TCP, plain TCP and ipc are sockets of their own. All but those of plain TCP let in by key,
//! ipc as well: a directory may be another user's by the time that somebody connects, a key is not.

mod adrift;
mod inlet;

use std::ffi::CString;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dhub_proto::access;
use dhub_proto::disk::{Fault, words};
use dhub_proto::endpoint::{self, SOCKET_PATH_BYTES_MAX};
use dhub_proto::limits::MESSAGE_BYTES_MAX;
use dhub_proto::parts::uninterrupted;
use dhub_proto::private::PrivateError;
use dhub_proto::verb::Way;

use self::adrift::Adrift;
use crate::net::home::ServerKeys;
use crate::net::security::{DOMAIN, IPC_DOMAIN, Security};

pub use inlet::{Inlet, Peer, Received, wait};

/// A peer that has not said who it is by then is dropped.
const HANDSHAKE_MS: i32 = 5_000;

/// Of those who have not yet, over TCP: 80 MiB, and more than a hub lets in in that time. Fewer where
/// descriptors are few (`descriptors.rs`).
pub const HANDSHAKES_MAX: u32 = 4_096;

/// Connections that may wait to be accepted; thousands of workers reconnect at the same time.
const BACKLOG: i32 = 4_096;

/// Replies that may wait for a slow reader; then they are dropped and their leases taken back.
const SEND_MESSAGES_MAX: i32 = 1_000;

/// Of a connection over TCP, in the kernel.
const SEND_BUFFER_BYTES: i32 = 256 << 10;

/// Requests that may wait for the hub, for each peer; more of them wait in the peer.
const RECEIVE_MESSAGES_MAX: i32 = 100;

/// What a connection may hold in each direction, and all of them together: half of what hostile peers
/// may cost a hub. The other half is what thousands of connections need by themselves.
const PEER_BYTES_MAX: u64 = 16 << 20;

const ALL_BYTES_MAX: u64 = 144 << 20;

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
    #[error("cannot listen at {}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("cannot make a socket: {0}")]
    Socket(#[from] zmq::Error),
}

pub struct Socket {
    pub router: Inlet,
    pub pull: Inlet,
    /// Where clients connect.
    pub endpoint: String,
    /// Where reports go, as clients are told.
    pub report: String,
    pub security: Security,
    /// Who connects is on this machine.
    pub is_ipc: bool,
    files: Vec<PathBuf>,
    /// The directory of these is one that nobody else can enter.
    is_private: bool,
    adrift: Option<Adrift>,
    /// What libzmq tells of handshakes that failed, of each of the two.
    watches: Vec<Inlet>,
}

/// Before anything is bound: what those who connect may make this process hold.
pub fn limit_peers() {
    zmq_sys::zmq_limit_bytes(PEER_BYTES_MAX, ALL_BYTES_MAX);
    zmq_sys::zmq_limit_handshakes(HANDSHAKES_MAX);
}

impl Socket {
    /// Encrypted for those who have a key, if the hub's own keys are given.
    pub fn bind(
        context: &zmq::Context,
        endpoint: &str,
        keys: Option<&ServerKeys>,
    ) -> Result<Self, BindError> {
        match endpoint.strip_prefix("ipc://") {
            Some(path) => Self::bind_ipc(context, Path::new(path), keys),
            None => Self::bind_tcp(context, endpoint, keys),
        }
    }

    /// What listens on all addresses is found by the name of the machine.
    pub fn call(&mut self, host: &str) {
        for all in ["tcp://0.0.0.0:", "tcp://*:", "tcp://[::]:"] {
            if let Some(port) = self.endpoint.strip_prefix(all) {
                self.endpoint = format!("tcp://{host}:{port}");
            }
        }
    }

    fn ends(&self) -> [(&Inlet, &str); 2] {
        [(&self.router, &self.endpoint), (&self.pull, &self.report)]
    }

    /// Some users rest no more.
    pub fn wake(&mut self) {
        self.router.wake();
        self.pull.wake();
    }

    pub fn watches(&self) -> &[Inlet] {
        &self.watches
    }

    /// All that is to be waited for.
    pub fn inlets(&self) -> impl Iterator<Item = &Inlet> {
        [&self.router, &self.pull].into_iter().chain(&self.watches)
    }

    fn bind_tcp(
        context: &zmq::Context,
        endpoint: &str,
        keys: Option<&ServerKeys>,
    ) -> Result<Self, BindError> {
        let mut watches = Vec::new();
        let mut bind_one = |kind, endpoint: &str| -> Result<Inlet, BindError> {
            let socket = open_one(context, kind, keys, Way::Any, &mut watches)?;
            socket.set_ipv6(endpoint::takes_ipv6(endpoint))?;
            bind_open(socket, endpoint)
        };
        let router = bind_one(zmq::ROUTER, endpoint)?;
        let bound = last_endpoint(&router, endpoint)?;
        let (host, port) = bound.rsplit_once(':').unwrap_or((&bound, "0"));
        let port: u16 = port.parse().unwrap_or(0);
        let (asked_host, asked_port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "0"));
        // Any port was asked for: any will do for the reports as well.
        let pull = if matches!(asked_port, "0" | "*") {
            bind_one(zmq::PULL, &format!("{asked_host}:*"))?
        } else {
            let next = port.checked_add(1).ok_or(BindError::Port { port })?;
            bind_one(zmq::PULL, &format!("{asked_host}:{next}"))?
        };
        let report = last_endpoint(&pull, endpoint)?;
        let report_port = report.rsplit_once(':').map_or("0", |(_, port)| port);
        Ok(Self {
            router,
            pull,
            endpoint: format!("{host}:{port}"),
            report: format!("tcp://:{report_port}"),
            security: security(keys),
            is_ipc: false,
            files: Vec::new(),
            is_private: false,
            adrift: None,
            watches,
        })
    }

    fn bind_ipc(
        context: &zmq::Context,
        path: &Path,
        keys: Option<&ServerKeys>,
    ) -> Result<Self, BindError> {
        let endpoint = format!("ipc://{}", path.display());
        let report_path = PathBuf::from(format!("{}.report", path.display()));
        let bytes = report_path.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(BindError::Long { endpoint, bytes });
        }
        // libzmq replaces the socket file of a hub that is gone, but also that of one that is not.
        if access::takes_connections(path) {
            return Err(BindError::Alive { endpoint });
        }
        try_socket(path)?;
        let report = format!("ipc://{}", report_path.display());
        let mut watches = Vec::new();
        let mut bind_one = |kind, endpoint: &str| -> Result<Inlet, BindError> {
            bind_open(open_one(context, kind, keys, Way::Ipc, &mut watches)?, endpoint)
        };
        Ok(Self {
            router: bind_one(zmq::ROUTER, &endpoint)?,
            pull: bind_one(zmq::PULL, &report)?,
            endpoint,
            report,
            security: security(keys),
            is_ipc: true,
            files: vec![path.to_owned(), report_path],
            is_private: path.parent().is_some_and(|dir| endpoint::check_socket_dir(dir).is_ok()),
            adrift: None,
            watches,
        })
    }
}

/// libzmq's binding has no word for a disk that takes nothing, and panics.
fn try_socket(path: &Path) -> Result<(), BindError> {
    let _ = std::fs::remove_file(path);
    let made = UnixListener::bind(path);
    let _ = std::fs::remove_file(path);
    match made {
        Err(source) if Fault::of(&source).is_some() => {
            Err(BindError::Io { path: path.to_owned(), source })
        }
        // Whatever else is wrong, libzmq says it.
        _ => Ok(()),
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

fn security(keys: Option<&ServerKeys>) -> Security {
    if keys.is_some() { Security::Curve } else { Security::Plain }
}

/// Not bound yet. Of one with keys, what becomes of those who are not let in is told by another one
/// of `watches`.
fn open_one(
    context: &zmq::Context,
    kind: zmq::SocketType,
    keys: Option<&ServerKeys>,
    way: Way,
    watches: &mut Vec<Inlet>,
) -> Result<zmq::Socket, zmq::Error> {
    let mut socket = context.socket(kind)?;
    socket.set_maxmsgsize(MESSAGE_BYTES_MAX as i64)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    socket.set_backlog(BACKLOG)?;
    socket.set_sndhwm(SEND_MESSAGES_MAX)?;
    socket.set_rcvhwm(RECEIVE_MESSAGES_MAX)?;
    socket.set_linger(LINGER_MS)?;
    if way != Way::Ipc {
        // What is not read lies there, too, and nobody counts it.
        socket.set_sndbuf(SEND_BUFFER_BYTES)?;
    }
    socket.set_tcp_keepalive(1)?;
    socket.set_heartbeat_ivl(PING_MS)?;
    socket.set_heartbeat_timeout(PEER_TIMEOUT_MS)?;
    if kind == zmq::ROUTER {
        // A reply to a client that is gone is an error that the hub can act on.
        socket.set_router_mandatory(true)?;
    }
    if let Some(keys) = keys {
        socket.set_curve_server(true)?;
        let secret = keys.secret_key.raw().ok_or(zmq::Error::EINVAL)?;
        socket.set_curve_secretkey(&*secret)?;
        socket.set_zap_domain(if way == Way::Ipc { IPC_DOMAIN } else { DOMAIN })?;
        watches.push(watch(context, &mut socket, way)?);
    }
    Ok(socket)
}

fn bind_open(socket: zmq::Socket, endpoint: &str) -> Result<Inlet, BindError> {
    let failed = |source| BindError::Bind { endpoint: endpoint.to_owned(), source };
    uninterrupted(|| socket.bind(endpoint)).map_err(failed)?;
    Ok(Inlet::new(socket)?)
}

fn last_endpoint(inlet: &Inlet, asked: &str) -> Result<String, BindError> {
    Ok(inlet.socket.get_last_endpoint()?.unwrap_or_else(|_| asked.to_owned()))
}

/// What becomes of those who are not let in.
#[allow(unsafe_code, reason = "libzmq has no published way to learn their address")]
fn watch(context: &zmq::Context, watched: &mut zmq::Socket, way: Way) -> Result<Inlet, zmq::Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let broken_off = match way {
        // The tools connect and leave again, to see whether a hub is there.
        Way::Ipc => 0,
        Way::Any => zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    };
    let events = broken_off
        | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    let address = format!("inproc://refused-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let text = CString::new(address.as_str()).map_err(|_| zmq::Error::EINVAL)?;
    // SAFETY: the socket is open as long as it is borrowed, and borrowed by this thread alone.
    let result = unsafe { zmq_sys::zmq_publish_events(watched.as_mut_ptr(), &text, events.into()) };
    if result != 0 {
        return Err(zmq::Error::from_raw(zmq_sys::errno::EINVAL));
    }
    let socket = context.socket(zmq::SUB)?;
    socket.set_linger(0)?;
    socket.set_subscribe(b"")?;
    uninterrupted(|| socket.connect(&address))?;
    Inlet::new(socket)
}
