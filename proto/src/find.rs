//! Which hub is meant, and how to reach it.
//!
//! What is said on the command line counts first, then the environment, then the hubs that this
//! user runs, by the access files in `~/.dhub`: on this machine over ipc, on others over TCP. The key
//! of the access file decides who is talked to; without one only `--insecure` says that nobody does.

use std::fmt;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::access::{self, Access, AccessError, Found, Keys, Live};
use crate::endpoint;
use crate::options::HubOptions;
use crate::private::PrivateError;
use crate::shell;

/// For scripts: what --insecure says.
pub const INSECURE: &str = "DHUB_INSECURE";
/// How long another machine may take to show that a hub runs there.
const PROBE: Duration = Duration::from_secs(1);
/// A hub that was started just now is there soon.
const AGAIN: Duration = Duration::from_millis(50);

/// A hub, and what it takes to talk to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    pub endpoint: String,
    /// None: plain, because somebody said so.
    pub keys: Option<Keys>,
    /// The access file that it is known by.
    pub access: Option<PathBuf>,
    /// Which hub that should be, for people to whom it does not answer. May be empty.
    pub about: String,
}

impl Target {
    /// Whoever answers there.
    pub fn plain(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }

    /// At this endpoint, which may be a tunnel to where the access file says.
    fn keyed(endpoint: String, path: PathBuf, access: &Access) -> Self {
        let (keys, about) = (Some(access.keys()), about(access, &path));
        let endpoint = endpoint::with_address(endpoint);
        Self { endpoint, keys, access: Some(path), about }
    }

    /// The endpoint, and why it is looked for there.
    pub fn place(&self) -> String {
        let Self { endpoint, about, .. } = self;
        if about.is_empty() { endpoint.clone() } else { format!("{endpoint}, where {about}") }
    }
}

/// No single hub can be meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("several of your hubs run; choose one with -s or --access:\n  {}", .0.join("\n  "))]
    Several(Vec<String>),
    #[error(
        "none of your hubs runs (looked on this machine and in {dir})\n  start one with: dhub -f FILE      another: -s or --access"
    )]
    None { dir: String },
    #[error(
        "the hub of {about} is gone{tried}\n  start it again with: dhub -f {}      another: -s or --access",
        shell::file(.file)
    )]
    Gone { about: String, file: String, tried: String },
    #[error(
        "the hub {about} is gone{tried}, and its tasks with it\n  start another one with: dhub -f FILE      another: -s or --access"
    )]
    GoneFromMemory { about: String, tried: String },
    #[error(
        "'{name}' is no name of a machine that can be found here ({why})\n  see how it is spelt, or give its address: -s ADDRESS:PORT, or DHUB_HUB      your own hubs are found without"
    )]
    Name { name: String, why: std::io::Error },
    #[error("DHUB_HUB: {0}")]
    Environment(String),
    #[error("{path} names no encrypted endpoint of the hub, and the hub is not on this machine")]
    Unreachable { path: PathBuf },
    #[error(
        "no key is known for the hub at {endpoint}: none of your hubs is there, by {dir}{yours}\n  give its access file with --access FILE or DHUB_ACCESS; dhub access new makes it, by the hub's user{}",
        if .endpoint.starts_with("ipc://") { "" } else { "\n  a hub that was started with --insecure wants no key: --insecure or DHUB_INSECURE=1, and whoever answers there is believed" }
    )]
    NoKey { endpoint: String, dir: String, yours: String },
    #[error("the access file of {from}: {source}{}", from.advice())]
    Named { from: Named, source: AccessError },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Private(#[from] PrivateError),
}

/// Who named an access file.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    Option,
    Environment,
}

impl Named {
    fn advice(self) -> &'static str {
        match self {
            Self::Option => {
                "\n  for a hub of yours leave out --access; for another's, its user makes one: dhub access new"
            }
            Self::Environment => {
                "\n  for a hub of yours: unset DHUB_ACCESS; for another's, its user makes one: dhub access new"
            }
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, text: &mut fmt::Formatter) -> fmt::Result {
        text.write_str(match self {
            Self::Option => "--access",
            Self::Environment => "DHUB_ACCESS",
        })
    }
}

impl FindError {
    /// A hub may be started yet, and a name be known.
    pub fn may_pass(&self) -> bool {
        use FindError::{Gone, GoneFromMemory, Name, None};
        matches!(self, None { .. } | Gone { .. } | GoneFromMemory { .. } | Name { .. })
    }

    pub fn exit(&self) -> crate::exit::Exit {
        use crate::exit::Exit;
        match self {
            FindError::Several(_) | FindError::Environment(_) => Exit::Usage,
            FindError::None { .. }
            | FindError::Gone { .. }
            | FindError::GoneFromMemory { .. }
            | FindError::Name { .. } => Exit::NoHub,
            FindError::NoKey { .. } => Exit::Denied,
            FindError::Unreachable { .. } => Exit::System,
            FindError::Named { .. } | FindError::Access(_) | FindError::Private(_) => Exit::Keys,
        }
    }
}

