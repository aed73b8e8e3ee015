//! What is kept of requests that may be sent again: each copy is told all that they did together, also
//! after the hub was killed in between. Of a long one, how far it has come; else the reply.

use std::collections::BTreeMap;

use dhub_proto::limits::*;
use hashbrown::HashMap;

use crate::engine::message::*;

/// What is known of a request when a copy of it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Nothing,
    /// The token was given to another request.
    Another,
    UnderWay(Progress),
    /// With the bytes of that reply.
    Answered(Box<[u8]>),
}

#[derive(Clone, Debug)]
pub struct Kept {
    pub tag: Tag,
    pub progress: Progress,
    /// As bytes of a reply; None: it is under way, or too large.
    pub reply: Option<Box<[u8]>>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.reply.as_ref().map_or(0, |reply| reply.len())
    }
}

/// Of one key, by number: those that were noted last have the largest.
#[derive(Default)]
struct OfKey {
    kept: BTreeMap<u64, (Millis, Kept)>,
    numbers: HashMap<Token, u64>,
    bytes: usize,
}

impl OfKey {
    fn insert(&mut self, now: Millis, number: u64, kept: Kept) -> Option<u64> {
        let before = self.numbers.get(&kept.tag.token).copied();
        if let Some(before) = before {
            self.remove(before);
        }
        self.numbers.insert(kept.tag.token, number);
        self.bytes += kept.bytes();
        self.kept.insert(number, (now, kept));
        before
    }

    fn remove(&mut self, number: u64) {
        if let Some((_, kept)) = self.kept.remove(&number) {
            self.bytes -= kept.bytes();
            self.numbers.remove(&kept.tag.token);
        }
    }

    /// The one to drop, if there is more than a key may have: of those that are answered before others.
    fn excess(&self, is_owner: bool) -> Option<u64> {
        let (most, most_bytes) = match is_owner {
            true => (TOLD_REQUESTS_MAX, TOLD_BYTES_MAX),
            false => (KEY_TOLD_REQUESTS_MAX, KEY_TOLD_BYTES_MAX),
        };
        if self.kept.len() <= most && self.bytes <= most_bytes {
            return None;
        }
        let answered = self.kept.iter().find(|(_, (_, kept))| kept.reply.is_some());
        answered.or_else(|| self.kept.first_key_value()).map(|(&number, _)| number)
    }
}

#[derive(Default)]
pub struct Told {
    keys: HashMap<Name, OfKey>,
    last: u64,
    changes: Vec<Change>,
}

impl Told {
    /// With what the store has, in the order of their numbers.
    pub fn new(now: Millis, kept: Vec<(u64, Kept)>) -> Self {
        let mut told = Self::default();
        for (number, kept) in kept {
            told.last = number;
            told.keys.entry(kept.tag.key.clone()).or_default().insert(now, number, kept);
        }
        told
    }

    pub fn look_up(&self, tag: &Tag) -> Known {
        let of_key = self.keys.get(&tag.key);
        let found = of_key.and_then(|it| it.kept.get(it.numbers.get(&tag.token)?));
        let Some((_, kept)) = found else {
            return Known::Nothing;
        };
        if kept.tag.sum != tag.sum {
            return Known::Another;
        }
        match &kept.reply {
            Some(reply) => Known::Answered(reply.clone()),
            None => Known::UnderWay(kept.progress),
        }
    }

    /// A long one has come so far. To be committed together with what it did.
    pub fn note_progress(&mut self, now: Millis, tag: &Tag, progress: Progress) {
        self.note(now, Kept { tag: tag.clone(), progress, reply: None });
    }

    /// It is answered with this. One that is too large is not kept.
    pub fn note_reply(&mut self, now: Millis, tag: &Tag, reply: &[u8]) {
        if reply.len() <= TOLD_REPLY_BYTES_MAX {
            let (progress, reply) = (Progress::default(), Some(reply.into()));
            self.note(now, Kept { tag: tag.clone(), progress, reply });
        }
    }

    fn note(&mut self, now: Millis, kept: Kept) {
        self.last += 1;
        let number = self.last;
        let Kept { tag, progress, reply } = &kept;
        let (tag, progress, reply) = (tag.clone(), *progress, reply.clone());
        let of_key = self.keys.entry(tag.key.clone()).or_default();
        let is_owner = tag.key.is_empty();
        let before = of_key.insert(now, number, kept);
        self.changes.extend(before.map(|number| Change::Untold { number }));
        self.changes.push(Change::Told { number, tag, progress, reply });
        while let Some(number) = of_key.excess(is_owner) {
            of_key.remove(number);
            self.changes.push(Change::Untold { number });
        }
    }

