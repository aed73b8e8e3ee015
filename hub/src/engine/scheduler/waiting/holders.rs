//! Places for workers. Each that holds tasks needs connections, and a process has only so many: no more workers
//! hold tasks than there are places, so that each of them gets in again after a restart, and those that hold
//! nothing are sent away for a while when others wait at the door.
//!
//! A worker is an id, and a key may make up as many as it likes over one connection. So no key gets all
//! places, and all together leave some to the owner.

use hashbrown::HashMap;

use crate::engine::message::Name;

/// Workers with connections, as those without an id have none, that hold tasks.
#[derive(Debug)]
pub struct Holders {
    places: usize,
    all: usize,
    /// Of keys that are not the owner's, together and each.
    guests: usize,
    keys: HashMap<Name, usize>,
}

impl Holders {
    pub fn with(places: usize) -> Self {
        Self { places, all: 0, guests: 0, keys: HashMap::new() }
    }

    pub fn set_places(&mut self, places: usize) {
        self.places = places;
    }

    pub fn has_place(&self) -> bool {
        self.all < self.places
    }

    /// Keys other than the owner's have three quarters.
    pub fn has_place_for_guests(&self) -> bool {
        self.has_place() && self.guests < (self.places - self.places.div_ceil(4)).max(1)
    }

    /// One of them has half.
    pub fn has_place_for(&self, key: &Name) -> bool {
        match key.is_empty() {
            true => self.has_place(),
            false => {
                let has = self.keys.get(key).copied().unwrap_or(0);
                self.has_place_for_guests() && has < (self.places / 2).max(1)
            }
        }
    }

    pub(crate) fn add(&mut self, key: &Name) {
        self.all += 1;
        if !key.is_empty() {
            self.guests += 1;
            *self.keys.entry(key.clone()).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, key: &Name) {
        self.all -= 1;
        if let Some(has) = self.keys.get_mut(key) {
            self.guests -= 1;
            *has -= 1;
            if *has == 0 {
                self.keys.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(places: usize, keys: &[&str]) -> Vec<usize> {
        let mut holders = Holders::with(places);
        let fill = |key: &&str| {
            let key = Name::new(key);
            let mut has = 0;
            while has < 100 && holders.has_place_for(&key) {
                holders.add(&key);
                has += 1;
            }
            has
        };
        keys.iter().map(fill).collect()
    }

    #[test]
    fn a_key_has_half_all_guests_three_quarters_and_the_owner_the_rest() {
        assert_eq!(filled(16, &["ada", "bob", "eve", ""]), [8, 4, 0, 4]);
        assert_eq!(filled(16, &["", "ada"]), [16, 0]);
        assert_eq!(filled(2, &["ada", "bob", ""]), [1, 0, 1]);
        assert_eq!(filled(usize::MAX, &["ada", ""]), [100, 100]);
    }

    #[test]
    fn what_is_given_back_others_may_have() {
        let mut holders = Holders::with(4);
        let (ada, bob) = (Name::new("ada"), Name::new("bob"));
        [&ada, &ada, &bob].into_iter().for_each(|key| holders.add(key));
        assert!(!holders.has_place_for(&bob) && holders.has_place());
        holders.remove(&ada);
        assert!(holders.has_place_for(&bob) && holders.has_place_for(&ada));
        [&ada, &bob].into_iter().for_each(|key| holders.remove(key));
        assert!(holders.keys.is_empty() && holders.guests == 0 && holders.all == 0);
    }
}
