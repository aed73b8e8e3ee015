//! What dwork's hub does wrong, done right at the same port.

use dhub_proto::dwork::QueryMsg;
use dhub_proto::dwork::query_msg::Type;
use e2e::{Hub, dwork_reply, dwork_task, location, names_of};

#[test]
fn a_dependency_that_nobody_added_is_waited_for() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    assert_eq!(dwork.create("late", &["first"]), Type::Ok);
    assert_eq!(dwork.steal("w", 1), Err(Type::NotFound));
    assert_eq!(dwork.create("first", &[]), Type::Ok);
    assert_eq!(dwork.steal("w", 2), Ok(vec!["first".into()]));
    assert_eq!(dwork.complete("w", &["first"]).r#type(), Type::Ok);
    assert_eq!(dwork.steal("w", 2), Ok(vec!["late".into()]));
}

#[test]
fn an_empty_hub_keeps_its_workers() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    assert_eq!(dwork.steal("early", 1), Err(Type::NotFound));
    assert_eq!(dwork.create("a", &[]), Type::Ok);
    assert_eq!(dwork.steal("early", 1), Ok(vec!["a".into()]));
    assert_eq!(dwork.complete("early", &["a"]).r#type(), Type::Ok);
    assert_eq!(dwork.steal("early", 1), Err(Type::Exit));
}

#[test]
fn a_second_create_queues_nothing_twice() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    for _ in 0..3 {
        assert_eq!(dwork.create("a", &[]), Type::Ok);
    }
    assert_eq!(dwork.status().0, 1);
    assert_eq!(dwork.steal("w", 5), Ok(vec!["a".into()]));
    assert_eq!(dwork.create("a", &[]), Type::Ok, "while it runs");
    assert_eq!(dwork.steal("other", 5), Err(Type::NotFound));
    assert_eq!(dwork.complete("w", &["a"]).r#type(), Type::Ok);
    assert_eq!(dwork.create("a", &[]), Type::Ok, "when it is done");
    assert_eq!(dwork.steal("other", 5), Err(Type::Exit));
}

#[test]
fn a_second_create_adds_dependencies_while_it_can() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.create("b", &[]);
    assert_eq!(dwork.create("a", &["b"]), Type::Ok);
    assert_eq!(dwork.steal("w", 5), Ok(vec!["b".into()]));
    dwork.complete("w", &["b"]);
    assert_eq!(dwork.steal("w", 5), Ok(vec!["a".into()]));
    assert_eq!(dwork.create("a", &["c"]), Type::Ok, "while it runs: no effect");
    assert_eq!(dwork.complete("w", &["a"]).r#type(), Type::Ok);
}

#[test]
fn only_the_holder_completes_a_task() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.steal("holder", 1).unwrap();
    assert_eq!(dwork.complete("thief", &["a"]).r#type(), Type::Error);
    assert_eq!(hub.state("a"), "running");
    assert_eq!(dwork.complete("holder", &["a"]).r#type(), Type::Ok);
    assert_eq!(dwork.complete("holder", &["a"]).r#type(), Type::Ok, "the same again");
    assert_eq!(dwork.complete("thief", &["a"]).r#type(), Type::Error);
}

#[test]
fn a_task_that_nobody_stole_cannot_be_completed() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.create("b", &["a"]);
    assert_eq!(dwork.complete("w", &["b"]).r#type(), Type::Error, "it waits");
    assert_eq!(dwork.complete("w", &["a"]).r#type(), Type::Error, "it is ready");
    assert_eq!(hub.state("b"), "waiting");
    assert_eq!(dwork.steal("w", 5), Ok(vec!["a".into()]));
}

#[test]
fn names_that_do_not_exist_come_back_with_not_found() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.steal("w", 1).unwrap();
    let reply = dwork.complete("w", &["x", "a", "y"]);
    assert_eq!(reply.r#type(), Type::NotFound);
    assert_eq!(names_of(&reply), ["x", "y"]);
    assert_eq!(hub.state("a"), "done", "the others count");

    let task = vec![dwork_task("z", &[])];
    let reply = dwork.ask(&QueryMsg { task, ..location(Type::Transfer, "w") });
    assert_eq!((reply.r#type(), names_of(&reply)), (Type::NotFound, vec!["z".to_owned()]));
}

#[test]
fn cycles_are_refused_and_nothing_is_added() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    assert_eq!(dwork.create("self", &["self"]), Type::Error);
    let task = vec![dwork_task("a", &["b"]), dwork_task("b", &["c"]), dwork_task("c", &["a"])];
    assert_eq!(dwork.ask(&QueryMsg { task, ..dwork_reply(Type::Create) }).r#type(), Type::Error);
    assert_eq!(dwork.status().1, "dhub: 0 active tasks, 0 ready.");

    dwork.create("a", &["b"]);
    assert_eq!(dwork.create("b", &["a"]), Type::Error, "closed by a later task");
    dwork.create("b", &[]);
    assert_eq!(dwork.create("b", &["a"]), Type::Error, "closed by a further dependency");
    assert_eq!(dwork.steal("w", 5), Ok(vec!["b".into()]));
}

#[test]
fn transfer_gives_back_and_may_add_dependencies() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.steal("w", 1).unwrap();
    let task = vec![dwork_task("a", &["b"])];
    let reply = dwork.ask(&QueryMsg { task, ..location(Type::Transfer, "w") });
    assert_eq!(reply.r#type(), Type::Ok);
    assert_eq!(dwork.steal("w", 1), Err(Type::NotFound), "it waits for b");
    dwork.create("b", &[]);
    assert_eq!(dwork.steal("w", 5), Ok(vec!["b".into()]));
    dwork.complete("w", &["b"]);
    assert_eq!(dwork.steal("w", 5), Ok(vec!["a".into()]));
}

#[test]
fn tasks_made_ready_go_before_new_ones() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("first", &[]);
    for (name, needs) in [("x", ["first"]), ("y", ["first"])] {
        dwork.create(name, &needs);
    }
    dwork.create("new1", &[]);
    dwork.create("new2", &[]);
    assert_eq!(dwork.steal("w", 1), Ok(vec!["first".into()]));
    dwork.complete("w", &["first"]);
    let order = dwork.steal("w", 10).unwrap();
    assert_eq!(order[2..], ["new1", "new2"]);
    let mut ready: Vec<_> = order[..2].to_vec();
    ready.sort();
    assert_eq!(ready, ["x", "y"]);
}

#[test]
fn who_has_left_is_unknown_until_it_steals_again() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    for name in ["a", "b", "c"] {
        dwork.create(name, &[]);
    }
    let exit = || dwork.ask(&location(Type::Exit, "w")).r#type();
    assert_eq!(exit(), Type::NotFound);
    assert_eq!(dwork.steal("w", 2), Ok(vec!["a".into(), "b".into()]));
    assert_eq!((exit(), exit()), (Type::Ok, Type::NotFound));
    // What it gave back comes first, in the order in which it was given out.
    assert_eq!(dwork.steal("w", 3), Ok(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(exit(), Type::Ok);
}
