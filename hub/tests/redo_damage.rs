//! A redo log that was damaged after it was written: whatever was noted as safe and is gone is told,
//! what is in doubt is said, and a log that nobody touched raises no alarm.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use dhub::engine::message::Turn;
use dhub::store::log::{Medium, Records, Redo, Room};
use proptest::prelude::*;

const PAGE: usize = 4096;
const REGION_BYTES: u64 = 16 * PAGE as u64;

/// A file in memory that is still there when its hub is not.
#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl Medium for Bytes {
    fn read(&self) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().clone())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut file, end) = (self.0.borrow_mut(), at as usize + bytes.len());
        let size = file.len().max(end);
        file.resize(size, 0);
        file[at as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        self.0.borrow_mut().clear();
        Ok(())
    }

    fn remove(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// A hub's log, and what its store would know.
struct Log {
    file: Bytes,
    redo: Redo,
    turn: Turn,
    folded: Turn,
    noted: Turn,
}

impl Log {
    fn new() -> Self {
        let file = Bytes::default();
        let mut redo = Redo::new(Box::new(file.clone()), 7, REGION_BYTES, 0);
        redo.begin().expect("a log");
        Self { file, redo, turn: 0, folded: 0, noted: 0 }
    }

    fn commit(&mut self, bytes: usize) {
        let turn = self.turn + 1;
        loop {
            let body = |mut record: Vec<u8>| {
                record.extend((0..bytes).map(|i| (i as u64 ^ turn) as u8));
                Ok(record)
            };
            match self.redo.append(turn, self.folded, body).expect("a commit") {
                Room::Taken => break,
                Room::Full => self.folded = self.turn,
                Room::TooLarge => panic!("{bytes} bytes"),
            }
        }
        self.turn = turn;
    }

    fn note(&mut self) {
        self.redo.note(self.turn, self.folded).expect("a note");
        self.noted = self.turn;
    }

    /// Killed and started again: the tables have everything.
    fn restart(&mut self) {
        self.folded = self.turn;
        self.redo = Redo::new(Box::new(self.file.clone()), 7, REGION_BYTES, self.turn);
    }

    fn bytes(&self) -> Vec<u8> {
        self.file.0.borrow().clone()
    }

    /// What a start makes of these bytes, where the last turn that the tables have is this one.
    #[track_caller]
    fn never_silent(&self, bytes: Vec<u8>, what: &str) {
        let records = Records::of(bytes, REGION_BYTES);
        // Then the start says that this is not the file's log.
        if records.owner() != Some(7) {
            assert_eq!(records.owner(), None, "{what}");
            return;
        }
        let gap = records.gap(self.folded);
        let doubt = records.doubt(self.folded);
        let there: BTreeSet<Turn> = records.after(self.folded).into_keys().collect();
        let lost: Vec<_> = (self.folded + 1..=self.turn).filter(|t| !there.contains(t)).collect();
        assert!(there.iter().all(|turn| *turn <= self.turn), "{what}: {there:?}");
        // By a note, or by a record that is left.
        let noted = there.last().map_or(0, |turn| turn - 1).max(self.noted);
        if lost.iter().any(|turn| *turn <= noted) {
            assert!(gap.is_some(), "{what}: lost {lost:?}, noted {noted}");
        }
        if !lost.is_empty() {
            assert!(gap.is_some() || doubt.is_some(), "{what}: lost {lost:?}");
        } else {
            assert_eq!(gap, None, "{what}");
        }
    }
}

/// Eight turns, one of which has four pages.
fn log() -> Log {
    let mut log = Log::new();
    for bytes in [100, 3000, 15_000, 1, 5000, 40, 900, 300] {
        log.commit(bytes);
    }
    log
}

#[test]
fn no_bit_that_flips_loses_a_turn_in_silence() {
    for is_noted in [false, true] {
        let mut log = log();
        if is_noted {
            log.note();
        }
        let bytes = log.bytes();
        assert_eq!(Records::of(bytes.clone(), REGION_BYTES).doubt(0), None);
        for bit in 0..bytes.len() * 8 {
            // Each bit of what is written in a page's beginning; of the rest some.
            if bit / 8 % PAGE > 96 && bit % 89 != 0 {
                continue;
            }
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            log.never_silent(flipped, &format!("byte {} bit {}", bit / 8, bit % 8));
        }
    }
}

#[test]
fn no_cut_loses_a_turn_in_silence() {
    for is_noted in [false, true] {
        let mut log = log();
        if is_noted {
            log.note();
        }
        let bytes = log.bytes();
        for end in (0..bytes.len()).step_by(PAGE / 2) {
            log.never_silent(bytes[..end].to_vec(), &format!("{end} bytes are left"));
        }
    }
}

/// A record of which only some pages arrived, as when the power goes: the one before it is whole.
#[test]
fn a_write_that_was_torn_is_in_doubt_and_harms_nothing_before_it() {
    let mut log = log();
    let before = log.bytes();
    log.note();
    let noted = log.bytes();
    log.commit(15_000);
    let after = log.bytes();
    let pages: Vec<_> = (0..after.len() / PAGE)
        .filter(|page| noted[page * PAGE..][..PAGE] != after[page * PAGE..][..PAGE])
        .collect();
    assert_eq!(pages.len(), 4);
    for kept in 0..1 << pages.len() {
        let mut torn = noted.clone();
        for (_, page) in pages.iter().enumerate().filter(|(i, _)| kept >> i & 1 == 1) {
            torn[page * PAGE..][..PAGE].copy_from_slice(&after[page * PAGE..][..PAGE]);
        }
        let records = Records::of(torn, REGION_BYTES);
        assert_eq!(records.gap(0), None, "{kept:b}");
        let is_there = kept == 0 || kept == (1 << pages.len()) - 1;
        assert_eq!(records.doubt(0).is_some(), !is_there, "{kept:b}");
    }
    // A note that was torn leaves the one before it.
    let mut torn = noted.clone();
    let slot = (1..=2).find(|slot| before[slot * PAGE..][..PAGE] != noted[slot * PAGE..][..PAGE]);
    torn[slot.expect("a note") * PAGE + 512..][..512].fill(0xA5);
    torn[slot.expect("a note") * PAGE + 16] ^= 1;
    let records = Records::of(torn, REGION_BYTES);
    assert_eq!((records.gap(0), records.doubt(0), records.safe), (None, None, 7));
}

#[derive(Clone, Debug)]
enum Step {
    Commit(usize),
    Fold,
    Note,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..400usize).prop_map(Step::Commit),
        2 => (0..30_000usize).prop_map(Step::Commit),
        2 => Just(Step::Fold),
        2 => Just(Step::Note),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was written over by what: regions that are taken again, long records of which a part
    /// is left, starts on the same log.
    #[test]
    fn damage_is_never_silent_and_nothing_else_is_an_alarm(
        steps in prop::collection::vec(step(), 1..60),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 10),
    ) {
        let mut log = Log::new();
        for step in steps {
            match step {
                Step::Commit(bytes) => log.commit(bytes),
                Step::Fold => log.folded = log.turn,
                Step::Note => log.note(),
                Step::Restart => log.restart(),
            }
            let records = Records::of(log.bytes(), REGION_BYTES);
            prop_assert_eq!(records.gap(log.folded), None);
            prop_assert_eq!(records.doubt(log.folded), None);
            prop_assert_eq!(records.after(log.folded).len() as u64, log.turn - log.folded);
        }
        let bytes = log.bytes();
        for (at, bit) in flips {
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1 << bit;
            log.never_silent(flipped, "a flip");
        }
        // The last one, where it hurts most.
        let page = bytes.chunks(PAGE).rposition(|page| page[8..16] == log.turn.to_le_bytes());
        if let Some(page) = page {
            for byte in 0..80 {
                let mut flipped = bytes.clone();
                flipped[page * PAGE + byte] ^= 1 << (byte % 8);
                log.never_silent(flipped, "a flip in the last");
            }
        }
        for at in cuts {
            log.never_silent(bytes[..at.index(bytes.len()) / PAGE * PAGE].to_vec(), "a cut");
        }
    }
}
