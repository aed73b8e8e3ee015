//! What keys do.

use super::*;

#[test]
fn a_filter_is_typed_and_taken_away() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("/merg");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("\nname: merg\nEnter look for it"), "{screen}");
    fixture
        .keys("xx")
        .key(KeyCode::Backspace)
        .key(KeyCode::Backspace)
        .keys("e")
        .key(KeyCode::Enter);
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("only merge (1)\n") && screen.contains("\nmerge "), "{screen}");
    assert_eq!(fixture.state.window.visible().len(), 1);
    fixture.keys("/");
    fixture.state.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    assert_eq!(fixture.state.mode, Mode::Filter(String::new()));
    fixture.key(KeyCode::Esc);
    // What is left with Esc is not looked for.
    fixture.keys("/zzz").key(KeyCode::Esc);
    assert_eq!(fixture.state.window.filter().text, "merge");
    fixture.key(KeyCode::Esc);
    assert!(fixture.state.window.filter().is_empty());
    assert_eq!(fixture.state.window.visible().len(), 12);
    fixture.keys("ff");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("only failed (1)\n"), "{screen}");
    assert_eq!(fixture.state.window.visible()[0].name, "sim-0001");
    fixture.keys("fs");
    assert!(fixture.screen(80, 24).contains("there is no such task      Esc: all tasks"));
    fixture.keys("fa");
    assert!(fixture.state.window.filter().is_empty());
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut fixture = Fixture::new();
    fixture.settle().key(KeyCode::Down).key(KeyCode::Down).keys("c");
    let screen = fixture.screen(80, 24);
    let question = "\ncancel 'sim-0002'? it runs and is killed; what needs it is skipped\n\
                    y yes  any other key no\n";
    assert!(screen.contains(question), "{screen}");
    assert!(fixture.screen(40, 10).ends_with("\ncancel 'sim-0002'? it runs and is …  y/n\n"));
    fixture.keys("n");
    assert!(fixture.screen(80, 24).contains("\nnothing was done to 'sim-0002'\n"));
    fixture.keys("c").key(KeyCode::Esc).keys("c").key(KeyCode::Enter);
    assert_eq!(fixture.deeds(), Vec::<&Deed>::new());
    fixture.keys("cy");
    let deed = Deed::Cancel { name: "sim-0002".into(), state: Of::Running };
    assert_eq!(fixture.deeds(), [&deed]);
    assert!(fixture.screen(80, 24).contains("\n'sim-0002': done\n"));
    // And at once it is seen what came of it.
    let after = fixture.asked.iter().position(|ask| *ask == Ask::Do(deed.clone()));
    let after = &fixture.asked[after.expect("the deed")..];
    assert!(after.contains(&Ask::Status) && after.iter().any(|ask| matches!(ask, Ask::Tasks(_))));
}

#[test]
fn only_what_can_be_done_is_asked_about() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("c");
    assert!(fixture.screen(80, 24).contains("\n'prep' is finished: nothing to cancel\n"));
    fixture.key(KeyCode::End).keys("r");
    assert!(fixture.screen(80, 24).contains("\n'merge' is waiting: nothing to retry\n"));
    // Keys of the other view.
    fixture.keys("dx2cr");
    assert_eq!(fixture.state.mode, Mode::Look);
    fixture.keys("x");
    assert_eq!(fixture.state.mode, Mode::Confirm(Deed::Stop("node1:7".into())));
    fixture.key(KeyCode::Esc).key(KeyCode::Down).keys("dy");
    assert_eq!(fixture.deeds(), [&Deed::Drain("node2:8".into())]);
    // One that waits for its next try need not wait.
    fixture.keys("1").key(KeyCode::Home);
    for _ in 0..3 {
        fixture.key(KeyCode::Down);
    }
    fixture.keys("r");
    assert!(matches!(&fixture.state.mode, Mode::Confirm(Deed::Retry { state: Of::Waiting, .. })));
    assert!(fixture.screen(80, 24).contains("? it waits for its next try"));
}

