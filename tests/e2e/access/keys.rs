//! With which keys one gets in.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use dhub_proto::access::SecretKey;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Native, Process, Space, eventually, free_ports, plain_worker, task};

use super::{Guarded, await_failures, read, target};

const DENIED: i32 = 11;

#[test]
fn the_owner_needs_no_option_and_others_need_their_file() {
    let hub = Guarded::start();
    hub.space.run("dquery", &["create", "a"]).exits(0);
    hub.query_abroad("owner", &["create", "b"]).exits(0);
    hub.query_abroad("submit", &["create", "c"]).exits(0);
    hub.query_abroad("worker", &["steal", "-q"]).exits(0);
    assert_eq!(hub.status()["counts"]["ready"], 2);
}

#[test]
fn without_a_key_nothing_is_answered() {
    let mut hub = Guarded::start();
    let endpoint = hub.target("owner").endpoint;
    let native = Native::connect(&endpoint);
    native.send(Body::Status(Status {}));
    assert!(!native.has_reply(500));
    await_failures(&hub, 1);
    // Of a user who knows no hub.
    let mut command = hub.space.command("dquery");
    command.args(["status", "--insecure", "-s", &endpoint]).env("DHUB_DIR", "elsewhere");
    let said = Process::start(command).end();
    said.exits(DENIED).says(&["lets only known keys in", "--access"]).is_one_message();
    let log = hub.process().stderr();
    assert!(log.contains("not let in") && log.contains("tcp://127.0.0.1:"), "{log}");
}

#[test]
fn a_key_that_the_hub_does_not_know_is_denied_and_that_is_not_called_down() {
    let hub = Guarded::start();
    let pair = zmq::CurveKeyPair::new().unwrap();
    let mut access = read(&hub.abroad("owner"));
    access.public_key = zmq::z85_encode(&pair.public_key).unwrap();
    access.secret_key = SecretKey::new(zmq::z85_encode(&pair.secret_key).unwrap());
    access.write(&hub.space.path("forged.access")).unwrap();
    let native = Native::to(&target(&access));
    native.send(Body::Status(Status {}));
    assert!(!native.has_reply(500));
    for tool in [&["dquery", "status"][..], &["kworker", "-j", "1"]] {
        let said = hub.space.run(tool[0], &[&tool[1..], &["--access", "forged.access"]].concat());
        said.exits(DENIED).says(&["does not let the key", "forged.access", "dhub access new"]);
    }
    await_failures(&hub, 3);
}

#[test]
fn another_hub_at_the_address_is_not_taken_for_ours() {
    let (ours, other) = (Guarded::start(), Guarded::start());
    let mut access = read(&ours.abroad("owner"));
    access.endpoints = read(&other.access("owner")).endpoints;
    access.write(&ours.space.path("wrong.access")).unwrap();
    let args = ["status", "--access", "wrong.access", "--timeout", "2s"];
    ours.space.run("dquery", &args).exits(DENIED).says(&["another hub than", "wrong.access"]);
}

#[test]
fn a_key_that_is_taken_back_is_refused_at_the_next_message_of_an_open_connection() {
    let hub = Guarded::start();
    hub.new_key("node", &["observe", "work"]);
    let (native, path) = (hub.native("node"), hub.abroad("node").display().to_string());
    assert_eq!(native.counts().ready, 0);
    hub.dhub(&["access", "revoke", "node"]).exits(0).says(&["taken back"]);
    let (code, error) = native.error(Body::Status(Status {}));
    assert_eq!(code, ErrorCode::ErrorDenied, "{error:?}");
    assert!(error.message.contains("'node' was taken back"), "{error:?}");
    hub.space.run("dquery", &["status", "--access", &path]).exits(DENIED);
    assert!(!hub.access("node").exists());
    hub.dhub(&["access", "revoke", "node"]).exits(6).says(&["no key 'node'", "owner"]);
    hub.dhub(&["access", "show"]).exits(0).prints(&["node", "TAKEN BACK"]);
    // The same name again is another key.
    hub.new_key("node", &["observe"]);
    hub.space.run("dquery", &["status", "--access", &path]).exits(DENIED);
    assert_eq!(hub.native("node").counts().ready, 0);
}

#[test]
fn a_hub_whose_owner_lost_the_key_is_reached_with_the_next_one() {
    let mut hub = Guarded::start();
    hub.dhub(&["access", "revoke", "owner"]).exits(0).says(&[
        "'owner' was taken back",
        "within a second",
        "dhub access new owner --role observe --role submit --role work --role admin",
    ]);
    hub.new_key("lab", &["observe"]);
    let owner = ["observe", "submit", "work", "admin"];
    hub.new_key("owner", &owner);
    eventually("the hub to know it", || {
        (hub.space.run("dquery", &["create", "a"]).code == Some(0)).then_some(())
    });
    hub.query_abroad("lab", &["status"]).exits(0);
    // Keys and port of one that does not run stay as well.
    let endpoints = read(&hub.access("lab")).endpoints;
    hub.dhub(&["access", "revoke", "owner"]).exits(0);
    hub.terminate().exits(0);
    hub.new_key("owner", &owner);
    assert_eq!(read(&hub.access("owner")).endpoints, endpoints);
}

/// The keys that are valid by the file alone.
fn edit_keys(hub: &Guarded, edit: impl Fn(&str) -> String) {
    let path = hub.home().join("keys.json");
    let text = fs::read_to_string(&path).unwrap();
    let new = path.with_extension("new");
    fs::write(&new, edit(&text)).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, &path).unwrap();
}

fn is_denied(native: &Native) -> bool {
    let answer = native.ask(Body::Status(Status {}));
    matches!(answer, reply::Body::Error(error) if error.code() == ErrorCode::ErrorDenied)
}

