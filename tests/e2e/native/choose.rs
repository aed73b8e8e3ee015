//! Which tasks a selection has: patterns, workers, times, exit codes; Count, Adjust, and Wait for some.

use dhub_proto::limits::*;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, outcome_done, outcome_failed, task, worker};

fn patterns(patterns: &[&str]) -> Selection {
    let patterns = patterns.iter().map(|&pattern| pattern.into()).collect();
    Selection { patterns, ..Selection::default() }
}

#[track_caller]
fn count(native: &Native, selection: Selection) -> Counted {
    match native.ask(Body::Count(Count { selection: Some(selection) })) {
        Answer::Counted(counted) => counted,
        other => panic!("not counted: {other:?}"),
    }
}

/// All pages of two.
#[track_caller]
fn names(native: &Native, selection: Selection) -> String {
    let (mut names, mut after) = (Vec::new(), 0);
    loop {
        let list = List { selection: Some(selection.clone()), limit: 2, after, before: 0 };
        let Answer::Listed(page) = native.ask(Body::List(list)) else { panic!("not listed") };
        names.extend(page.tasks.into_iter().map(|task| task.name));
        after = page.next;
        if after == 0 {
            return names.join(" ");
        }
    }
}

/// The last two, from the end.
#[track_caller]
fn last(native: &Native, selection: Selection) -> String {
    let list = List { selection: Some(selection), limit: 2, before: u64::MAX, ..List::default() };
    let Answer::Listed(mut page) = native.ask(Body::List(list)) else { panic!("not listed") };
    page.tasks.sort_by_key(|task| std::cmp::Reverse(task.id));
    page.tasks.into_iter().map(|task| task.name).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn adjust(native: &Native, selection: Selection, change: adjust::Change) -> Adjusted {
    let adjust = Adjust { selection: Some(selection), change: Some(change) };
    match native.ask(Body::Adjust(adjust)) {
        Answer::Adjusted(adjusted) => adjusted,
        other => panic!("not adjusted: {other:?}"),
    }
}

fn steal(native: &Native, worker: &Worker, n: u32) -> Vec<Lease> {
    native.steal(Steal { worker: Some(worker.clone()), n, ..Steal::default() }).leases
}

#[track_caller]
fn refusal(native: &Native, body: Body) -> ErrorCode {
    match native.ask(body) {
        Answer::Error(error) => error.code(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn patterns_choose_by_name_and_order_stays_that_of_adding() {
    let hub = Hub::start();
    let native = hub.native();
    let all = ["b1", "a1", "sim-2", "sim-10", "größe 1", "größe 22", "[x]", "a*b"];
    native.create(&all.map(|name| task(name, &["nobody"])));
    for (pattern, expected) in [
        (&["sim-*"][..], "sim-2 sim-10"),
        (&["?1"], "b1 a1"),
        (&["*1*"], "b1 a1 sim-10 größe 1"),
        (&["größe ?"], "größe 1"),
        (&["[x]"], "[x]"),
        (&["[*"], "[x]"),
        (&["a*b"], "a*b"),
        (&["b1", "sim-2"], "b1 sim-2"),
        (&["*"], &all.join(" ")),
        (&["nobody*"], ""),
        (&["sim"], ""),
    ] {
        assert_eq!(names(&native, patterns(pattern)), expected, "{pattern:?}");
        let some = expected.split(' ').filter(|_| !expected.contains("größe")).count();
        if some > 0 && !expected.is_empty() {
            let counts = count(&native, patterns(pattern)).counts.unwrap();
            assert_eq!(counts.waiting as usize, some, "{pattern:?}");
        }
    }
    // One of the names, or of the patterns.
    let both = Selection { names: vec!["[x]".into(), "no".into()], ..patterns(&["sim-?"]) };
    assert_eq!(names(&native, both), "sim-2 [x]");
    let missing = Selection { states: vec![State::Missing.into()], ..patterns(&["nob*"]) };
    assert_eq!(names(&native, missing), "nobody");
    let many = vec!["*".to_owned(); PATTERNS_MAX + 1];
    let many = Some(Selection { patterns: many, ..Selection::default() });
    assert_eq!(refusal(&native, Body::Count(Count { selection: many })), ErrorCode::ErrorLimit);
}

/// More than are looked up by the beginnings of their names, or compared at a time.
#[test]
fn patterns_find_few_among_many() {
    let hub = Hub::start();
    let native = hub.native();
    for batch in 0..12 {
        let many = (0..5_000).map(|n| task(&format!("t{:05}", batch * 5_000 + n), &[]));
        native.create(&many.collect::<Vec<_>>());
    }
    assert_eq!(names(&native, patterns(&["t0012?", "*59999"])).split(' ').count(), 11);
    assert_eq!(names(&native, patterns(&["t*59999"])), "t59999");
    assert_eq!(names(&native, patterns(&["t5999*"])).split(' ').count(), 10);
    assert_eq!(last(&native, patterns(&["t0012?", "*59999"])), "t59999 t00129");
    assert_eq!(last(&native, patterns(&["t0*"])), "t09999 t09998");
    assert_eq!(last(&native, patterns(&["t0012*"])), "t00129 t00128");
    assert_eq!(count(&native, patterns(&["t??0*"])).counts.unwrap().ready, 6_000);
    assert_eq!(count(&native, patterns(&["t0*"])).counts.unwrap().ready, 10_000);
}

#[test]
fn workers_times_and_exit_codes_choose() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c", "d"].map(|name| task(name, &[])));
    let (one, two) = (worker(1), worker(2));
    let leases = steal(&native, &one, 2);
    let mut failed = outcome_failed(&leases[0]);
    failed.exit_code = 137;
    native.report(&one, vec![failed, outcome_done(&leases[1])]);
    native.steal_one(&two);
    let by = |name: &str| Selection { workers: vec![name.into()], ..Selection::default() };
    assert_eq!(names(&native, by(&one.name)), "a b");
    assert_eq!(names(&native, by(&two.name)), "c");
    assert_eq!(names(&native, by("*")), "a b c d");
    assert_eq!(names(&native, by("nobody")), "");
    let code = |code| Selection { exit_codes: vec![code], ..Selection::default() };
    assert_eq!(names(&native, code(137)), "a");
    // Those that never ran ended with nothing.
    assert_eq!(names(&native, code(0)), "b");
    let Answer::Listed(all) = native.ask(Body::List(List::default())) else { panic!("no list") };
    let last = all.tasks.iter().map(|task| task.created_unix_ms.max(task.ended_unix_ms)).max();
    let since = |ms| Selection { since_unix_ms: ms, ..Selection::default() };
    assert_eq!(names(&native, since(1)), "a b c d");
    assert_eq!(names(&native, since(last.unwrap() + 3_600_000)), "");
    let failed = Selection { states: vec![State::Failed.into()], ..since(1) };
    assert_eq!(count(&native, failed.clone()).counts.unwrap().failed, 1);
    // And they are retried and cancelled in the same way.
    let retry = Retry { selection: Some(failed), done: false };
    let Answer::Retried(retried) = native.ask(Body::Retry(retry)) else { panic!("no retry") };
    assert_eq!((retried.retried, native.state("a")), (1, State::Ready));
    let cancel = Cancel { selection: Some(by(&two.name)) };
    let Answer::Cancelled(cancelled) = native.ask(Body::Cancel(cancel)) else { panic!("no") };
    assert_eq!((cancelled.cancelled, native.state("c")), (1, State::Cancelled));
}

#[test]
fn counts_say_what_is_held_and_what_is_unknown() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c"].map(|name| task(name, &[])));
    assert_eq!(adjust(&native, patterns(&["?"]), adjust::Change::Held(true)).adjusted, 3);
    let counted = count(&native, Selection::default());
    assert_eq!((counted.counts.unwrap().waiting, counted.counts.unwrap().held), (3, 3));
    let some = Selection { names: vec!["a".into(), "x".into()], ..Selection::default() };
    let counted = count(&native, some);
    assert_eq!((counted.counts.unwrap().held, counted.unknown), (1, vec!["x".to_owned()]));
    let nothing = Adjust { selection: None, change: Some(adjust::Change::Held(true)) };
    assert_eq!(refusal(&native, Body::Adjust(nothing)), ErrorCode::ErrorInvalid);
    let nothing = Adjust { selection: Some(patterns(&["*"])), change: None };
    assert_eq!(refusal(&native, Body::Adjust(nothing)), ErrorCode::ErrorInvalid);
}

#[test]
fn a_hold_outlives_the_hub() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c"].map(|name| task(name, &[])));
    adjust(&native, patterns(&["[ab]", "a", "b"]), adjust::Change::Held(true));
    adjust(&native, patterns(&["b"]), adjust::Change::Priority(9));
    hub.kill9();
    hub.restart();
    let native = hub.native();
    let leases = steal(&native, &worker(1), 3);
    assert_eq!(leases.iter().map(|lease| &lease.name).collect::<Vec<_>>(), ["c"]);
    let held = Selection { held: true, ..Selection::default() };
    assert_eq!(names(&native, held.clone()), "a b");
    assert_eq!(adjust(&native, held, adjust::Change::Held(false)).adjusted, 2);
    // By its priority.
    let leases = steal(&native, &worker(1), 3);
    assert_eq!(leases.iter().map(|lease| &lease.name).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_wait_for_some_tasks_says_what_became_of_them() {
    let hub = Hub::start();
    let (native, waiting) = (hub.native(), hub.native());
    native.create(&["a", "b", "c"].map(|name| task(name, &[])));
    let wait = |names: &[&str], wait_ms, output| {
        let names = names.iter().map(|&name| name.into()).collect();
        Body::Wait(Wait { wait_ms, names, output })
    };
    waiting.send(wait(&["a", "b"], 60_000, true));
    assert!(!waiting.has_reply(50));
    let leases = steal(&native, &worker(1), 2);
    let mut outcome = outcome_failed(&leases[1]);
    (outcome.output, outcome.exit_code) = (b"no input\n".to_vec(), 3);
    native.report(&worker(1), vec![outcome]);
    let Some(Answer::Waited(waited)) = waiting.receive().body else { panic!("not waited") };
    let [ended] = &waited.ended[..] else { panic!("{waited:?}") };
    let (task, attempt) = (ended.task.clone().unwrap(), ended.attempt.clone().unwrap());
    assert_eq!((task.name.as_str(), task.state()), ("b", State::Failed));
    assert_eq!((attempt.exit_code, attempt.output), (3, b"no input\n".to_vec()));
    assert_eq!(waited.counts.unwrap().failed, 1);
    // Without its output, and at once.
    let Answer::Waited(waited) = native.ask(wait(&["a", "b", "b"], 60_000, false)) else {
        panic!("not waited")
    };
    assert_eq!(waited.ended.len(), 1);
    assert!(waited.ended[0].attempt.as_ref().unwrap().output.is_empty());
    // One that nobody added, and one that never ran.
    let Answer::Waited(waited) = native.ask(wait(&["a", "x"], 60_000, false)) else {
        panic!("not waited")
    };
    assert_eq!((waited.ended.len(), waited.unknown), (0, vec!["x".to_owned()]));
    native.ask(Body::Cancel(Cancel { selection: Some(patterns(&["c"])) }));
    let Answer::Waited(waited) = native.ask(wait(&["c"], 60_000, true)) else {
        panic!("not waited")
    };
    assert!(waited.ended[0].attempt.is_none());
    let Answer::Waited(waited) = native.ask(wait(&["a"], 20, true)) else { panic!("not waited") };
    assert!(waited.ended.is_empty() && waited.unknown.is_empty());
    let many: Vec<&str> = vec!["a"; WAIT_NAMES_MAX + 1];
    assert_eq!(refusal(&native, wait(&many, 20, true)), ErrorCode::ErrorLimit);
}

/// What does not fit comes when it is asked for again.
#[test]
fn waits_for_large_outputs_are_answered_in_parts() {
    let hub = Hub::start();
    let native = hub.native();
    let tasks: Vec<Task> = (0..150).map(|n| task(&format!("t{n}"), &[])).collect();
    native.create(&tasks);
    let leases = steal(&native, &worker(1), 150);
    let outcome = |lease| Outcome { output: vec![7; OUTPUT_BYTES_MAX], ..outcome_done(lease) };
    native.report(&worker(1), leases.iter().map(outcome).collect());
    let mut left: Vec<String> = tasks.into_iter().map(|task| task.name).collect();
    let mut parts = 0;
    while !left.is_empty() {
        let wait = Wait { wait_ms: 60_000, names: left.clone(), output: true };
        let Answer::Waited(waited) = native.ask(Body::Wait(wait)) else { panic!("not waited") };
        assert!(!waited.ended.is_empty());
        let ended: Vec<String> =
            waited.ended.into_iter().map(|ended| ended.task.unwrap().name).collect();
        left.retain(|name| !ended.contains(name));
        parts += 1;
    }
    assert!((2..10).contains(&parts), "{parts} parts");
}

/// As many as are parked, not as long requests are under way.
#[test]
fn thousands_who_wait_are_all_told() {
    // A connection holds a thousand replies that nobody reads yet.
    const CLIENTS: usize = 6;
    const WAITS: usize = 500;
    let hub = Hub::start();
    let native = hub.native();
    native.create(&(0..WAITS).map(|n| task(&format!("t{n}"), &[])).collect::<Vec<_>>());
    let clients: Vec<Native> = (0..CLIENTS).map(|_| hub.native()).collect();
    for client in &clients {
        for n in 0..WAITS {
            let names = vec![format!("t{n}"), "t0".into()];
            client.send(Body::Wait(Wait { wait_ms: 60_000, names, output: false }));
        }
        // Requests of one connection are taken in their order.
        client.send(Body::Hello(Hello::default()));
        assert!(matches!(client.receive().body, Some(Answer::Welcome(_))));
    }
    native.ask(Body::Cancel(Cancel { selection: Some(patterns(&["t*"])) }));
    for (told, client) in clients.iter().flat_map(|client| vec![client; WAITS]).enumerate() {
        match client.receive().body {
            Some(Answer::Waited(waited)) if !waited.ended.is_empty() => {}
            other => panic!("after {told}: {other:?}"),
        }
    }
}

/// Slow to compare: others are answered in between.
#[test]
fn long_patterns_hold_up_nobody() {
    let hub = Hub::start();
    let native = hub.native();
    let name = |n: usize| format!("{}{n:05}", "a".repeat(1_000));
    native.create(&(0..3_000).map(|n| task(&name(n), &[])).collect::<Vec<_>>());
    let slow = hub.native();
    let pattern = format!("*{}b", "a".repeat(500));
    let selection = Some(patterns(&[pattern.as_str(); 8]));
    slow.send(Body::Count(Count { selection }));
    let mut answers = 0;
    while !slow.has_reply(0) {
        assert!(matches!(native.ask(Body::Hello(Hello::default())), Answer::Welcome(_)));
        answers += 1;
    }
    assert!(answers > 20, "{answers} answers meanwhile");
    let Some(Answer::Counted(counted)) = slow.receive().body else { panic!("not counted") };
    assert_eq!(counted.counts.unwrap().ready, 0);
    let many = Selection { patterns: vec!["a".repeat(1_000); 100], ..Selection::default() };
    assert_eq!(
        refusal(&native, Body::Count(Count { selection: Some(many) })),
        ErrorCode::ErrorLimit
    );
    let many = Selection { states: vec![State::Done.into(); 200], ..Selection::default() };
    assert_eq!(
        refusal(&native, Body::Count(Count { selection: Some(many) })),
        ErrorCode::ErrorLimit
    );
}

#[test]
fn what_was_given_back_unstarted_still_says_who_ran_it_before() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[Task { retries: 5, ..task("a", &[]) }]);
    let (one, two) = (worker(1), worker(2));
    let lease = native.steal_one(&one);
    native.report(&one, vec![Outcome { exit_code: 7, ..outcome_failed(&lease) }]);
    native.ask(Body::Retry(Retry {
        selection: Some(Selection { names: vec!["a".into()], ..Selection::default() }),
        done: false,
    }));
    let lease = native.steal_one(&two);
    let attempts = vec![Attempt { name: lease.name, attempt: lease.attempt, started: false }];
    native.ask(Body::Release(Release { worker: Some(two), attempts }));
    let by =
        Selection { workers: vec![one.name.clone()], exit_codes: vec![7], ..Selection::default() };
    assert_eq!(names(&native, by), "a");
}

#[test]
fn held_is_counted_among_the_states_that_are_asked_for() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &["nobody"]), task("b", &[])]);
    adjust(&native, patterns(&["b"]), adjust::Change::Held(true));
    let of = |states: &[State]| {
        let states = states.iter().map(|&state| state.into()).collect();
        let counts = count(&native, Selection { states, ..Selection::default() }).counts.unwrap();
        (counts.waiting, counts.ready, counts.missing, counts.held)
    };
    assert_eq!(of(&[]), (2, 0, 0, 1));
    assert_eq!(of(&[State::Done]), (0, 0, 0, 0));
    assert_eq!(of(&[State::Waiting, State::Waiting]), (2, 0, 0, 1));
    assert_eq!(of(&[State::Ready, State::Missing]), (0, 0, 1, 0));
    let twice = Selection { names: vec!["a".into(), "a".into()], ..Selection::default() };
    assert_eq!(count(&native, twice.clone()).counts.unwrap().waiting, 1);
    assert_eq!(adjust(&native, twice, adjust::Change::Priority(1)).adjusted, 1);
}

/// Only who is named need not wait for its time.
#[test]
fn a_retry_by_state_hurries_no_next_try() {
    let hub = Hub::with(&["--retry-delay", "60s"]);
    let native = hub.native();
    native.create(&[Task { retries: 5, ..task("a", &[]) }]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    let retry = |selection| match native
        .ask(Body::Retry(Retry { selection: Some(selection), done: false }))
    {
        Answer::Retried(retried) => retried.retried,
        other => panic!("not retried: {other:?}"),
    };
    assert_eq!(retry(Selection { states: vec![State::Waiting.into()], ..Selection::default() }), 0);
    assert_eq!(retry(patterns(&["*"])), 0);
    assert_eq!(retry(Selection { names: vec!["a".into()], ..Selection::default() }), 1);
}
