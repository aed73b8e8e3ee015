//! The directory of one hub: its keys, those that it lets in, and where it is found.
//!
//! ```text
//! ~/.dhub/run-1a2b3c4d/     one for each file and machine, 0700, all in it 0600
//!     server.json           the hub's own key pair
//!     keys.json             whom it lets in: names, roles and public keys
//!     owner.access          for its user's tools, which find it by themselves
//!     submit.access, worker.access, ...
//!     place.json            where it is found, or was last
//!     live.json             while it runs
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dhub_proto::access::{self, Access, AccessError, EXTENSION, LIVE, Live, OWNER, SecretKey};
use dhub_proto::private::{self, Mode, PrivateError};
use dhub_proto::role::{Role, Roles};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::net::error::HomeError;
use crate::net::grant::{Grant, Grants};
use crate::net::json::{read_json, write_json};
use crate::net::place::{PLACE, Place};

const SERVER: &str = "server.json";

const KEYS: &str = "keys.json";

const LOCK: &str = "lock";

/// Beginning of the names of hubs without a file.
const MEMORY: &str = "memory-";

/// The hub's own key pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerKeys {
    pub public_key: String,
    pub secret_key: SecretKey,
}

/// On this machine.
fn hash(what: &str) -> u32 {
    let host = dhub_proto::host_name();
    crate::dialect::native::definition(&[host.as_str().into(), what.into()], 0, 0, None) as u32
}

#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
    /// The directory's own name.
    name: String,
    /// What keeps the tasks; None: in memory.
    file: Option<PathBuf>,
}

