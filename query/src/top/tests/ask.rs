//! What the hub is asked, and how often.

use super::*;

#[test]
fn the_hub_is_asked_once_a_second_for_what_is_shown() {
    let mut fixture = Fixture::new();
    fixture.settle();
    let count = |fixture: &mut Fixture, begin: u64| {
        fixture.asked.clear();
        for ms in (begin..begin + 10_000).step_by(50) {
            fixture.at(ms).settle();
        }
        let status = fixture.asked.iter().filter(|ask| **ask == Ask::Status).count();
        (status, fixture.asked.len() - status)
    };
    assert_eq!(count(&mut fixture, 1_000), (10, 10));
    fixture.keys("2");
    assert_eq!(count(&mut fixture, 11_000), (10, 0), "a status tells of the workers");
    fixture.report.workers_total = 5_000;
    assert_eq!(count(&mut fixture, 21_000), (10, 10), "not of all of them");
    fixture.keys("1").key(KeyCode::Enter);
    assert_eq!(count(&mut fixture, 31_000), (10, 10));
    assert_eq!(fixture.asked.iter().filter(|ask| matches!(ask, Ask::Show(_))).count(), 10);
}

#[test]
fn a_hub_that_is_silent_holds_up_no_key() {
    let mut fixture = Fixture::new();
    fixture.settle();
    fixture.is_silent = true;
    fixture.at(12_400).settle();
    fixture.at(24_500).keys("2");
    let screen = fixture.screen(80, 24);
    assert!(screen.lines().next().is_some_and(|line| line.ends_with("no answer for 24 s")));
    assert!(screen.contains("WORKER  "));
    assert_eq!(fixture.asked.iter().filter(|ask| **ask == Ask::Status).count(), 2, "one is open");
    // The client gives up, and is sent again.
    let failure = || Failure::new(Exit::NoHub, "no hub answers at tcp://x (waited 5 s)");
    let took = Duration::from_secs(5);
    fixture.state.heard(Heard { ask: Ask::Status, took, answer: Err(failure()) });
    assert!(fixture.state.wanted().contains(&Ask::Status));
    assert!(fixture.screen(80, 24).contains("no answer for 24 s"));
    fixture.is_silent = false;
    let answer = Ok(Answer::Status(Box::new(report())));
    fixture.at(30_000).state.heard(Heard { ask: Ask::Status, took, answer });
    assert!(!fixture.screen(80, 24).contains("no answer"));
    fixture.at(32_000).settle();
    assert!(!fixture.screen(80, 24).contains("no answer"));
}

#[test]
fn a_hub_that_was_away_is_not_taken_for_a_slow_one() {
    let pages = |fixture: &mut Fixture, slow_ms: u64, heard_meanwhile: bool| {
        let end = 1_000 + slow_ms;
        fixture.at(1_000).state.wanted();
        for ms in (1_000..=end).step_by(500) {
            fixture.at(ms);
            if heard_meanwhile || ms == end {
                let answer = Ok(Answer::Status(Box::new(report())));
                let took = Duration::from_millis(5);
                fixture.state.heard(Heard { ask: Ask::Status, took, answer });
                fixture.state.wanted();
            }
        }
        let ask = Ask::Tasks(fixture.state.window.refresh());
        let answer = fixture.answer(&ask);
        let took = Duration::from_millis(slow_ms);
        fixture.state.heard(Heard { ask, took, answer });
        // The next one takes as long; once would be no habit.
        for ask in fixture.state.wanted() {
            let answer = fixture.answer(&ask);
            fixture.state.heard(Heard { ask, took, answer });
        }
        fixture.settle().asked.clear();
        for ms in (end..end + 10_000).step_by(100) {
            fixture.at(ms).settle();
        }
        fixture.asked.iter().filter(|ask| matches!(ask, Ask::Tasks(_))).count()
    };
    let mut fixture = Fixture::new();
    assert!(pages(fixture.settle(), 4_000, false) >= 9, "it was away");
    let mut fixture = Fixture::new();
    assert_eq!(pages(fixture.settle(), 4_000, true), 0, "it worked on the page all the time");
}

#[test]
fn a_page_that_is_refused_is_not_asked_for_without_end() {
    let mut fixture = Fixture::new();
    let (mut asked, mut query) = (0, None);
    for ms in (0..5_000).step_by(10) {
        if let Some(query) = query.take() {
            let (ask, took) = (Ask::Tasks(query), Duration::from_millis(1));
            let answer = Err(Failure::new(Exit::Refused, "not today"));
            fixture.state.heard(Heard { ask, took, answer });
        }
        for ask in fixture.at(ms).state.wanted() {
            if let Ask::Tasks(it) = ask {
                (asked, query) = (asked + 1, Some(it));
            }
        }
    }
    assert!((4..=6).contains(&asked), "{asked}");
    assert!(fixture.screen(80, 24).contains("\nnot today\n"));
}
