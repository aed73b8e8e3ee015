//! Queues by key: the owner's and the others' are served alternately, and of the others each key in
//! its turn, however many requests it has.

use std::collections::VecDeque;

use super::message::User;

pub struct Turns<T> {
    owner: VecDeque<T>,
    /// None of them is empty.
    guests: VecDeque<(User, VecDeque<T>)>,
    /// Who is served next, if both have something.
    guests_first: bool,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { owner: VecDeque::new(), guests: VecDeque::new(), guests_first: false }
    }
}

impl<T> Turns<T> {
    pub fn len(&self) -> usize {
        self.owner.len() + self.guests.iter().map(|(_, queue)| queue.len()).sum::<usize>()
    }

    /// Nothing of the owner's is there.
    pub fn is_only_guests(&self) -> bool {
        self.owner.is_empty()
    }

    pub fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.owner.is_empty() && self.guests.is_empty()
    }

    /// None: the owner's.
    pub fn push(&mut self, guest: Option<User>, item: T) {
        self.insert(guest, item, usize::MAX);
    }

    /// What was taken and is not done: after so many others of the same key.
    pub fn insert(&mut self, guest: Option<User>, item: T, after: usize) {
        let queue = match guest {
            None => &mut self.owner,
            Some(user) => {
                let at = self.guests.iter().position(|(other, _)| *other == user);
                let at = at.unwrap_or_else(|| {
                    self.guests.push_back((user, VecDeque::new()));
                    self.guests.len() - 1
                });
                &mut self.guests[at].1
            }
        };
        queue.insert(after.min(queue.len()), item);
    }

    /// The next one, and whose it is; the owner's alone, if the others are to rest.
    pub fn pop(&mut self, rest: bool) -> Option<(Option<User>, T)> {
        if rest {
            return self.pop_owner().map(|item| (None, item));
        }
        let guests = !self.guests.is_empty() && (self.guests_first || self.owner.is_empty());
        self.guests_first = !guests;
        match guests {
            false => self.pop_owner().map(|item| (None, item)),
            true => self.pop_guest().map(|(user, item)| (Some(user), item)),
        }
    }

    pub fn pop_owner(&mut self) -> Option<T> {
        self.owner.pop_front()
    }

    pub fn pop_guest(&mut self) -> Option<(User, T)> {
        let (user, mut queue) = self.guests.pop_front()?;
        let item = queue.pop_front()?;
        if !queue.is_empty() {
            self.guests.push_back((user, queue));
        }
        Some((user, item))
    }

    /// All of this key.
    pub fn of(&mut self, guest: Option<User>) -> impl Iterator<Item = &mut T> {
        let (owner, guests) = match guest {
            None => (Some(&mut self.owner), None),
            Some(user) => (None, self.guests.iter_mut().find(|(other, _)| *other == user)),
        };
        let guests = guests.map(|(_, queue)| queue);
        owner.into_iter().chain(guests).flatten()
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.owner.retain_mut(&mut keep);
        self.guests.retain_mut(|(_, queue)| {
            queue.retain_mut(&mut keep);
            !queue.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| turns.pop(false)).map(|(_, item)| item).collect()
    }

    #[test]
    fn every_key_has_its_turn_and_the_owner_every_second_one() {
        let mut turns = Turns::default();
        let _ = ["a1", "a2", "a3"].map(|item| turns.push(Some(1), item));
        turns.push(Some(2), "b1");
        let _ = ["o1", "o2", "o3"].map(|item| turns.push(None, item));
        assert_eq!(turns.len(), 7);
        assert_eq!(all(&mut turns), ["o1", "a1", "o2", "b1", "o3", "a2", "a3"]);
        assert!(turns.is_empty());
    }

    #[test]
    fn what_is_not_done_comes_again_after_some_others_of_its_key() {
        let mut turns = Turns::default();
        let _ = ["a1", "a2", "a3"].map(|item| turns.push(Some(1), item));
        let (whose, first) = turns.pop(false).unwrap();
        turns.insert(whose, first, 1);
        assert_eq!(all(&mut turns), ["a2", "a1", "a3"]);
    }

    #[test]
    fn while_the_others_rest_the_owner_is_served() {
        let mut turns = Turns::default();
        turns.push(Some(1), "a1");
        turns.push(None, "o1");
        assert_eq!(turns.pop(true), Some((None, "o1")));
        assert_eq!(turns.pop(true), None);
        assert!(turns.is_only_guests() && !turns.is_empty());
    }

    #[test]
    fn keys_of_which_nothing_is_kept_are_forgotten() {
        let mut turns = Turns::default();
        turns.push(Some(1), "a1");
        turns.push(None, "o1");
        turns.retain(|item| *item == "o1");
        assert_eq!((turns.len(), turns.guests.len()), (1, 0));
        assert_eq!(turns.of(None).count(), 1);
        assert_eq!(turns.of(Some(1)).count(), 0);
    }
}