#[test]
fn the_keys_are_looked_at_each_second_without_being_told() {
    let mut hub = Guarded::start();
    hub.new_key("node", &["observe"]);
    let native = hub.native("node");
    assert!(!is_denied(&native));
    let good = fs::read_to_string(hub.home().join("keys.json")).unwrap();
    // What cannot be read changes nothing, and is told once.
    edit_keys(&hub, |_| "junk".into());
    hub.process().hear("the keys cannot be read; those of before stay valid");
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!is_denied(&native));
    assert_eq!(hub.process().stderr().matches("those of before").count(), 1);
    // A name that is not there is let in no more.
    edit_keys(&hub, |_| good.replace("\"node\"", "\"other\"").replace(&public(&hub), &forged()));
    eventually("the key to be refused", || is_denied(&native).then_some(()));
    assert_eq!(hub.native("owner").counts().ready, 0);
    edit_keys(&hub, |_| good.clone());
    eventually("the key to be valid again", || (!is_denied(&native)).then_some(()));
    fs::remove_file(hub.home().join("keys.json")).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!is_denied(&native), "a file that is gone takes no key back");
}

fn public(hub: &Guarded) -> String {
    read(&hub.access("node")).public_key
}

fn forged() -> String {
    zmq::z85_encode(&zmq::CurveKeyPair::new().unwrap().public_key).unwrap()
}

#[test]
fn a_key_is_taken_back_when_the_hub_has_no_descriptor_left() {
    const FILES: usize = 80;
    let space = Space::new();
    let port = free_ports();
    let mut command = space.command("sh");
    let hub = format!("dhub -f run.db -p {port} --host 127.0.0.1");
    command.args(["-c", &format!("ulimit -n {FILES} && exec {hub}")]);
    let mut process = Process::start(command);
    process.hear("your tools find it");
    let hub = Guarded { space, process: Some(process), port, files_max: None };
    hub.new_key("node", &["observe"]);
    let native = hub.native("node");
    assert!(!is_denied(&native));
    let mut idle = Vec::new();
    // Those that are not accepted wait in the queue of the system.
    for _ in 0..FILES + 40 {
        idle.extend(TcpStream::connect(("127.0.0.1", port)));
    }
    // Or as many as a hub gives to those who have not said yet who they are.
    std::thread::sleep(Duration::from_millis(300));
    assert!(idle.len() > FILES, "{}", idle.len());
    // Telling may take until others leave; the file is changed before.
    let mut command = hub.space.command("dhub");
    command.args(["access", "revoke", "node"]);
    let revoke = Process::start(command);
    let begin = Instant::now();
    eventually("the key to be refused", || is_denied(&native).then_some(()));
    // Sooner than those who say nothing are dropped.
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    drop(idle);
    drop(revoke.end());
}

#[test]
fn a_steal_that_waits_gives_nothing_to_a_key_that_was_taken_back() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    let native = hub.native("node");
    let worker = Some(plain_worker("node"));
    let id = native.send(Body::Steal(Steal {
        worker,
        n: 1,
        wait_ms: 60_000,
        stay: true,
        ..Steal::default()
    }));
    assert!(!native.has_reply(300), "it waits");
    hub.dhub(&["access", "revoke", "node"]).exits(0);
    hub.native("owner").create(&[task("a", &[])]);
    let reply = native.receive();
    assert_eq!(reply.id, id);
    assert!(
        matches!(&reply.body, Some(reply::Body::Error(error)) if error.code() == ErrorCode::ErrorDenied),
        "{reply:?}"
    );
    eventually("the task to be ready for others", || {
        (hub.status()["counts"]["ready"] == 1).then_some(())
    });
}

#[test]
fn keys_and_port_stay_through_a_restart_and_a_pool_works_on() {
    let mut hub = Guarded::start();
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1", "--access", &hub.abroad("owner").display().to_string()]);
    let mut worker = Process::start(command);
    worker.hear("1 slot");
    hub.process().kill9();
    hub.start_again(&[]);
    // A task that adds a task, by the access file of its worker.
    hub.space
        .run("dquery", &["create", "a", "--command", "dquery create b --command true"])
        .exits(0);
    eventually("both tasks to be done", || (hub.status()["counts"]["done"] == 2).then_some(()));
    assert!(worker.is_running());
}

#[test]
fn a_pool_whose_key_is_taken_back_stops() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1", "--access", &hub.abroad("node").display().to_string()]);
    let mut worker = Process::start(command);
    worker.hear("1 slot");
    hub.space
        .run("dquery", &["create", "a", "--command", "dquery create b || echo $? >code; sleep 600"])
        .exits(0);
    // What the key may not do, its tasks may not either.
    eventually("the task to be refused", || hub.space.path("code").exists().then_some(()));
    hub.dhub(&["access", "revoke", "node"]).exits(0);
    worker.end().exits(DENIED).says(&["taken back"]);
    assert_eq!(std::fs::read_to_string(hub.space.path("code")).unwrap().trim(), "11");
    assert_eq!(hub.status()["counts"]["ready"], 1, "at once");
}

/// Whatever keeps the hub from being told: it looks at the keys by itself.
#[test]
fn a_key_is_taken_back_when_the_hub_cannot_be_told() {
    let hub = Guarded::start();
    hub.new_key("node", &["observe"]);
    let native = hub.native("node");
    assert_eq!(native.counts().ready, 0);
    let owner = hub.access("owner");
    let kept = fs::read(&owner).unwrap();
    fs::write(&owner, "{").unwrap();
    let said = hub.dhub(&["access", "revoke", "node"]);
    said.exits(0).says(&["not told", "owner.access", "taken back"]);
    eventually("the key to be refused", || is_denied(&native).then_some(()));
    fs::write(&owner, kept).unwrap();
}
