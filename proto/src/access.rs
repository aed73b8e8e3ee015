//! Access files: where a hub is, how to know it, and who one is to it.
//!
//! JSON, mode 0600. The hub writes those of its user below `~/.dhub`, where the tools find them;
//! `dhub access new` writes others, to be carried to other machines or given to other people.

use std::io;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::endpoint;
use crate::private::{self, PrivateError};
use crate::role::Roles;
use crate::secret;
pub use crate::secret::SecretKey;

/// Counts up when older tools could not read the file.
pub const FORMAT: u32 = 1;
/// What files of this kind are called.
pub const EXTENSION: &str = "access";
/// More than what such a file has.
const TEXT_BYTES: usize = 16 * 1024;
const ADVICE: &str = "set DHUB_DIR to a directory of yours";

/// What an access file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Access {
    pub format: u32,
    /// Name of the hub, for people.
    pub hub: String,
    /// The hub's file; empty if it has none.
    pub file: String,
    /// The machine that the hub was started on, and which start of that machine it was.
    pub host: String,
    pub boot_id: String,
    /// Its endpoint there.
    pub ipc: String,
    /// Its encrypted endpoints.
    pub endpoints: Vec<String>,
    pub server_key: String,
    /// Who one is.
    pub name: String,
    /// As they were when the file was made; what counts is what the hub has.
    pub roles: Roles,
    pub public_key: String,
    pub secret_key: SecretKey,
}

/// Why an access file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("{path} is no access file: {why}; dhub access new makes one")]
    Wrong { path: PathBuf, why: String },
    #[error(
        "{path} is an access file of a newer dhub (format {format}); this is {}",
        crate::VERSION
    )]
    Newer { path: PathBuf, format: u32 },
}

/// What CURVE needs on the side of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    server: String,
    public: String,
    secret: SecretKey,
}

impl Keys {
    pub fn apply(&self, socket: &zmq::Socket) -> Result<(), zmq::Error> {
        socket.set_curve_serverkey(self.server.as_bytes())?;
        socket.set_curve_publickey(self.public.as_bytes())?;
        let secret = self.secret.raw().ok_or(zmq::Error::EINVAL)?;
        socket.set_curve_secretkey(&*secret)
    }
}

impl Access {
    /// Of a file that a person named, which may be a pipe.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        Self::parse(path, &Zeroizing::new(private::read_given(path)?))
    }

    /// Of a file in the directory of keys, which nobody has to write first.
    pub fn read_own(path: &Path) -> Result<Self, AccessError> {
        Self::parse(path, &Zeroizing::new(private::read(path)?))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, AccessError> {
        let wrong = |why: String| AccessError::Wrong { path: path.to_owned(), why };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        // What serde says of a wrong value has the value in it, which may be a key.
        let place = |error: serde_json::Error| format!("line {}", error.line());
        let Format { format } = serde_json::from_str(text).map_err(|error| wrong(place(error)))?;
        if format > FORMAT {
            return Err(AccessError::Newer { path: path.to_owned(), format });
        }
        let access: Self = serde_json::from_str(text).map_err(|error| wrong(place(error)))?;
        let keys = [
            ("server_key", access.server_key.as_str()),
            ("public_key", access.public_key.as_str()),
            ("secret_key", access.secret_key.expose()),
        ];
        for (what, key) in keys {
            if !is_key(key) {
                return Err(wrong(format!("its {what} is no key")));
            }
        }
        Ok(access)
    }

    pub fn write(&self, path: &Path) -> Result<(), PrivateError> {
        private::write(path, &self.to_text())
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it: what grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES));
        serde_json::to_writer_pretty(&mut *text, self).expect("strings and numbers");
        text.push(b'\n');
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON"))
    }

    pub fn keys(&self) -> Keys {
        let (server, public) = (self.server_key.clone(), self.public_key.clone());
        Keys { server, public, secret: self.secret_key.clone() }
    }

    /// Was the hub started on this machine, since it was switched on?
    pub fn is_here(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == boot_id() && self.host == crate::host_name()
    }

    /// Does something take connections where the hub did on this machine? Who that is, its key tells; but
    /// a directory that is not this user's any more is an error.
    pub fn ipc_answers(&self) -> Result<bool, PrivateError> {
        let path = self.ipc.strip_prefix("ipc://").filter(|_| self.is_here()).map(Path::new);
        let Some(path) = path.filter(|path| takes_connections(path)) else { return Ok(false) };
        match path.parent() {
            Some(dir) => endpoint::check_socket_dir(dir).map(|()| true),
            None => Ok(false),
        }
    }

    /// Is it the hub that this endpoint leads to?
    pub fn is_at(&self, endpoint: &str) -> bool {
        let mut all = self.endpoints.iter().chain([&self.ipc]);
        if all.any(|it| endpoint::is_same(it, endpoint)) {
            return true;
        }
        // What others call this machine may be known to nobody here.
        let mut ports = self.endpoints.iter().filter_map(|it| it.rsplit_once(':'));
        self.is_here() && ports.any(|(_, port)| endpoint::is_port_here(endpoint, port))
    }
}

