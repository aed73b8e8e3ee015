//! Which hub is meant, and how to reach it.
//!
//! What is said on the command line counts first, then the environment, then the hubs that this
//! user runs: on this machine over ipc, on others by the access files in `~/.dhub`.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::access::{self, Access, AccessError, Found, Keys};
use crate::endpoint;
use crate::options::HubOptions;
use crate::private::PrivateError;
use crate::role::Roles;

/// How long another machine may take to show that a hub runs there.
const PROBE: Duration = Duration::from_secs(1);
/// A hub that was started just now is there soon.
const AGAIN: Duration = Duration::from_millis(50);

/// A hub, and what it takes to talk to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    pub endpoint: String,
    /// None: over ipc, or plain.
    pub keys: Option<Keys>,
    /// The access file that it is known by.
    pub access: Option<PathBuf>,
    /// Which hub that should be, for people to whom it does not answer. May be empty.
    pub about: String,
}

impl Target {
    /// The endpoint, and why it is looked for there.
    pub fn place(&self) -> String {
        let Self { endpoint, about, .. } = self;
        if about.is_empty() { endpoint.clone() } else { format!("{endpoint}, where {about}") }
    }
}

impl From<&str> for Target {
    fn from(endpoint: &str) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

impl From<String> for Target {
    fn from(endpoint: String) -> Self {
        Self { endpoint, ..Self::default() }
    }
}

/// No single hub can be meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("several of your hubs run; choose one with -s or --access:\n  {}", .0.join("\n  "))]
    Several(Vec<String>),
    #[error("none of your hubs runs (looked on this machine and in {})\n  start one with: dhub -f FILE      another: -s or --access", .dir.display())]
    None { dir: PathBuf },
    #[error(
        "the hub of {about} is gone\n  start it again with: dhub -f {file}      another: -s or --access"
    )]
    Gone { about: String, file: String },
    #[error("DHUB_HUB: {0}")]
    Environment(String),
    #[error("{path} names no encrypted endpoint of the hub, and the hub is not on this machine")]
    Unreachable { path: PathBuf },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Private(#[from] PrivateError),
}

impl FindError {
    /// A hub may be started yet.
    pub fn may_pass(&self) -> bool {
        matches!(self, FindError::None { .. } | FindError::Gone { .. })
    }

    pub fn exit(&self) -> crate::exit::Exit {
        use crate::exit::Exit;
        match self {
            FindError::Several(_) | FindError::Environment(_) => Exit::Usage,
            FindError::None { .. } | FindError::Gone { .. } => Exit::NoHub,
            FindError::Unreachable { .. } | FindError::Access(_) | FindError::Private(_) => {
                Exit::System
            }
        }
    }
}

impl HubOptions {
    /// The hub to talk to; waits for one that is about to start.
    pub fn find(&self) -> Result<Target, FindError> {
        let until = Instant::now() + self.timeout;
        loop {
            match self.find_now() {
                Err(error) if error.may_pass() && Instant::now() < until => {
                    std::thread::sleep(AGAIN);
                }
                result => return result,
            }
        }
    }

    pub fn find_now(&self) -> Result<Target, FindError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let (server, access) = match (&self.server, &self.access) {
            (None, None) => {
                let server = set("DHUB_HUB").map(|text| endpoint::parse(&text.to_string_lossy()));
                let server = server.transpose().map_err(FindError::Environment)?;
                (server, set("DHUB_ACCESS").map(PathBuf::from))
            }
            (server, access) => (server.clone(), access.clone()),
        };
        let dir = access::default_dir();
        // Tasks get its name, and may run elsewhere.
        let access = access.map(|path| std::path::absolute(&path).unwrap_or(path));
        match (server, access) {
            (Some(server), Some(path)) => {
                let access = Access::read(&path)?;
                Ok(at(server, Some((path, access))))
            }
            (None, Some(path)) => by_access(path),
            (Some(server), None) => {
                let hubs = dir.as_deref().map_or(Ok(Vec::new()), access::hubs)?;
                let known = hubs.into_iter().find(|hub| hub.access.endpoints.contains(&server));
                Ok(at(server, known.map(|hub| (hub.path, hub.access))))
            }
            (None, None) => only(dir.as_deref()),
        }
    }
}

/// At this endpoint, which may be a tunnel to where the access file says.
fn at(endpoint: String, known: Option<(PathBuf, Access)>) -> Target {
    match known {
        Some((path, access)) if endpoint.starts_with("tcp://") => Target {
            endpoint,
            keys: Some(access.keys()),
            about: about(&access, &path),
            access: Some(path),
        },
        _ => endpoint.into(),
    }
}

fn about(access: &Access, path: &Path) -> String {
    let Access { file, host, .. } = access;
    let file = if file.is_empty() { "a hub in memory" } else { file };
    format!("{} says that {file} is, on {host}", path.display())
}

/// Over ipc if the hub is on this machine and everything may be asked, as over ipc it may; else at
/// the first endpoint that the file names, where the hub holds the key to its roles.
pub fn by_access(path: PathBuf) -> Result<Target, FindError> {
    let access = Access::read(&path)?;
    if access.roles == Roles::all() && access.ipc_answers() {
        let about = about(&access, &path);
        return Ok(Target { endpoint: access.ipc, keys: None, access: Some(path), about });
    }
    match access.endpoints.first() {
        Some(endpoint) => Ok(at(endpoint.clone(), Some((path, access)))),
        None => Err(FindError::Unreachable { path }),
    }
}

/// The only hub of this user that runs.
fn only(dir: Option<&Path>) -> Result<Target, FindError> {
    let mut here = endpoint::live_hubs()?;
    let (mut away, mut gone) = (Vec::new(), Vec::new());
    for hub in dir.map_or(Ok(Vec::new()), access::hubs)? {
        let access = &hub.access;
        match access.is_here() {
            true if here.contains(&access.ipc) => {}
            true if access.ipc_answers() => here.push(access.ipc.clone()),
            false if access.host != crate::host_name() && !access.endpoints.is_empty() => {
                away.push(hub);
            }
            _ => gone.push(hub),
        }
    }
    if here.len() + away.len() > 1 {
        // One that was killed on another machine is still listed.
        away.retain(|hub| hub.access.endpoints.iter().any(|endpoint| answers(endpoint)));
    }
    match (here.as_slice(), away.as_slice()) {
        ([endpoint], []) => Ok(endpoint.as_str().into()),
        ([], [hub]) => by_access(hub.path.clone()),
        ([], []) => Err(match gone.pop() {
            Some(hub) => gone_error(&hub),
            None => FindError::None { dir: dir.unwrap_or(Path::new("~/.dhub")).to_owned() },
        }),
        _ => {
            let away = away
                .iter()
                .map(|hub| format!("--access {}  ({})", hub.path.display(), hub.about()));
            Err(FindError::Several(here.iter().map(|it| format!("-s {it}")).chain(away).collect()))
        }
    }
}

fn gone_error(hub: &Found) -> FindError {
    let file = match hub.access.file.as_str() {
        "" => "FILE".to_owned(),
        file => file.to_owned(),
    };
    FindError::Gone { about: hub.about(), file }
}

/// Does something take connections there?
fn answers(endpoint: &str) -> bool {
    let address = endpoint.trim_start_matches("tcp://");
    let addresses = address.to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, PROBE).is_ok())
}
