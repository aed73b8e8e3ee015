//! The gate: who is let in over CURVE, and what each message may ask.
//!
//! libzmq asks at the handshake (ZAP, RFC 27) and never again: a connection stays, whatever becomes
//! of its key. So each message is looked at too, by the user id that the handshake gave it; one
//! without is nobody's. libzmq lets everyone in when no handler answers; nobody gets further than
//! here.

use std::time::{Duration, Instant};

use dhub_proto::role::{Role, Roles};
use hashbrown::HashMap;

use crate::engine::message::{Guest, UNKNOWN, User};
use crate::net::error::HomeError;
use crate::net::grant::Grant;
use crate::net::home::Home;
use crate::net::keyfile::KeyFile;
use crate::net::mark::marked;
use crate::net::promised::Promised;
use crate::net::security::{DOMAIN, IPC_DOMAIN, Security};
use crate::net::socket::{Inlet, Socket};

/// Where libzmq asks.
const ZAP: &str = "inproc://zeromq.zap.01";
/// ZAP's word for 'come back later'. Its connection is closed, and nothing is said.
const LATER: u32 = 300;
/// Handshakes answered in one turn, and told of: the requests of those who are in go first.
const TURN_MAX: usize = 64;
/// Connections over TCP that keys with all roles may have when there is none left for others.
pub const OWNERS_MORE: i32 = 2;
/// A line in the log at most this often.
const TELL: Duration = Duration::from_secs(10);

/// What was found when the keys were read again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// How many are let in.
    pub valid: usize,
    /// Those that were let in before and are not any more.
    pub revoked: Vec<User>,
}

/// Why a message is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("this connection has no key that the hub knows")]
    Nobody,
    #[error("the key '{name}' was taken back")]
    Revoked { name: String },
    #[error("the key '{name}' has the role {roles}; this needs {needed}")]
    Role { name: String, roles: Roles, needed: Role },
}

pub struct Gate {
    keys: Option<KeyFile>,
    /// The keys could not be read, and people were told.
    is_stale: bool,
    zap: Inlet,
    /// By user id; never removed, for a connection may still have it.
    grants: Vec<Grant>,
    /// What each of them is called, with its mark.
    marked: Vec<String>,
    users: HashMap<String, User>,
    pub handshakes_failed: u64,
    pub requests_denied: u64,
    /// Connections with keys that are known, for which others would have to make room: how often that was
    /// so, and how many of these were sent away.
    promised: Promised,
    pub crowded: u64,
    pub crowded_out: u64,
    told: Option<Instant>,
    untold: u64,
    last: String,
    /// Of the connections that were closed at once, those that were told of, and when.
    refused: u64,
    refused_told: Option<Instant>,
}

impl Gate {
    /// To be there before the first socket is bound.
    pub fn new(context: &zmq::Context) -> Result<Self, zmq::Error> {
        let zap = context.socket(zmq::REP)?;
        zap.set_linger(0)?;
        zap.bind(ZAP)?;
        Ok(Self {
            keys: None,
            is_stale: false,
            zap: Inlet::new(zap)?,
            grants: Vec::new(),
            marked: Vec::new(),
            users: HashMap::new(),
            handshakes_failed: 0,
            requests_denied: 0,
            promised: Promised::default(),
            crowded: 0,
            crowded_out: 0,
            told: None,
            untold: 0,
            last: String::new(),
            refused: 0,
            refused_told: None,
        })
    }

    pub fn zap(&self) -> &Inlet {
        &self.zap
    }

    /// Whose keys count from now on.
    pub fn set_home(&mut self, home: Home) -> Result<(), HomeError> {
        self.keys = Some(KeyFile::of(home));
        self.reload().map(drop)
    }

