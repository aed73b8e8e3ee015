//! The table of docs/security.md, cell by cell.

use dhub_proto::dwork::query_msg::Type;
use dhub_proto::role::Role;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Dwork, dwork_reply, plain_worker, task};

use super::Guarded;

/// A request, by name, and who may ask it. Each is answered at once.
fn table() -> Vec<(&'static str, Body, &'static [Role])> {
    use Role::*;
    let worker = || Some(plain_worker("w"));
    let selection = || Some(Selection { names: vec!["a".into()], ..Default::default() });
    let by_state = || Some(Selection { states: vec![State::Failed as i32], ..Default::default() });
    const ALL: &[Role] = &[Observe, Submit, Work, Admin];
    const LOOK: &[Role] = &[Observe, Submit, Admin];
    vec![
        ("Hello", Body::Hello(Hello::default()), ALL),
        ("Status", Body::Status(Status {}), LOOK),
        ("List", Body::List(List::default()), LOOK),
        ("Show", Body::Show(Show { name: "a".into() }), LOOK),
        ("Export", Body::Export(Export::default()), LOOK),
        ("Count", Body::Count(Count { selection: by_state() }), LOOK),
        (
            "Wait for tasks",
            Body::Wait(Wait { names: vec!["a".into()], ..Default::default() }),
            LOOK,
        ),
        ("Wait", Body::Wait(Wait { wait_ms: 0, ..Default::default() }), LOOK),
        ("Create", Body::Create(Create { tasks: vec![task("b", &[])] }), &[Submit]),
        ("Cancel", Body::Cancel(Cancel { selection: selection() }), &[Submit]),
        ("Cancel by state", Body::Cancel(Cancel { selection: by_state() }), &[Submit]),
        ("Retry", Body::Retry(Retry { selection: selection(), done: false }), &[Submit]),
        (
            "Adjust",
            Body::Adjust(Adjust {
                selection: selection(),
                change: Some(adjust::Change::Held(false)),
            }),
            &[Submit],
        ),
        (
            "Adjust by state",
            Body::Adjust(Adjust {
                selection: by_state(),
                change: Some(adjust::Change::Held(true)),
            }),
            &[Submit],
        ),
        ("Steal", Body::Steal(Steal { worker: worker(), n: 1, ..Steal::default() }), &[Work]),
        ("Complete", Body::Complete(Complete { worker: worker(), ..Complete::default() }), &[Work]),
        ("Release", Body::Release(Release { worker: worker(), attempts: Vec::new() }), &[Work]),
        (
            "Heartbeat",
            Body::Heartbeat(Heartbeat { worker: worker(), ..Heartbeat::default() }),
            &[Work],
        ),
        ("Exit", Body::Exit(Exit { worker: worker() }), &[Work]),
        ("Workers", Body::Workers(Workers::default()), LOOK),
        (
            "Steer",
            Body::Steer(Steer { workers: vec!["*".into()], order: Order::Drain.into() }),
            &[Admin],
        ),
        ("Reload", Body::Reload(Reload {}), &[Admin]),
        ("Backup", Body::Backup(Backup { to: "/nowhere/b.db".into() }), &[]),
        // Last: the hub goes.
        ("Shutdown", Body::Shutdown(Shutdown {}), &[Admin]),
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
    let mut denied = 0;
    for (what, body, allowed) in table() {
        for (roles, native) in &natives {
            let may = roles.iter().any(|role| allowed.contains(role));
            let answer = native.ask(body.clone());
            let code = match &answer {
                reply::Body::Error(error) => error.code(),
                _ => ErrorCode::ErrorUnspecified,
            };
            let is_backup = matches!(body, Body::Backup(_)) && roles.contains(&Role::Admin);
            let expected = if is_backup {
                // Allowed, but not over TCP.
                code == ErrorCode::ErrorInvalid
            } else {
                (code == ErrorCode::ErrorDenied) != may
            };
            assert!(expected, "{what} by {roles:?}: {answer:?}");
            denied += u64::from(code == ErrorCode::ErrorDenied);
            if what == "Exit" && roles.contains(&Role::Work) {
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
