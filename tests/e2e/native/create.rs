//! Create: all of a batch or nothing.

use dhub_proto::limits::*;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Create, Created, ErrorCode, State, Task};
use e2e::{Hub, Native, eventually, plain_worker, task};

#[track_caller]
fn refusal(native: &Native, tasks: Vec<Task>) -> (ErrorCode, Vec<String>) {
    let (code, error) = native.error(Body::Create(Create { tasks }));
    assert!(!error.message.is_empty());
    (code, error.names)
}

#[test]
fn the_order_within_a_batch_does_not_matter() {
    let hub = Hub::start();
    let native = hub.native();
    let tasks = [task("c", &["b", "a"]), task("b", &["a"]), task("a", &[])];
    assert_eq!(native.create(&tasks), Created { added: 3, existing: 0, ready: 1 });
    assert_eq!(native.create(&tasks), Created { added: 0, existing: 3, ready: 0 });
}

#[test]
fn another_definition_is_a_conflict_in_any_state() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &["a"])]);
    let others = [
        task("b", &[]),
        Task { command: "true".into(), ..task("a", &[]) },
        Task { priority: 1, ..task("a", &[]) },
        Task { retries: 1, ..task("a", &[]) },
        Task { time_limit_ms: 1, ..task("a", &[]) },
        Task { dir: "/".into(), ..task("a", &[]) },
        Task { env: vec!["A=".into()], ..task("a", &[]) },
        Task { stdin: b"a".to_vec(), ..task("a", &[]) },
    ];
    for other in others {
        let name = other.name.clone();
        let refused = refusal(&native, vec![task("new", &[]), other]);
        assert_eq!(refused, (ErrorCode::ErrorConflict, vec![name]));
    }
    let lease = native.steal_one(&plain_worker("w"));
    native.report(&plain_worker("w"), vec![e2e::outcome_done(&lease)]);
    let refused = refusal(&native, vec![task("a", &["x"])]);
    assert_eq!(refused, (ErrorCode::ErrorConflict, vec!["a".into()]), "when it is done");
    assert_eq!(native.counts().missing, 0, "nothing of a refused batch stays");
    assert_eq!(native.create(&[task("a", &[])]).existing, 1);
}

#[test]
fn a_cycle_is_named_in_order() {
    let hub = Hub::start();
    let native = hub.native();
    let (code, names) = refusal(&native, vec![task("self", &["self"])]);
    assert_eq!((code, names[0].as_str()), (ErrorCode::ErrorCycle, "self"));

    let cycle = vec![task("a", &["b"]), task("b", &["c"]), task("c", &["a"])];
    let (code, names) = refusal(&native, cycle);
    assert_eq!(code, ErrorCode::ErrorCycle);
    for pair in names.windows(2) {
        assert!(["a b", "b c", "c a"].contains(&pair.join(" ").as_str()), "{names:?}");
    }

    native.create(&[task("x", &["y"]), task("y", &["z"])]);
    let (code, names) = refusal(&native, vec![task("z", &["x"]), task("other", &[])]);
    assert_eq!(code, ErrorCode::ErrorCycle, "closed by a later request");
    assert!(["x", "y", "z"].iter().all(|name| names.iter().any(|it| it == name)), "{names:?}");
    assert_eq!(native.counts().ready, 0, "nothing of the batch is there");
}

