//! What the requests of one key may take at the same time, so that no key shuts out the others.
//!
//! The owner's requests are not counted; all other keys together get less than there is, so that some
//! is always left for the owner. A claim is kept by what waits, and gives back what it took when that is
//! dropped, however that comes about: the counts cannot drift.

use std::cell::Cell;
use std::rc::Rc;

use dhub_proto::limits::*;
use hashbrown::HashMap;

use super::message::{Guest, User};

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Requests that wait in the hub, and the names that they wait for.
    pub parked: usize,
    pub names: usize,
    /// Long requests under way, and the bytes of what they ask.
    pub long: usize,
    pub long_bytes: usize,
    /// Questions that are not answered yet.
    pub questions: usize,
}

/// Of all keys that are not the owner's, together: three quarters of what there is.
const ALL_MAX: Amount = Amount {
    parked: PARKED_REQUESTS_MAX / 4 * 3,
    names: AWAITED_NAMES_MAX / 4 * 3,
    long: LONG_REQUESTS_MAX / 4 * 3,
    long_bytes: GUESTS_LONG_BYTES_MAX,
    questions: GUESTS_QUESTIONS_MAX,
};

/// Of one key. One of workers is that of whole pools.
fn key_max(guest: &Guest) -> Amount {
    Amount {
        parked: match guest.may_work {
            true => WORK_KEY_PARKED_REQUESTS_MAX,
            false => KEY_PARKED_REQUESTS_MAX,
        },
        names: KEY_AWAITED_NAMES_MAX,
        long: KEY_LONG_REQUESTS_MAX,
        long_bytes: KEY_LONG_BYTES_MAX,
        questions: KEY_QUESTIONS_MAX,
    }
}

type Account = Cell<Amount>;

#[derive(Default)]
pub struct RequestQuotas {
    keys: HashMap<User, Rc<Account>>,
    all: Rc<Account>,
}

/// What something that waits has taken.
pub struct Claim {
    amount: Amount,
    accounts: [Rc<Account>; 2],
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.accounts.iter().for_each(|account| account.set(account.get().less(self.amount)));
    }
}

impl RequestQuotas {
    /// Fails, with why, if that is more than the key may have.
    pub fn claim(&mut self, guest: &Guest, amount: Amount) -> Result<Claim, String> {
        let key = self.keys.entry(guest.user).or_default();
        let whose = format!("the key '{}' has", guest.name);
        let others = "all keys but the owner's have, together,".to_owned();
        for (account, most, whose) in [(&*key, key_max(guest), whose), (&self.all, ALL_MAX, others)]
        {
            if let Some((what, most)) = account.get().more(amount).over(most) {
                let why = format!("{whose} {most} {what} at most, and has them; ask again later");
                return Err(why);
            }
        }
        let accounts = [key.clone(), self.all.clone()];
        accounts.iter().for_each(|account| account.set(account.get().more(amount)));
        Ok(Claim { amount, accounts })
    }
}

impl Amount {
    pub const QUESTION: Self = Self { questions: 1, ..Self::NONE };
    const NONE: Self = Self { parked: 0, names: 0, long: 0, long_bytes: 0, questions: 0 };

    fn map(self, other: Self, each: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            parked: each(self.parked, other.parked),
            names: each(self.names, other.names),
            long: each(self.long, other.long),
            long_bytes: each(self.long_bytes, other.long_bytes),
            questions: each(self.questions, other.questions),
        }
    }

    fn more(self, other: Self) -> Self {
        self.map(other, usize::saturating_add)
    }

    fn less(self, other: Self) -> Self {
        self.map(other, usize::saturating_sub)
    }

    /// The first that is more than the most there may be, and that.
    fn over(self, most: Self) -> Option<(&'static str, usize)> {
        let all = [
            (self.parked, most.parked, "requests parked"),
            (self.names, most.names, "names waited for"),
            (self.long, most.long, "long requests under way"),
            (self.long_bytes, most.long_bytes, "bytes of long requests under way"),
            (self.questions, most.questions, "questions unanswered"),
        ];
        all.into_iter().find(|(is, most, _)| is > most).map(|(_, most, what)| (what, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(user: User, name: &str, may_work: bool) -> Guest {
        Guest { user, name: name.into(), may_work }
    }

    const LONG: Amount = Amount { long: 1, ..Amount::NONE };

    #[test]
    fn a_key_gets_so_many_and_others_go_on() {
        let (ada, bob) = (guest(1, "ada", false), guest(2, "bob", false));
        let mut quotas = RequestQuotas::default();
        let mut held: Vec<Claim> =
            (0..KEY_LONG_REQUESTS_MAX).map_while(|_| quotas.claim(&ada, LONG).ok()).collect();
        assert_eq!(held.len(), KEY_LONG_REQUESTS_MAX);
        let why = quotas.claim(&ada, LONG).err().expect("a refusal");
        assert!(why.contains("'ada' has 16 long requests"), "{why}");
        assert!(quotas.claim(&bob, LONG).is_ok());
        held.pop();
        assert!(quotas.claim(&ada, LONG).is_ok());
    }

    #[test]
    fn a_key_of_workers_parks_more_and_all_keys_leave_some_to_the_owner() {
        let parked = Amount { parked: KEY_PARKED_REQUESTS_MAX + 1, ..Amount::NONE };
        let mut quotas = RequestQuotas::default();
        assert!(quotas.claim(&guest(1, "look", false), parked).is_err());
        assert!(quotas.claim(&guest(2, "work", true), parked).is_ok());
        let most = Amount { parked: WORK_KEY_PARKED_REQUESTS_MAX, ..Amount::NONE };
        let claims: Vec<_> =
            (3..10).map_while(|user| quotas.claim(&guest(user, "w", true), most).ok()).collect();
        assert_eq!(claims.len(), 3);
        drop(claims);
        assert_eq!(quotas.all.get(), Amount::NONE);
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let ada = guest(1, "ada", false);
        let mut quotas = RequestQuotas::default();
        let much = Amount { long: 1, long_bytes: KEY_LONG_BYTES_MAX + 1, ..Amount::NONE };
        assert!(quotas.claim(&ada, much).is_err());
        assert_eq!(quotas.all.get(), Amount::NONE);
        assert_eq!(quotas.keys[&1].get(), Amount::NONE);
    }
}