impl Home {
    /// Where a hub that was started once is found; of one that never was, nothing.
    pub fn place(&self) -> Result<Place, HomeError> {
        match read_json(&self.path(PLACE)) {
            // Hubs of a version before this wrote it into access files only.
            Err(HomeError::Private(PrivateError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(self.owner()?.map(Place::from).unwrap_or_default())
            }
            place => place,
        }
    }

    /// That of a hub on this file: another one on each machine, since the same path may be another
    /// file there, and homes are shared.
    pub fn of(base: &Path, file: Option<&Path>) -> io::Result<Self> {
        if let Some(file) = file {
            return Ok(Self::of_real(base, file, file.canonicalize()?));
        }
        let process = std::process::id().to_string();
        let name = format!("{MEMORY}{process}-{:08x}", hash(&process));
        Ok(Self { dir: base.join(&name), name, file: None })
    }

    /// The same of a file whose real name is known.
    pub fn of_real(base: &Path, file: &Path, real: PathBuf) -> Self {
        let stem: String = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .take(32)
            .collect();
        let name = format!("{stem}-{:08x}", hash(&real.to_string_lossy()));
        Self { dir: base.join(&name), name, file: Some(real) }
    }

    /// One that is there already.
    pub fn at(dir: PathBuf) -> Self {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { dir, name, file: None }
    }

    /// All that are there.
    pub fn all(base: &Path) -> Result<Vec<Self>, HomeError> {
        let all = access::homes(base)?;
        Ok(all.into_iter().map(Self::at).filter(Self::exists).collect())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has a hub made its keys here?
    pub fn exists(&self) -> bool {
        self.keys_path().exists()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whom the hub lets in.
    pub fn keys_path(&self) -> PathBuf {
        self.path(KEYS)
    }

    pub fn access_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.{EXTENSION}"))
    }

    /// The hub's own keys; at its first start it gets some, and so does its user.
    pub fn open(&self) -> Result<ServerKeys, HomeError> {
        if let Some(base) = self.dir.parent() {
            access::make_dir(base)?;
            remove_remains(base);
        }
        access::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let path = self.path(SERVER);
        if path.exists() {
            return self.server_keys();
        }
        // A hub that ran here had keys of its own, and clients that know it by them.
        if self.path(PLACE).exists() {
            return Err(HomeError::Wrong { path, why: "it is missing".into() });
        }
        let (public_key, secret_key) = new_pair()?;
        let server = ServerKeys { public_key, secret_key };
        let mut grants = Grants::default();
        for (name, roles) in [
            ("owner", Roles::all()),
            ("submit", Role::Submit.into()),
            ("worker", Role::Work.into()),
        ] {
            self.grant(&mut grants, &server, name, roles, Some(&self.access_path(name)))?;
        }
        write_json(&self.keys_path(), &grants)?;
        // Last: with it the directory is complete.
        write_json(&path, &server)?;
        Ok(server)
    }

    fn server_keys(&self) -> Result<ServerKeys, HomeError> {
        let keys: ServerKeys = read_json(&self.path(SERVER))?;
        for key in [keys.public_key.as_str(), keys.secret_key.expose()] {
            if !access::is_key(key) {
                let why = "what is in it is no key".into();
                return Err(HomeError::Wrong { path: self.path(SERVER), why });
            }
        }
        Ok(keys)
    }

    /// All that were made, also those that were taken back.
    pub fn grants(&self) -> Result<Vec<Grant>, HomeError> {
        Ok(read_json::<Grants>(&self.keys_path())?.keys)
    }

    /// Makes a key, and its access file if there is to be one, and tells what is in it.
    pub fn add(
        &self,
        name: &str,
        roles: Roles,
        to: Option<&Path>,
    ) -> Result<Zeroizing<String>, HomeError> {
        let _lock = self.lock()?;
        let mut grants: Grants = read_json(&self.keys_path())?;
        if grants.keys.iter().any(|grant| grant.name == name && grant.revoked.is_none()) {
            return Err(HomeError::Exists { name: name.into() });
        }
        if let Some(to) = to.filter(|to| self.is_own(to)) {
            return Err(HomeError::Own { path: to.to_owned() });
        }
        // The key that it has would be lost, and stay valid.
        let mut others = grants.keys.iter().filter(|grant| grant.revoked.is_none());
        let is_of =
            |grant: &&Grant| to.is_some_and(|to| is_same(to, &self.access_path(&grant.name)));
        if let (Some(to), Some(other)) = (to, others.find(is_of)) {
            return Err(HomeError::Taken { path: to.to_owned(), name: other.name.clone() });
        }
        let access = self.grant(&mut grants, &self.server_keys()?, name, roles, to)?;
        write_json(&self.keys_path(), &grants)?;
        Ok(access.to_text())
    }

    /// Beside the keys of a hub, and no access file.
    fn is_own(&self, to: &Path) -> bool {
        let is_access = to.extension().is_some_and(|extension| extension == EXTENSION);
        let dir = to.parent().map(|dir| if dir == Path::new("") { Path::new(".") } else { dir });
        let real = |dir: &Path| dir.canonicalize().ok();
        let base = self.dir.parent().and_then(real);
        !is_access && base.zip(dir.and_then(real)).is_some_and(|(base, dir)| dir.starts_with(base))
    }

    fn grant(
        &self,
        grants: &mut Grants,
        server: &ServerKeys,
        name: &str,
        roles: Roles,
        to: Option<&Path>,
    ) -> Result<Access, HomeError> {
        let (public_key, secret_key) = new_pair()?;
        let grant = Grant {
            name: name.into(),
            roles,
            public_key: public_key.clone(),
            made: today(),
            revoked: None,
        };
        let Place { file, host, boot_id, ipc, endpoints } = self.place()?;
        let access = Access {
            format: access::FORMAT,
            hub: self.name.clone(),
            file,
            host,
            boot_id,
            ipc,
            endpoints,
            server_key: server.public_key.clone(),
            name: name.into(),
            roles,
            public_key,
            secret_key,
        };
        if let Some(to) = to {
            access.write(to)?;
        }
        grants.keys.push(grant);
        Ok(access)
    }

    /// Takes a key back. A hub that runs has to be told.
    pub fn revoke(&self, name: &str) -> Result<(), HomeError> {
        let _lock = self.lock()?;
        let mut grants: Grants = read_json(&self.keys_path())?;
        let (valid, others): (Vec<_>, Vec<_>) = grants
            .keys
            .iter_mut()
            .filter(|grant| grant.revoked.is_none())
            .partition(|grant| grant.name == name);
        if valid.is_empty() {
            let names: Vec<_> = others.iter().map(|grant| grant.name.as_str()).collect();
            return Err(HomeError::Unknown { name: name.into(), names: names.join(", ") });
        }
        // One name has one key, unless somebody put the file together from several.
        valid.into_iter().for_each(|grant| grant.revoked = Some(today()));
        write_json(&self.keys_path(), &grants)?;
        // It opens nothing any more.
        let _ = fs::remove_file(self.access_path(name));
        Ok(())
    }

    /// Says where the hub is now, to keys that are made from now on and in all access files that are
    /// still here.
    pub fn announce(
        &self,
        ipc: &str,
        endpoints: Vec<String>,
        since: String,
    ) -> Result<(), HomeError> {
        let _lock = self.lock()?;
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let place = Place::here(file.unwrap_or_default(), ipc.into(), endpoints);
        write_json(&self.path(PLACE), &place)?;
        for grant in self.grants()? {
            let path = self.access_path(&grant.name);
            if grant.revoked.is_some() || !path.exists() {
                continue;
            }
            let told = Access::read_own(&path).and_then(|mut access| {
                place.tell(&mut access);
                Ok(access.write(&path)?)
            });
            match told {
                // Its user's tools find the hub by this one.
                Err(error) if path == self.path(OWNER) => return Err(error.into()),
                Err(error) => tracing::warn!("an access file is not brought up to date: {error}"),
                Ok(()) => {}
            }
        }
        let live = Live { process: std::process::id(), since, ipc: place.ipc };
        write_json(&self.path(LIVE), &live)
    }

    /// What the owner's file says; None: the owner's key was taken back.
    pub fn owner(&self) -> Result<Option<Access>, AccessError> {
        let path = self.path(OWNER);
        if path.exists() { Access::read_own(&path).map(Some) } else { Ok(None) }
    }

    pub fn live(&self) -> Result<Option<Live>, PrivateError> {
        access::live(&self.dir)
    }

    /// The hub stops as asked. Without a file there is nothing that its keys could be for.
    pub fn withdraw(&self) {
        // What stays behind is found to be dead by whoever looks.
        let _ = match self.file {
            Some(_) => fs::remove_file(self.path(LIVE)),
            None => fs::remove_dir_all(&self.dir),
        };
    }

    fn lock(&self) -> Result<File, HomeError> {
        let path = self.path(LOCK);
        let file = private::keep(&path, Some(Mode::PRIVATE))?.file;
        file.lock().map_err(|source| HomeError::Io { path, source })?;
        Ok(file)
    }
}

/// Those of hubs in memory that were killed.
fn remove_remains(base: &Path) {
    for hub in access::hubs(base).into_iter().flatten() {
        // Where somebody else has taken the directory of sockets, nothing is known.
        let is_dead = hub.access.ipc_answers().is_ok_and(|answers| !answers);
        let is_here = hub.access.host == dhub_proto::host_name() && is_dead;
        if is_here
            && hub.access.hub.starts_with(MEMORY)
            && let Some(dir) = hub.path.parent()
        {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Two names of one file that is there.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(a).is_some_and(|a| Some(a) == real(b))
}

fn new_pair() -> Result<(String, SecretKey), HomeError> {
    let mut pair = zmq::CurveKeyPair::new().map_err(HomeError::Key)?;
    let text = |key: &[u8]| zmq::z85_encode(key).map_err(|_| HomeError::Key(zmq::Error::EINVAL));
    let keys = (text(&pair.public_key)?, SecretKey::new(text(&pair.secret_key)?));
    pair.secret_key.zeroize();
    Ok(keys)
}

fn today() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}