    /// Reads the keys again.
    pub fn reload(&mut self) -> Result<Reloaded, HomeError> {
        let Some(keys) = &mut self.keys else { return Ok(Reloaded::default()) };
        let read = keys.read()?;
        self.is_stale = false;
        let before = std::mem::take(&mut self.grants);
        self.grants = before.clone();
        for grant in &mut self.grants {
            // What is not in the file any more is not let in either.
            grant.revoked.get_or_insert_default();
        }
        for grant in read {
            match self.users.get(&grant.public_key) {
                Some(&user) => self.grants[user as usize] = grant,
                None => {
                    self.marked.push(marked(&grant.name, &grant.public_key));
                    self.users.insert(grant.public_key.clone(), self.grants.len() as User);
                    self.grants.push(grant);
                }
            }
        }
        let taken_back = (0..).zip(before.iter().zip(&self.grants));
        let taken_back = taken_back.filter(|(_, (old, new))| old.is_valid() && !new.is_valid());
        Ok(Reloaded {
            valid: self.grants.iter().filter(|grant| grant.is_valid()).count(),
            revoked: taken_back.map(|(user, _)| user).collect(),
        })
    }

    /// Reads the keys again if they are others by now; None: they are not. If they cannot be read, those
    /// that are valid stay so: a file that is gone or damaged takes no key back, and adds none.
    pub fn look(&mut self) -> Option<Reloaded> {
        if !self.keys.as_ref().is_some_and(KeyFile::has_changed) {
            return None;
        }
        match self.reload() {
            Ok(reloaded) => Some(reloaded),
            Err(error) => {
                if !std::mem::replace(&mut self.is_stale, true) {
                    tracing::warn!("the keys cannot be read; those of before stay valid: {error}");
                }
                None
            }
        }
    }

    /// In whose name a message asks: that of its key with its mark, also of one that was taken back. Empty
    /// for keys with all roles, which are the owner's, and where everybody is let in.
    pub fn key(&self, security: Security, user: Option<User>) -> &str {
        if security != Security::Curve {
            return "";
        }
        let user = user.map(|user| user as usize);
        match user.and_then(|user| self.grants.get(user).zip(self.marked.get(user))) {
            None => UNKNOWN,
            Some((grant, _)) if grant.roles == Roles::all() => "",
            Some((_, key)) => key,
        }
    }

    /// Its key, with its mark, whoever's it is.
    pub fn marked(&self, user: User) -> &str {
        self.marked.get(user as usize).map_or(UNKNOWN, String::as_str)
    }

    /// Is that key, with its mark, let in? Whatever it is, where none is asked for.
    pub fn lets_in(&self, key: &str) -> bool {
        self.keys.is_none() || self.valid().any(|(_, valid)| valid == key)
    }

    /// The key, with its mark, that is let in and called so.
    pub fn called(&self, name: &str) -> Option<&str> {
        self.valid().find(|(grant, _)| grant.name == name).map(|(_, key)| key)
    }

    fn valid(&self) -> impl Iterator<Item = (&Grant, &str)> {
        let keys = self.marked.iter().map(String::as_str);
        self.grants.iter().zip(keys).filter(|(grant, _)| grant.is_valid())
    }

    /// May a message that came like this ask for something that needs that role, if any?
    pub fn check(
        &self,
        security: Security,
        user: Option<User>,
        needed: Option<Role>,
    ) -> Result<(), Denied> {
        match (self.grant(security, user)?, needed) {
            (Some(grant), Some(needed)) if !grant.roles.has(needed) => {
                Err(Denied::Role { name: grant.name.clone(), roles: grant.roles, needed })
            }
            _ => Ok(()),
        }
    }

    /// Whose it is, if it is anybody's; None: all may be asked.
    pub fn grant(&self, security: Security, user: Option<User>) -> Result<Option<&Grant>, Denied> {
        if security != Security::Curve {
            return Ok(None);
        }
        match user.and_then(|user| self.grants.get(user as usize)) {
            None => Err(Denied::Nobody),
            Some(Grant { name, revoked: Some(_), .. }) => {
                Err(Denied::Revoked { name: name.clone() })
            }
            grant => Ok(grant),
        }
    }

    /// As whose its requests are counted, if they are.
    pub fn guest(&self, security: Security, user: User) -> Result<Option<Guest>, Denied> {
        let guest = |grant: &Grant| {
            let may_work = grant.roles.has(Role::Work);
            Guest { user, name: grant.name.as_str().into(), may_work }
        };
        Ok(self.grant(security, Some(user))?.map(guest))
    }