#[test]
fn what_is_over_a_limit_is_refused() {
    let hub = Hub::start();
    let native = hub.native();
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    let over = [
        task(&long, &[]),
        task("a", &[&long]),
        Task { command: "c".repeat(COMMAND_BYTES_MAX + 1), ..task("a", &[]) },
        Task { retries: RETRIES_MAX + 1, ..task("a", &[]) },
        Task { dir: "d".repeat(DIR_BYTES_MAX + 1), ..task("a", &[]) },
        Task { env: vec![format!("A={}", "e".repeat(ENV_BYTES_MAX - 1))], ..task("a", &[]) },
        Task { stdin: vec![0; STDIN_BYTES_MAX + 1], ..task("a", &[]) },
    ];
    for task in over {
        assert_eq!(refusal(&native, vec![task]).0, ErrorCode::ErrorLimit);
    }
    let many = (0..=BATCH_TASKS_MAX).map(|n| task(&n.to_string(), &[])).collect();
    assert_eq!(refusal(&native, many).0, ErrorCode::ErrorLimit);
    let needs = (0..=NEEDS_MAX).map(|n| n.to_string()).collect();
    assert_eq!(refusal(&native, vec![Task { needs, ..task("a", &[]) }]).0, ErrorCode::ErrorLimit);
    let env = |entry: &str| Task { env: vec![entry.into()], ..task("a", &[]) };
    let variables = vec!["A=".to_owned(); 32];
    let crowd = (0..=CREATE_ENV_MAX / 32).map(|n| task(&n.to_string(), &[]));
    let crowd = crowd.map(|task| Task { env: variables.clone(), ..task }).collect();
    assert_eq!(refusal(&native, crowd).0, ErrorCode::ErrorLimit);
    for invalid in [
        task("", &[]),
        task("a", &[""]),
        task("a\0", &[]),
        Task { dir: "/a\0".into(), ..task("a", &[]) },
        env("A"),
        env("=1"),
        env(""),
        env("A=\0"),
    ] {
        assert_eq!(refusal(&native, vec![invalid]).0, ErrorCode::ErrorInvalid);
    }
    assert_eq!(native.counts(), Default::default());
}

#[test]
fn the_limits_themselves_are_allowed() {
    let hub = Hub::start();
    let native = hub.native();
    let most = (0..NEEDS_MAX).map(|n| format!("need{n}")).collect();
    let task = Task {
        name: "n".repeat(NAME_BYTES_MAX),
        needs: most,
        command: "c".repeat(COMMAND_BYTES_MAX),
        priority: i32::MIN,
        retries: RETRIES_MAX,
        time_limit_ms: i64::MAX as u64,
        dir: "d".repeat(DIR_BYTES_MAX),
        // In the hub's file each of these bytes takes six.
        env: vec![format!("A={}", "\u{1}".repeat(ENV_BYTES_MAX - 2))],
        stdin: vec![0xff; STDIN_BYTES_MAX],
    };
    assert_eq!(native.create(std::slice::from_ref(&task)).added, 1);
    let shown = native.show(&task.name).task.unwrap();
    assert_eq!((&shown.command, shown.priority), (&task.command, task.priority));
    assert_eq!((&shown.dir, &shown.env), (&task.dir, &task.env));
    assert_eq!(shown.stdin_bytes, STDIN_BYTES_MAX as u64);
    assert_eq!(native.counts().missing, NEEDS_MAX as u64);
}

#[test]
fn what_depends_on_a_failed_task_is_skipped_when_it_is_added() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("bad", &[])]);
    let lease = native.steal_one(&plain_worker("w"));
    native.report(&plain_worker("w"), vec![e2e::outcome_failed(&lease)]);
    native.create(&[task("late", &["bad"]), task("later", &["late"])]);
    assert_eq!(native.state("late"), State::Skipped);
    assert_eq!(native.state("later"), State::Skipped);
}

#[test]
fn a_deep_chain_and_a_wide_fan_are_no_trouble() {
    const DEPTH: usize = 50_000;
    let hub = Hub::start();
    let native = hub.native();
    let name = |n: usize| format!("t{n}");
    let chain: Vec<Task> = (0..DEPTH).map(|n| task(&name(n), &[&name(n + 1)])).collect();
    assert_eq!(native.create(&chain).added, DEPTH as u64);
    let (code, _) = refusal(&native, vec![task(&name(DEPTH), &["t0"])]);
    assert_eq!(code, ErrorCode::ErrorCycle);
    native.create(&[task(&name(DEPTH), &[])]);
    let lease = native.steal_one(&plain_worker("w"));
    native.report(&plain_worker("w"), vec![e2e::outcome_failed(&lease)]);
    // Not in one go: others want to be served as well.
    let all = || (native.counts().skipped == DEPTH as u64).then_some(());
    eventually("the whole chain to be skipped", all);
}