pub fn is_key(text: &str) -> bool {
    secret::decode(text).is_some()
}

/// Does something take connections there? One who keeps it from answering does not keep us waiting.
pub fn takes_connections(path: &Path) -> bool {
    let connect = || -> rustix::io::Result<()> {
        let (flags, address) =
            (SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, SocketAddrUnix::new(path)?);
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &address)
    };
    // Its queue is full, but somebody has it.
    matches!(connect(), Ok(()) | Err(Errno::AGAIN))
}

/// Another one after each start of the machine. Empty where the system does not tell.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// `$DHUB_DIR`, else `~/.dhub`.
pub fn default_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || set("HOME").map(|home| Path::new(&home).join(".dhub"));
    set("DHUB_DIR").map(PathBuf::from).or_else(home)
}

/// Makes the directory of keys, or makes sure that nobody else can enter it.
pub fn make_dir(path: &Path) -> Result<(), PrivateError> {
    private::make_dir(path, ADVICE)
}

/// Makes sure that nobody else can enter it.
pub fn check_dir(path: &Path) -> Result<(), PrivateError> {
    private::check_dir(path, ADVICE)
}

/// What a hub that runs says of itself, beside its keys; removed when it stops as asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    pub process: u32,
    /// For people.
    pub since: String,
    pub ipc: String,
}

impl Live {
    /// Is there such a process on this machine? If it is another one by now, its key tells.
    pub fn is_process(&self) -> bool {
        let pid = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        // One of another user is there, too.
        pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
    }
}

pub const LIVE: &str = "live.json";
/// Where a hub is found, written at each start.
pub const PLACE: &str = "place.json";
pub const OWNER: &str = "owner.access";

/// One hub of this user.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its owner's access file.
    pub path: PathBuf,
    pub access: Access,
    /// None: it stopped as asked.
    pub live: Option<Live>,
}

impl Found {
    /// For people who have to choose.
    pub fn about(&self) -> String {
        let Access { file, host, .. } = &self.access;
        let file = if file.is_empty() { "in memory" } else { file };
        match &self.live {
            Some(Live { process, since, .. }) => {
                format!("{file}, on {host}, process {process} since {since}")
            }
            None => format!("{file}, on {host}"),
        }
    }
}

/// What is in the directory of all hubs, in order. It may not be there yet; one that cannot be read
/// is not an empty one.
pub fn homes(dir: &Path) -> Result<Vec<PathBuf>, PrivateError> {
    let error = |source| PrivateError::Io { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
        entries => entries.map_err(error)?,
    };
    check_dir(dir)?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(error)?;
    paths.sort();
    Ok(paths)
}

/// The hubs of this user, by their directories: those first that run, or did not stop as asked.
pub fn hubs(dir: &Path) -> Result<Vec<Found>, AccessError> {
    let mut found = Vec::new();
    for hub in homes(dir)? {
        let path = hub.join(OWNER);
        let access = match Access::read_own(&path) {
            // Its owner's key was taken back: for others to reach, by a file that they name.
            Err(AccessError::Private(PrivateError::Io { source, .. }))
                if matches!(source.kind(), NotFound | NotADirectory) =>
            {
                continue;
            }
            access => access,
        };
        match (access, live(&hub)?) {
            (Ok(access), live) => found.push(Found { path, access, live }),
            // What a hub that stopped long ago wrote need not be of use.
            (Err(AccessError::Wrong { .. } | AccessError::Newer { .. }), None) => {}
            (Err(error), _) => return Err(error),
        }
    }
    found.sort_by_key(|hub| hub.live.is_none());
    Ok(found)
}

