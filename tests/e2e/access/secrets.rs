//! Secret keys are in their files and nowhere else.

use std::fs;

use e2e::Process;

use super::{Guarded, read};

#[test]
fn keys_are_in_no_log_process_list_environment_or_database() {
    let mut hub = Guarded::with(&["-vvv"]);
    let owner = hub.abroad("owner").display().to_string();
    let mut command = hub.space.command("kworker");
    command.args(["-vv", "-j", "1", "--access", &owner]).env("RUST_LOG", "trace");
    let mut worker = Process::start(command);
    worker.hear("1 slot");
    let script = "env >env; cat /proc/$$/environ /proc/$PPID/cmdline >>env";
    hub.space.run("dquery", &["create", "a", "--command", script]).exits(0);
    e2e::eventually("the task to be done", || (hub.status()["counts"]["done"] == 1).then_some(()));
    hub.new_key("node", &["work"]);
    let process = format!("/proc/{}", hub.process().id());
    let shown = hub.dhub(&["access", "list"]);
    let mut places = vec![
        ("the hub's log", hub.process().stderr().into_bytes()),
        ("the hub's command line", fs::read(format!("{process}/cmdline")).unwrap()),
        ("the worker's log", worker.stderr().into_bytes()),
        ("the environment of the task", fs::read(hub.space.path("env")).unwrap()),
        ("dhub access list", shown.ok().as_bytes().to_vec()),
    ];
    let mut keys: Vec<String> = ["owner", "submit", "worker", "node"]
        .map(|name| read(&hub.access(name)).secret_key.expose().to_owned())
        .into();
    let server: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(hub.home().join("server.json")).unwrap()).unwrap();
    keys.push(server["secret_key"].as_str().unwrap().to_owned());
    assert!(String::from_utf8_lossy(&places[3].1).contains("DHUB_ACCESS="));
    hub.terminate().exits(0);
    places.push(("the database", fs::read(hub.space.path("run.db")).unwrap()));
    for (place, bytes) in &places {
        assert!(!bytes.is_empty(), "{place}");
        for key in &keys {
            let raw = zmq::z85_decode(key).unwrap();
            let seen = bytes.windows(40).any(|it| it == key.as_bytes())
                || bytes.windows(32).any(|it| it == raw);
            assert!(!seen, "{place} has a key");
        }
    }
}
