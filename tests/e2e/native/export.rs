//! Export: pages of tasks with what they need and all of their attempts.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, outcome_done, outcome_failed, task, worker};

#[track_caller]
fn export(native: &Native, export: Export) -> Exported {
    match native.ask(Body::Export(export)) {
        Answer::Exported(exported) => exported,
        other => panic!("not exported: {other:?}"),
    }
}

/// All pages.
fn pages(native: &Native, mut ask: Export) -> Vec<Exported> {
    let mut pages = Vec::new();
    loop {
        let page = export(native, ask.clone());
        (ask.after, ask.after_attempt) = (page.next, page.next_attempt);
        pages.push(page);
        if ask.after == 0 {
            return pages;
        }
    }
}

fn names(page: &Exported) -> Vec<&str> {
    page.tasks.iter().map(|it| it.task.as_ref().expect("a task").name.as_str()).collect()
}

#[test]
fn tasks_come_with_their_needs_and_attempts() {
    let hub = Hub::with(&["--retry-delay", "0s"]);
    let native = hub.native();
    let first = Task { command: "run".into(), retries: 1, ..task("a", &[]) };
    native.create(&[first, task("b", &["a", "nobody"]), task("c", &["a"])]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    let lease = native.steal_one(&worker(1));
    let output = b"much".to_vec();
    native.report(&worker(1), vec![Outcome { output, ..outcome_done(&lease) }]);
    native.steal_one(&worker(2));
    let page = export(&native, Export::default());
    assert_eq!((page.next, page.next_attempt), (0, 0));
    let find = |name: &str| {
        let of_name = |it: &&ExportedTask| it.task.as_ref().is_some_and(|task| task.name == name);
        page.tasks.iter().find(of_name).expect(name)
    };
    let (a, b, c, nobody) = (find("a"), find("b"), find("c"), find("nobody"));
    assert_eq!(b.needs, [a.id, nobody.id]);
    let states = [a, b, c, nobody].map(|it| it.task.as_ref().expect("a task").state());
    assert_eq!(states, [State::Done, State::Waiting, State::Running, State::Missing]);
    let told = |task: &ExportedTask| -> Vec<(u32, String)> {
        task.attempts.iter().map(|it| (it.attempt, it.outcome.clone())).collect()
    };
    assert_eq!(told(a), [(1, "failed".into()), (2, "done".into())]);
    assert_eq!(told(c), [(1, "running".into())]);
    assert!(a.attempts.iter().all(|it| it.output.is_empty() && it.ended_unix_ms > 0));
    assert_eq!((a.attempts[0].exit_code, c.attempts[0].ended_unix_ms), (3, 0));
    assert_eq!(a.task.as_ref().map(|task| task.command.as_str()), Some("run"));
    let brief = export(&native, Export { brief: true, ..Export::default() });
    assert!(brief.tasks.iter().all(|it| it.task.as_ref().expect("a task").command.is_empty()));
}

#[test]
fn pages_have_every_task_once() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&(0..25).map(|n| task(&format!("t{n:02}"), &[])).collect::<Vec<_>>());
    let pages = pages(&native, Export { limit: 10, ..Export::default() });
    let sizes: Vec<_> = pages.iter().map(|page| page.tasks.len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
    let all: Vec<_> = pages.iter().flat_map(names).collect();
    assert_eq!(all, (0..25).map(|n| format!("t{n:02}")).collect::<Vec<_>>());
}

#[test]
fn a_selection_narrows() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c"].map(|name| task(name, &[])));
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    let failed = Selection { states: vec![State::Failed.into()], ..Selection::default() };
    let page = export(&native, Export { selection: Some(failed), ..Export::default() });
    assert_eq!((names(&page), page.tasks[0].attempts.len()), (vec!["a"], 1));
    let some = Selection { names: ["c", "x", "a"].map(String::from).into(), ..Default::default() };
    let pages = pages(&native, Export { selection: Some(some), limit: 1, ..Export::default() });
    let all: Vec<_> = pages.iter().flat_map(names).collect();
    assert_eq!(all, ["c", "a"]);
    assert_eq!(pages.iter().flat_map(|page| &page.unknown).collect::<Vec<_>>(), ["x"]);
}