/// What the hub of this directory says of itself; None: it does not run.
pub fn live(hub: &Path) -> Result<Option<Live>, PrivateError> {
    let path = hub.join(LIVE);
    match private::read(&path) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(PrivateError::Io { source, .. }) if source.kind() == NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::role::Role;

    fn access() -> Access {
        let pair = zmq::CurveKeyPair::new().unwrap();
        let key = |bytes: &[u8]| zmq::z85_encode(bytes).unwrap();
        Access {
            format: FORMAT,
            hub: "run".into(),
            file: "/home/ada/run.db".into(),
            host: crate::host_name(),
            boot_id: boot_id(),
            ipc: "ipc:///run/user/1/dhub/run.sock".into(),
            endpoints: vec!["tcp://login3:6125".into()],
            server_key: key(&pair.public_key),
            name: "owner".into(),
            roles: Role::Work.into(),
            public_key: key(&pair.public_key),
            secret_key: SecretKey::new(key(&pair.secret_key)),
        }
    }

    #[test]
    fn a_file_says_what_was_written_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.access");
        let access = access();
        access.write(&path).unwrap();
        assert_eq!(Access::read(&path).unwrap(), access);
        assert!(!format!("{access:?}").contains(access.secret_key.expose()));
        assert!(!format!("{:?}", access.keys()).contains(access.secret_key.expose()));
    }

    #[test]
    fn what_is_no_access_file_is_refused_without_telling_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.access");
        let good = access();
        let secret = good.secret_key.expose().to_owned();
        let broken = good.to_text().replace("\"name\": \"owner\"", "\"name\": 7");
        let short = good.to_text().replace(&secret, &secret[1..]);
        let newer = good.to_text().replace("\"format\": 1", "\"format\": 2");
        for text in ["", "{}", "junk", &broken, &short, &newer] {
            private::write(&path, text).unwrap();
            let said = Access::read(&path).unwrap_err().to_string();
            assert!(said.contains("a.access"), "{said}");
            assert!(!said.contains(&secret[1..]), "{said}");
        }
    }

    #[test]
    fn a_hub_of_another_machine_or_another_start_of_this_one_is_not_here() {
        let here = access();
        assert!(here.is_here());
        assert!(!Access { host: "elsewhere".into(), ..here.clone() }.is_here());
        assert!(!Access { boot_id: "x".into(), ..here.clone() }.is_here());
        assert!(!Access { boot_id: String::new(), ..here.clone() }.is_here());
        assert!(!here.ipc_answers().unwrap());
    }

    #[test]
    fn a_hub_of_this_machine_is_at_its_port_whatever_it_calls_the_machine() {
        let named = Access { endpoints: vec!["tcp://nobody.invalid:7".into()], ..access() };
        for here in ["tcp://localhost:7", "tcp://127.0.0.1:7", "tcp://nobody.invalid:7"] {
            assert!(named.is_at(here), "{here}");
        }
        // An address for documentation: of no machine.
        for elsewhere in ["tcp://localhost:8", "tcp://192.0.2.1:7", "ipc:///tmp/x:7"] {
            assert!(!named.is_at(elsewhere), "{elsewhere}");
        }
        let away = Access { boot_id: "x".into(), ..named };
        assert!(!away.is_at("tcp://localhost:7"));
    }

    #[test]
    fn a_socket_whose_queue_is_full_is_taken_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("full.sock");
        assert!(!takes_connections(&path));
        let kind = SocketType::STREAM;
        let socket =
            socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a socket");
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).expect("a path")).expect("a place");
        rustix::net::listen(&socket, 0).expect("a listener");
        let _waiting = UnixStream::connect(&path).expect("the first");
        let begin = Instant::now();
        assert!(takes_connections(&path));
        assert!(begin.elapsed() < Duration::from_secs(5));
        drop(socket);
        assert!(!takes_connections(&path));
    }
}
