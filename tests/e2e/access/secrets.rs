//! Secret keys are in their files and nowhere else.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use e2e::{Process, Space};

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

/// What a process has on its heap and its stacks.
fn memory(process: u32) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("a process");
    let memory = File::open(format!("/proc/{process}/mem")).expect("memory of one's own child");
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (begin, end) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (begin, end) = (number(begin)?, number(end)?);
        let mut bytes = vec![0; usize::try_from(end - begin).ok()?];
        (rest.starts_with('r')
            && !rest.contains('/')
            && memory.read_exact_at(&mut bytes, begin).is_ok())
        .then_some(bytes)
    };
    maps.lines().filter_map(range).collect()
}

#[test]
fn a_hub_that_runs_has_no_secret_key_as_text_in_its_memory() {
    let space = Space::new();
    let mut command = space.command("dhub");
    // So that who started it may look.
    command.args(["-f", "run.db", "--local"]).env("DHUB_CORE", "1");
    let mut hub = Process::start(command);
    hub.hear("your tools find it");
    let mut homes = fs::read_dir(space.path(".dhub")).unwrap();
    let home = homes.next().unwrap().unwrap().path();
    let memory = memory(hub.id());
    let has =
        |text: &str| memory.iter().any(|it| it.windows(text.len()).any(|it| it == text.as_bytes()));
    assert!(has("keys.json"), "it can be searched");
    for file in ["server.json", "owner.access", "submit.access", "worker.access"] {
        let text = fs::read_to_string(home.join(file)).unwrap();
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!has(text["secret_key"].as_str().unwrap()), "the key of {file}");
    }
}