    /// Lets in who is known, and takes note of who was not.
    pub fn serve(&mut self, sockets: &[Socket]) -> Result<(), zmq::Error> {
        for _ in 0..TURN_MAX {
            let Some(parts) = self.zap.parts()? else { break };
            let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
            let reply = self.answer(&parts);
            let reply: Vec<&[u8]> = reply.iter().map(Vec::as_slice).collect();
            self.zap.send_parts(&reply)?;
        }
        for watch in sockets.iter().flat_map(Socket::watches) {
            for _ in 0..TURN_MAX {
                let Some(parts) = watch.parts()? else { break };
                self.note_failure(&parts);
            }
        }
        self.tell();
        self.tell_refused();
        Ok(())
    }

    /// Version, request id, domain, address, identity, mechanism, key.
    fn answer(&mut self, parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let domains = [DOMAIN, IPC_DOMAIN].map(str::as_bytes);
        let user = match parts {
            [b"1.0", _, domain, _, _, b"CURVE", key] if domains.contains(domain) => {
                zmq::z85_encode(key).ok().and_then(|key| self.users.get(&key))
            }
            _ => None,
        };
        let left = match parts.get(2) == Some(&IPC_DOMAIN.as_bytes()) {
            true => i32::MAX,
            false => {
                let admitted = zmq_sys::zmq_connections_admitted();
                let promised = self.promised.count(admitted, Instant::now());
                zmq_sys::zmq_connections_left().saturating_sub(promised)
            }
        };
        let valid = user.map(|user| (user, &self.grants[*user as usize]));
        let valid = valid.filter(|(_, grant)| grant.is_valid());
        let is_owner = valid.is_some_and(|(_, grant)| grant.roles == Roles::all());
        let is_out = left <= if is_owner { -OWNERS_MORE } else { 0 };
        // Told only of peers that are let in: strangers crowd nobody out.
        self.crowded += u64::from(valid.is_some() && left <= 0);
        self.crowded_out += u64::from(valid.is_some() && is_out);
        if left != i32::MAX && valid.is_some() && !is_out {
            self.promised.add(Instant::now());
        }
        let id = parts.get(1).map_or(Vec::new(), |id| id.to_vec());
        let (code, text, user) = match valid {
            Some(_) if is_out => ("300", "no room for more connections", String::new()),
            // The owner's get through whatever the others hold.
            Some((user, _)) if is_owner => ("200", "", format!("{user}{}", zmq_sys::ZMQ_EXEMPT)),
            Some((user, _)) => ("200", "", user.to_string()),
            None => ("400", "unknown key", String::new()),
        };
        vec![b"1.0".to_vec(), id, code.into(), text.into(), user.into(), Vec::new()]
    }

    /// Event, number of values, the values, local address, remote address.
    fn note_failure(&mut self, parts: &[zmq::Message]) {
        let value = parts.get(2).and_then(|part| part[..].try_into().ok()).map(u64::from_ne_bytes);
        if value == Some(LATER.into()) {
            return;
        }
        let event = parts.first().and_then(|part| part[..].try_into().ok()).map(u64::from_ne_bytes);
        let address =
            parts.last().map_or_else(String::new, |it| String::from_utf8_lossy(it).into());
        let why = match event.and_then(|event| u32::try_from(event).ok()) {
            Some(zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) => "an unknown key",
            Some(zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) => {
                "no encryption, or another hub's key"
            }
            _ => "broken off",
        };
        self.handshakes_failed += 1;
        self.untold += 1;
        self.last = format!("{why}, from {address}");
    }

    fn tell_refused(&mut self) {
        // Those for want of descriptors are told of by `descriptors.rs`.
        let crowded_out = zmq_sys::zmq_connections_crowded_out();
        let refused = zmq_sys::zmq_connections_refused().saturating_sub(crowded_out);
        if refused == self.refused || self.refused_told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        let new = refused - self.refused;
        tracing::warn!(
            "{new} connections were closed at once: too many others have not said who they are"
        );
        (self.refused, self.refused_told) = (refused, Some(Instant::now()));
    }

    fn tell(&mut self) {
        if self.untold == 0 || self.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        let (untold, last) = (std::mem::take(&mut self.untold), &self.last);
        tracing::warn!("connections not let in: {untold}; the last one: {last}");
        self.told = Some(Instant::now());
    }
}