#[test]
fn tasks_are_held_and_go_sooner_or_later() {
    let mut fixture = Fixture::new();
    fixture.tasks[399].held = true;
    fixture.report.counts.as_mut().expect("counts").held = 1;
    fixture.settle().keys("h");
    assert!(fixture.screen(80, 24).contains("\n'prep' is finished: nothing to hold\n"));
    fixture.key(KeyCode::End);
    let screen = fixture.screen(120, 24);
    assert!(screen.contains("waiting 2  (held 1)\n"), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with("sim-0400 ") && line.ends_with(" held")));
    fixture.keys("h");
    let question = "\nhold 'merge'? nobody gets it until it is held no more\n";
    assert!(fixture.screen(80, 24).contains(question));
    fixture.keys("y").key(KeyCode::Up).keys("hy");
    let hold = |name: &str, held| Deed::Hold { name: name.into(), held };
    assert_eq!(fixture.deeds(), [&hold("merge", true), &hold("sim-0400", false)]);
    fixture.keys("p");
    assert!(
        fixture.screen(80, 24).contains("\npriority of 'sim-0400': 0\nEnter set it  Esc leave")
    );
    fixture.key(KeyCode::Backspace).keys("-1x2").key(KeyCode::Enter);
    let priority = Deed::Priority { name: "sim-0400".into(), priority: -12 };
    assert_eq!(fixture.deeds().last(), Some(&&priority));
    fixture.keys("p").keys("-").key(KeyCode::Enter);
    assert!(fixture.screen(80, 24).contains("\n'0-' is no priority\n"));
    fixture.keys("p").key(KeyCode::Esc);
    assert_eq!(fixture.deeds().len(), 3);
    fixture.keys("fh");
    assert!(fixture.state.window.filter().selection().held);
    assert!(fixture.screen(80, 24).contains("only held\n"));
}

#[test]
fn a_worker_leads_to_its_tasks() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("2").key(KeyCode::Down).key(KeyCode::Enter);
    assert_eq!(fixture.state.window.filter().selection().workers, ["node2:8"]);
    assert!(fixture.screen(80, 24).contains("only on node2:8\n"));
    fixture.keys("fr/sim").key(KeyCode::Enter);
    let selection = fixture.state.window.filter().selection();
    assert_eq!(selection.workers, ["node2:8"], "filters add up");
    assert_eq!((selection.patterns[0].as_str(), selection.states.len()), ("*sim*", 1));
    fixture.key(KeyCode::Esc);
    assert!(fixture.state.window.filter().is_empty());
}

#[test]
fn a_refusal_is_said_in_one_line() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("ry");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("\ncannot retry 'prep': 'prep' is done\n"), "{screen}");
    // It goes away by itself.
    fixture.at(11_000);
    assert!(!fixture.screen(80, 24).contains("cannot"));
}

#[test]
fn the_order_goes_round() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("sss");
    let names = |fixture: &Fixture| -> Vec<String> {
        fixture.state.window.visible().iter().take(3).map(|it| it.name.clone()).collect()
    };
    fixture.screen(80, 24);
    assert_eq!(names(&fixture), ["prep", "sim-0002", "sim-0001"]);
    assert!(fixture.screen(80, 24).contains("by time\n"));
    fixture.keys("S");
    assert_eq!(names(&fixture)[0], "sim-0005");
    fixture.keys("sss");
    assert_eq!(names(&fixture), ["prep", "sim-0001", "sim-0002"]);
}

#[test]
fn esc_is_esc_whatever_comes_right_after_it() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("ff").state.key(KeyEvent::new(KeyCode::Char('2'), KeyModifiers::ALT));
    assert!(fixture.state.window.filter().is_empty());
    assert!(fixture.screen(80, 24).contains("WORKER  "));
    fixture.keys("d").state.key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::ALT));
    assert_eq!(fixture.settle().deeds(), Vec::<&Deed>::new());
}

#[test]
fn keys_that_leave() {
    for key in [
        KeyEvent::from(KeyCode::Char('q')),
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        let mut fixture = Fixture::new();
        fixture.settle().state.key(key);
        assert!(fixture.state.is_over());
    }
    // While something is typed, q is a letter and Ctrl-C still leaves.
    let mut fixture = Fixture::new();
    fixture.settle().keys("/q");
    assert!(!fixture.state.is_over());
    fixture.state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(fixture.state.is_over());
}
