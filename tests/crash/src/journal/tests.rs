use super::*;

/// The second of a block needs nothing but what came before it in its block.
const FIRST: Key = Key { group: Group::File, number: 0 };
const SECOND: Key = Key { group: Group::File, number: 1 };

fn journal() -> Journal {
    let mut journal = Journal::default();
    journal.create_sent(&[FIRST, SECOND]);
    journal.created(&[FIRST, SECOND]);
    journal
}

fn lease(journal: &Journal, key: Key, attempt: u32, number: u64) -> Lease {
    Lease { key, attempt, client: 7, number, asked: journal.now() + 1 }
}

fn done(journal: &mut Journal, key: Key, attempt: u32) {
    journal.outcome_sent(key, Outcome::Done);
    journal.outcome_acknowledged(key, attempt, Outcome::Done);
}

fn kinds(journal: &Journal) -> Vec<Kind> {
    journal.faults().iter().map(|fault| fault.kind).collect()
}

#[test]
fn an_ordinary_life_is_no_fault() {
    let mut journal = journal();
    journal.leased(lease(&journal, FIRST, 1, 1));
    // The answer to a repeat.
    journal.leased(lease(&journal, FIRST, 1, 1));
    journal.outcome_acknowledged(FIRST, 1, Outcome::Failed);
    journal.leased(lease(&journal, FIRST, 2, 2));
    done(&mut journal, FIRST, 2);
    done(&mut journal, FIRST, 2);
    journal.leased(lease(&journal, SECOND, 1, 3));
    for (key, record) in journal.take_recent() {
        let state = if key == FIRST { State::Done } else { State::Running };
        journal.shown(key, record, Some((state, record.attempt)));
    }
    assert_eq!(kinds(&journal), []);
    let left: Vec<Key> = journal.take_recent().into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [SECOND], "what is unfinished is looked at again");
}

#[test]
fn a_repeated_start_is_seen() {
    let mut journal = journal();
    journal.leased(lease(&journal, FIRST, 1, 1));
    done(&mut journal, FIRST, 1);
    let late = Lease { asked: 1, ..lease(&journal, FIRST, 1, 1) };
    journal.leased(late);
    assert_eq!(kinds(&journal), [], "an answer that was long on its way");
    journal.leased(Lease { attempt: 2, number: 2, ..late });
    assert_eq!(kinds(&journal), [Kind::Repeated]);
    // Where the dialect tells no attempts, the order does.
    journal.leased(lease(&journal, FIRST, 0, 3));
    assert_eq!(kinds(&journal), [Kind::Repeated; 2]);
}

#[test]
fn an_attempt_given_out_twice_is_seen() {
    let mut journal = journal();
    journal.leased(lease(&journal, FIRST, 1, 1));
    journal.leased(lease(&journal, FIRST, 1, 2));
    assert_eq!(kinds(&journal), [Kind::Twice]);
}

#[test]
fn a_task_that_starts_early_is_seen() {
    let mut journal = journal();
    journal.leased(lease(&journal, SECOND, 1, 1));
    assert_eq!(kinds(&journal), [Kind::Early]);
}

#[test]
fn what_the_hub_shows_must_be_what_it_said() {
    let mut journal = journal();
    journal.leased(lease(&journal, FIRST, 1, 1));
    done(&mut journal, FIRST, 1);
    for (key, record) in journal.take_recent() {
        let shown = (key == FIRST).then_some((State::Ready, 0));
        journal.shown(key, record, shown);
    }
    assert_eq!(kinds(&journal), [Kind::Changed, Kind::Lost, Kind::Lost]);
}

#[test]
fn what_is_cancelled_stays_so_until_a_retry() {
    let key = Group::Cancel.task(0);
    let mut journal = Journal::default();
    journal.create_sent(&[key]);
    journal.created(&[key]);
    journal.cancelled(key, false);
    journal.retry_sent(key);
    journal.leased(lease(&journal, key, 1, 1));
    assert_eq!(kinds(&journal), []);
    journal.cancelled(key, false);
    journal.leased(lease(&journal, key, 2, 2));
    done(&mut journal, key, 2);
    assert_eq!(kinds(&journal), [Kind::Changed; 2]);
}

#[test]
fn what_the_hub_gave_out_it_has_to_know() {
    let mut journal = journal();
    journal.leased(lease(&journal, FIRST, 1, 1));
    journal.outcome_refused(FIRST, 1, true);
    assert_eq!(kinds(&journal), []);
    journal.outcome_refused(FIRST, 1, false);
    assert_eq!(kinds(&journal), [Kind::Lost]);
}

#[test]
fn pools_tell_in_a_file_what_they_run() {
    let file = std::env::temp_dir().join(format!("dhub-journal-{}", std::process::id()));
    std::fs::write(&file, "f0 1\nf1 1\nf0").unwrap();
    let mut journal = Journal::with_log(file.clone());
    journal.create_sent(&[FIRST, SECOND]);
    journal.read_log();
    assert_eq!((journal.totals.ran, kinds(&journal).len()), (2, 0));
    std::fs::write(&file, "f0 1\nf1 1\nf0 1\nwhat\n").unwrap();
    journal.read_log();
    assert_eq!(kinds(&journal), [Kind::Twice, Kind::Wrong]);
    std::fs::remove_file(file).unwrap();
}