    /// Nobody sends those again that were noted so long ago.
    pub fn forget_old(&mut self, now: Millis) {
        for of_key in self.keys.values_mut() {
            while let Some((&number, (noted, _))) = of_key.kept.first_key_value()
                && now >= noted + TOLD_MS
            {
                of_key.remove(number);
                self.changes.push(Change::Untold { number });
            }
        }
        self.keys.retain(|_, of_key| !of_key.kept.is_empty());
    }

    /// What is to be stored.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, number: u64) -> Tag {
        let mut token = Token::default();
        token[..8].copy_from_slice(&number.to_le_bytes());
        Tag { key: key.into(), token, sum: number }
    }

    fn created(added: u64) -> Box<[u8]> {
        Box::new([added as u8])
    }

    /// What a store has that makes these changes.
    fn stored(changes: Vec<Change>) -> Vec<(u64, Kept)> {
        let mut rows = BTreeMap::new();
        for change in changes {
            match change {
                Change::Told { number, tag, progress, reply } => {
                    rows.insert(number, Kept { tag, progress, reply });
                }
                Change::Untold { number } => drop(rows.remove(&number).expect("a row")),
                other => panic!("{other:?}"),
            }
        }
        rows.into_iter().collect()
    }

    #[test]
    fn a_copy_is_told_what_was_told_also_by_the_next_hub() {
        let mut told = Told::default();
        let progress = Progress { after: 7, counts: [5, 0] };
        told.note_progress(0, &tag("", 1), Progress { after: 3, counts: [2, 0] });
        told.note_progress(0, &tag("", 1), progress);
        told.note_reply(0, &tag("ada", 1), &created(9));
        let next = Told::new(0, stored(told.take_changes()));
        for told in [&told, &next] {
            assert_eq!(told.look_up(&tag("", 1)), Known::UnderWay(progress));
            let answered = Known::Answered(created(9));
            assert_eq!(told.look_up(&tag("ada", 1)), answered);
            assert_eq!(told.look_up(&tag("bob", 1)), Known::Nothing);
            let another = Tag { sum: 2, ..tag("ada", 1) };
            assert_eq!(told.look_up(&another), Known::Another);
        }
    }

    #[test]
    fn a_key_has_so_many_and_what_is_under_way_stays() {
        let mut told = Told::default();
        told.note_progress(0, &tag("ada", 0), Progress::default());
        told.note_reply(0, &tag("bob", 0), &created(1));
        for number in 1..=KEY_TOLD_REQUESTS_MAX as u64 {
            told.note_reply(0, &tag("ada", number), &created(number));
        }
        assert_eq!(told.look_up(&tag("ada", 0)), Known::UnderWay(Progress::default()));
        assert_eq!(told.look_up(&tag("ada", 1)), Known::Nothing);
        assert!(matches!(told.look_up(&tag("ada", 2)), Known::Answered(_)));
        assert!(matches!(told.look_up(&tag("bob", 0)), Known::Answered(_)));
        assert_eq!(stored(told.take_changes()).len(), KEY_TOLD_REQUESTS_MAX + 1);
    }

    #[test]
    fn large_replies_are_not_kept_and_large_ones_together_are_bounded() {
        let refused = |bytes: usize| vec![7; bytes];
        let mut told = Told::default();
        told.note_reply(0, &tag("ada", 0), &refused(TOLD_REPLY_BYTES_MAX + 1));
        assert_eq!(told.look_up(&tag("ada", 0)), Known::Nothing);
        for number in 1..=100 {
            told.note_reply(0, &tag("ada", number), &refused(TOLD_REPLY_BYTES_MAX / 2));
        }
        assert!(told.keys["ada"].bytes <= KEY_TOLD_BYTES_MAX);
        assert!(matches!(told.look_up(&tag("ada", 100)), Known::Answered(_)));
        assert_eq!(stored(told.take_changes()).len(), told.keys["ada"].kept.len());
    }

    #[test]
    fn an_hour_later_nothing_is_kept() {
        let mut told = Told::default();
        told.note_reply(5, &tag("", 1), &created(1));
        told.forget_old(TOLD_MS);
        assert_ne!(told.look_up(&tag("", 1)), Known::Nothing);
        told.forget_old(TOLD_MS + 5);
        assert_eq!(told.look_up(&tag("", 1)), Known::Nothing);
        assert!(told.keys.is_empty());
        assert!(stored(told.take_changes()).is_empty());
    }
}
