//! What the workers of one key may take of the hub's memory. The owner's may take what they need.

use hashbrown::HashMap;

use crate::engine::keyname;
use crate::engine::message::{Millis, Name};

/// Workers of one key that are known: twice those of a large cluster. With so many, those that hold nothing
/// make room.
const WORKERS_OF_KEY_MAX: usize = 20_000;
/// How often it is looked who that is.
const LOOK_MS: Millis = 100;
/// Of these, before some are forgotten: that never held anything, and wait for nothing.
const IDLE_OF_KEY_MAX: usize = 1_000;
/// Clients of one key whose last steals are known, for two minutes.
const CLIENTS_OF_KEY_MAX: usize = 100_000;
/// Names of attempts that workers of one key have lost and are still to be told.
const LOST_OF_KEY_BYTES_MAX: usize = 16 << 20;

/// There are too many.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the key '{0}' has {WORKERS_OF_KEY_MAX} workers, which is the limit; ask again later")]
    Workers(Name),
    #[error(
        "{CLIENTS_OF_KEY_MAX} clients of the key '{0}' have stolen lately, which is the limit; ask again later"
    )]
    Clients(Name),
}

#[derive(Debug, Default)]
struct Taken {
    workers: usize,
    /// Of these: that never held anything.
    idle: usize,
    /// When there are so many idle ones it is time to look which can be forgotten.
    crowded: usize,
    /// When it may be looked again who makes room.
    look: Millis,
    clients: usize,
    lost_bytes: usize,
}

/// By the name of the key, which all that it is copied to share.
#[derive(Debug, Default)]
pub struct WorkerQuotas {
    keys: HashMap<Name, Taken>,
}

impl WorkerQuotas {
    pub fn has_workers(&self, key: &Name) -> bool {
        self.keys.get(key).is_some_and(|taken| taken.workers > 0)
    }

    pub fn is_crowded(&self, key: &Name) -> bool {
        let taken = self.keys.get(key);
        taken.is_some_and(|it| it.idle >= it.crowded.max(IDLE_OF_KEY_MAX)) && !key.is_empty()
    }

    /// Not again before there are twice as many as were left.
    pub fn looked(&mut self, key: &Name) {
        if let Some(taken) = self.keys.get_mut(key) {
            taken.crowded = 2 * taken.idle;
        }
    }

    pub fn is_full(&self, key: &Name) -> bool {
        !key.is_empty() && self.keys.get(key).is_some_and(|it| it.workers >= WORKERS_OF_KEY_MAX)
    }

    /// Whether some of a key that is full may be forgotten now.
    pub fn may_look(&mut self, now: Millis, key: &Name) -> bool {
        if !self.is_full(key) {
            return false;
        }
        let look = &mut self.entry(key).1.look;
        let may_look = now >= *look;
        if may_look {
            *look = now + LOOK_MS;
        }
        may_look
    }

    pub fn check_workers(&self, key: &Name) -> Result<(), Full> {
        match self.is_full(key) {
            true => Err(Full::Workers(keyname::shown(key).into())),
            false => Ok(()),
        }
    }

    pub fn check_clients(&self, key: &Name) -> Result<(), Full> {
        let taken = self.keys.get(key).map_or(0, |taken| taken.clients);
        match !key.is_empty() && taken >= CLIENTS_OF_KEY_MAX {
            true => Err(Full::Clients(keyname::shown(key).into())),
            false => Ok(()),
        }
    }

    pub fn may_lose(&self, key: &Name, bytes: usize) -> bool {
        let taken = self.keys.get(key).map_or(0, |taken| taken.lost_bytes);
        key.is_empty() || taken + bytes <= LOST_OF_KEY_BYTES_MAX
    }

    /// The name to keep, which shares its memory.
    pub fn add_worker(&mut self, key: &Name, stored: bool) -> Name {
        let (key, taken) = self.entry(key);
        taken.workers += 1;
        taken.idle += usize::from(!stored);
        key
    }

    pub fn add_client(&mut self, key: &Name) -> Name {
        let (key, taken) = self.entry(key);
        taken.clients += 1;
        key
    }

    pub fn add_lost(&mut self, key: &Name, bytes: usize) {
        if bytes > 0 {
            self.entry(key).1.lost_bytes += bytes;
        }
    }

    pub fn not_idle(&mut self, key: &Name) {
        self.less(key, |taken| taken.idle -= 1);
    }

    pub fn remove_worker(&mut self, key: &Name, stored: bool) {
        self.less(key, |taken| {
            taken.workers -= 1;
            taken.idle -= usize::from(!stored);
        });
    }

    pub fn remove_client(&mut self, key: &Name) {
        self.less(key, |taken| taken.clients -= 1);
    }

    pub fn remove_lost(&mut self, key: &Name, bytes: usize) {
        self.less(key, |taken| taken.lost_bytes -= bytes);
    }

    /// Keys of which there is nothing any more.
    pub fn sweep(&mut self) {
        self.keys.retain(|_, taken| taken.workers + taken.clients > 0);
    }

    fn entry(&mut self, key: &Name) -> (Name, &mut Taken) {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.clone(), Taken::default());
        }
        let name = self.keys.get_key_value(key).map_or(key, |(name, _)| name).clone();
        (name, self.keys.entry(key.clone()).or_default())
    }

    fn less(&mut self, key: &Name, take: impl FnOnce(&mut Taken)) {
        if let Some(taken) = self.keys.get_mut(key) {
            take(taken);
        }
    }
}