impl HubOptions {
    /// The hub to talk to; waits for one that is about to start.
    pub fn find(&self) -> Result<Target, FindError> {
        let until = Instant::now() + self.timeout();
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
        let mut from = Named::Option;
        let (server, access) = match (&self.server, &self.access) {
            (None, None) => {
                from = Named::Environment;
                let server = set("DHUB_HUB").map(|text| endpoint::parse(&text.to_string_lossy()));
                let server = server.transpose().map_err(FindError::Environment)?;
                (server, set("DHUB_ACCESS").map(PathBuf::from))
            }
            (server, access) => (server.clone(), access.clone()),
        };
        if let Some((name, why)) = server.as_deref().and_then(endpoint::unknown_name) {
            return Err(FindError::Name { name, why });
        }
        let dir = access::default_dir();
        // Tasks get its name, and may run elsewhere.
        let access = access.map(|path| std::path::absolute(&path).unwrap_or(path));
        match (server, access) {
            (server, Some(path)) => {
                let access =
                    Access::read(&path).map_err(|source| FindError::Named { from, source })?;
                match server {
                    Some(server) => Ok(Target::keyed(server, path, &access)),
                    None => by(path, &access),
                }
            }
            (Some(server), None) => known(server, dir.as_deref(), self.is_insecure()),
            (None, None) => only(dir.as_deref()),
        }
    }

    fn is_insecure(&self) -> bool {
        let set = || std::env::var_os(INSECURE).is_some_and(|it| !it.is_empty() && it != "0");
        self.insecure || set()
    }
}

/// How likely it is that a hub has the port that it had last; the most likely first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    Answers,
    /// On another machine, from where it cannot be seen.
    Away,
    /// It was killed, and has left its port to others.
    Killed,
    /// It stopped as asked, and has left its port to others.
    Stopped,
}

impl Presence {
    fn of(hub: &Found) -> Result<Self, PrivateError> {
        Ok(match &hub.live {
            _ if hub.access.ipc_answers()? => Self::Answers,
            None => Self::Stopped,
            Some(_) if hub.access.host == crate::host_name() => Self::Killed,
            Some(_) => Self::Away,
        })
    }
}

/// By the key of that of this user's hubs that is there. Plain only if none is, and plain is allowed.
fn known(server: String, dir: Option<&Path>, insecure: bool) -> Result<Target, FindError> {
    let hubs = dir.map_or(Ok(Vec::new()), access::hubs)?;
    let is_tcp = server.starts_with("tcp://");
    let at = hubs.iter().filter(|hub| hub.access.is_at(&server));
    let at: Result<Vec<_>, PrivateError> =
        at.map(|hub| Presence::of(hub).map(|presence| (presence, hub))).collect();
    let there = |presence: &Presence| !insecure || *presence <= Presence::Away;
    let at = at?.into_iter().filter(|(presence, _)| there(presence));
    match at.min_by_key(|(presence, _)| *presence) {
        Some((_, hub)) => Ok(Target::keyed(server, hub.path.clone(), &hub.access)),
        None if insecure && is_tcp => Ok(Target::plain(endpoint::with_address(server))),
        None => {
            let (dir, yours) = (looked_in(dir), yours(&hubs));
            Err(FindError::NoKey { endpoint: server, dir, yours })
        }
    }
}

fn about(access: &Access, path: &Path) -> String {
    let Access { file, host, .. } = access;
    let file = if file.is_empty() { "a hub in memory" } else { file };
    format!("{} says that {file} is, on {host}", path.display())
}

/// Over ipc if the hub is on this machine and its socket can be entered; else at the first endpoint that
/// the file names.
pub fn by_access(path: PathBuf) -> Result<Target, FindError> {
    let access = Access::read(&path)?;
    by(path, &access)
}

fn by(path: PathBuf, access: &Access) -> Result<Target, FindError> {
    if access.ipc_answers()? {
        return Ok(Target::keyed(access.ipc.clone(), path, access));
    }
    match access.endpoints.iter().find(|endpoint| endpoint.starts_with("tcp://")) {
        Some(endpoint) => Ok(Target::keyed(endpoint.clone(), path, access)),
        None => Err(FindError::Unreachable { path }),
    }
}

