//! The table of docs/security.md, cell by cell.

use dhub_proto::dwork::query_msg::Type;
use dhub_proto::role::Role;
use dhub_proto::verb::{Verb, Way};
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Dwork, dwork_reply, plain_worker, task};

use super::Guarded;

/// Each request, some in several ways. Each is answered at once.
fn requests() -> Vec<Body> {
    let worker = || Some(plain_worker("w"));
    let selection = || Some(Selection { names: vec!["a".into()], ..Default::default() });
    let by_state = || Some(Selection { states: vec![State::Failed as i32], ..Default::default() });
    vec![
        Body::Hello(Hello::default()),
        Body::Status(Status {}),
        Body::List(List::default()),
        Body::Show(Show { name: "a".into() }),
        Body::Export(Export::default()),
        Body::Count(Count { selection: by_state() }),
        Body::Wait(Wait { names: vec!["a".into()], ..Default::default() }),
        Body::Wait(Wait { wait_ms: 0, ..Default::default() }),
        Body::Create(Create { tasks: vec![task("b", &[])] }),
        Body::Cancel(Cancel { selection: selection() }),
        Body::Cancel(Cancel { selection: by_state() }),
        Body::Retry(Retry { selection: selection(), done: false }),
        Body::Adjust(Adjust { selection: selection(), change: Some(adjust::Change::Held(false)) }),
        Body::Adjust(Adjust { selection: by_state(), change: Some(adjust::Change::Held(true)) }),
        Body::Steal(Steal { worker: worker(), n: 1, ..Steal::default() }),
        Body::Complete(Complete { worker: worker(), ..Complete::default() }),
        Body::Release(Release { worker: worker(), attempts: Vec::new() }),
        Body::Heartbeat(Heartbeat { worker: worker(), ..Heartbeat::default() }),
        Body::Exit(Exit { worker: worker() }),
        Body::Workers(Workers::default()),
        Body::Steer(Steer { workers: vec!["*".into()], order: Order::Drain.into() }),
        Body::Reload(Reload {}),
        Body::Backup(Backup { to: "/nowhere/b.db".into() }),
        // Last: the hub goes.
        Body::Shutdown(Shutdown {}),
    ]
}

#[test]
fn every_role_and_every_request() {
    let mut hub = Guarded::start();
    for role in Role::ALL {
        hub.new_key(&format!("only-{role}"), &[role.name()]);
    }
    hub.new_key("both", &["submit", "work"]);
    hub.native("owner").create(&[task("a", &[])]);
    let natives = Role::ALL.map(|role| (vec![role], hub.native(&format!("only-{role}"))));
    let mut natives = Vec::from(natives);
    natives.push((vec![Role::Submit, Role::Work], hub.native("both")));
    // Admin last, so that Shutdown is asked by all before it is carried out.
    natives.swap(3, 4);
    let asked: Vec<Verb> = requests().iter().map(Verb::of).collect();
    assert!(Verb::ALL.iter().all(|verb| asked.contains(verb)), "of each one");
    let mut denied = 0;
    for body in requests() {
        let verb = Verb::of(&body);
        for (roles, native) in &natives {
            let may = roles.iter().any(|&role| verb.is_for(role));
            let answer = native.ask(body.clone());
            let code = match &answer {
                reply::Body::Error(error) => error.code(),
                _ => ErrorCode::ErrorUnspecified,
            };
            let expected = if may && verb.way() == Way::Ipc {
                // Allowed, but not over TCP.
                code == ErrorCode::ErrorInvalid
            } else {
                (code == ErrorCode::ErrorDenied) != may
            };
            assert!(expected, "{verb:?} by {roles:?}: {answer:?}");
            denied += u64::from(code == ErrorCode::ErrorDenied);
            if verb == Verb::Exit && roles.contains(&Role::Work) {
                let counted = hub.status()["hub"]["requests_denied"].as_u64();
                assert!(
                    counted.is_some_and(|counted| counted >= denied),
                    "{counted:?} of {denied}"
                );
            }
        }
    }
    hub.process.take().expect("a hub").end().exits(0);
}

#[test]
fn programs_written_for_dwork_are_held_to_the_same() {
    let hub = Guarded::start();
    hub.new_key("look", &["observe"]);
    let dwork = |key: &str| Dwork::to(&hub.target(key));
    assert_eq!(dwork("worker").create("a", &[]), Type::Error);
    assert_eq!(dwork("look").create("a", &[]), Type::Error);
    assert_eq!(dwork("submit").create("a", &[]), Type::Ok);
    assert_eq!(dwork("submit").steal("w", 1), Err(Type::Error));
    assert_eq!(dwork("look").steal("w", 1), Err(Type::Error));
    assert_eq!(dwork("worker").steal("w", 1), Ok(vec!["a".to_owned()]));
    assert_eq!(dwork("look").complete("w", &["a"]).r#type(), Type::Error);
    assert_eq!(dwork("worker").complete("w", &["a"]).r#type(), Type::Ok);
    assert_eq!(dwork("worker").ask(&dwork_reply(Type::Ok)).r#type(), Type::Error);
    assert_eq!(hub.status()["counts"]["done"], 1);
}