/// The only hub of this user that runs.
fn only(dir: Option<&Path>) -> Result<Target, FindError> {
    let (mut here, mut away, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let hubs = dir.map_or(Ok(Vec::new()), access::hubs)?;
    let (live, stopped): (Vec<Found>, Vec<Found>) =
        hubs.into_iter().partition(|hub| hub.live.is_some());
    for hub in live {
        let access = &hub.access;
        if access.ipc_answers()? {
            here.push(hub);
        } else if access.host != crate::host_name() && !access.endpoints.is_empty() {
            away.push(hub);
        } else {
            gone.push(hub);
        }
    }
    // The socket of one that runs may be gone, as with the session of who started it.
    let runs = |hub: &Found| {
        hub.access.is_here()
            && hub.live.as_ref().is_some_and(Live::is_process)
            && hub.access.endpoints.iter().any(|it| answers(it))
    };
    here.extend(gone.extract_if(.., |hub| runs(hub)));
    if here.len() + away.len() > 1 {
        // One that was killed on another machine is still listed.
        away.retain(|hub| hub.access.endpoints.iter().any(|endpoint| answers(endpoint)));
    }
    here.append(&mut away);
    match here.as_slice() {
        [hub] => by_access(hub.path.clone()),
        [] => match gone.into_iter().max_by_key(started) {
            // Who stopped one later does not mean an older one that was killed.
            Some(hub) if stopped.iter().map(started).max() <= Some(started(&hub)) => {
                Err(gone_error(&hub))
            }
            _ => Err(FindError::None { dir: looked_in(dir) }),
        },
        several => Err(FindError::Several(choices(several))),
    }
}

/// Those that run here, for people who look for them elsewhere.
fn yours(hubs: &[Found]) -> String {
    let runs = |hub: &&Found| hub.live.is_some() && hub.access.ipc_answers().unwrap_or(false);
    let running: Vec<Found> = hubs.iter().filter(runs).cloned().collect();
    match running.as_slice() {
        [] => String::new(),
        [hub] => format!("\n  yours that runs is found without -s and DHUB_HUB: {}", hub.about()),
        several => format!("\n  yours that run:\n    {}", choices(several).join("\n    ")),
    }
}

/// How each of them is meant, in the shortest way that works from here.
fn choices(hubs: &[Found]) -> Vec<String> {
    let address = |hub: &Found| {
        let is_only = |it: &&String| hubs.iter().filter(|hub| hub.access.is_at(it)).count() == 1;
        let of = hub.access.endpoints.iter().find(is_only).filter(|it| leads_to(hub, it))?;
        Some(format!("-s {}", of.strip_prefix("tcp://")?))
    };
    let choice = |hub: &Found| {
        let way = address(hub).unwrap_or_else(|| format!("--access {}", below_home(&hub.path)));
        format!("{way}  ({})", hub.about())
    };
    hubs.iter().map(choice).collect()
}

/// Does this address of it lead there from here? One that is here need not be asked: it would log that.
fn leads_to(hub: &Found, endpoint: &str) -> bool {
    match (hub.access.ipc_answers(), endpoint.rsplit_once(':')) {
        (Ok(true), Some((_, port))) => endpoint::is_port_here(endpoint, port),
        _ => answers(endpoint),
    }
}

/// As a shell reads it.
fn below_home(path: &Path) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let home = std::env::var_os("HOME").filter(|home| Path::new(home).is_absolute());
    let below = home.and_then(|home| path.strip_prefix(home).ok()?.to_str());
    match below.filter(|below| below.chars().all(is_plain)) {
        Some(below) => format!("~/{below}"),
        None => shell::file(path),
    }
}

/// When it was started last. It says then where it is found, and nothing later.
fn started(hub: &Found) -> Option<SystemTime> {
    std::fs::metadata(hub.path.with_file_name(access::PLACE)).ok()?.modified().ok()
}

fn gone_error(hub: &Found) -> FindError {
    let (about, tried) = (hub.about(), tried(hub));
    match hub.access.file.as_str() {
        "" => FindError::GoneFromMemory { about, tried },
        file => FindError::Gone { about, file: file.to_owned(), tried },
    }
}

/// Where it does not answer; nowhere was tried if it was started before this machine was.
fn tried(hub: &Found) -> String {
    let Access { ipc, endpoints, .. } = &hub.access;
    match (hub.access.is_here(), &hub.live) {
        (false, _) => String::new(),
        (true, Some(live)) if live.is_process() && !endpoints.is_empty() => {
            format!(" (nothing answers at {ipc} and {})", endpoints.join(", "))
        }
        (true, _) => format!(" (nothing answers at {ipc})"),
    }
}

fn looked_in(dir: Option<&Path>) -> String {
    match dir {
        Some(dir) => dir.display().to_string(),
        None => "no directory of keys, for neither DHUB_DIR nor HOME is set".into(),
    }
}

/// Does something take connections there?
fn answers(endpoint: &str) -> bool {
    let address = endpoint.trim_start_matches("tcp://");
    let addresses = address.to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, PROBE).is_ok())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::exit::Exit;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        hub: HubOptions,
    }

    #[test]
    fn an_access_file_that_is_not_there_is_told_with_who_named_it() {
        let begin = "the access file of --access: /none/x: no such file or directory\n  for a hub of yours leave out --access";
        for more in [&[][..], &["-s", "tcp://127.0.0.1:9"]] {
            let args = [&["test", "--access", "/none/x"], more].concat();
            let error = Args::parse_from(args).hub.find_now().unwrap_err();
            assert_eq!(error.exit(), Exit::Keys);
            assert!(error.to_string().starts_with(begin), "{error}");
        }
        assert!(Named::Environment.advice().contains("unset DHUB_ACCESS"));
    }
}
