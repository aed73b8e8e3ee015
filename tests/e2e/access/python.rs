//! A client in another language: pyzmq with CURVE, from nothing but an access file.

use std::process::Command;

use e2e::{Process, task};

use super::Guarded;

/// Status as bytes, by hand: field 8 (id) is 7, field 19 (status) is empty.
const SCRIPT: &str = r#"
import json, sys, zmq
access = json.load(open(sys.argv[1]))
socket = zmq.Context().socket(zmq.REQ)
socket.linger, socket.rcvtimeo = 0, int(sys.argv[2])
for option, key in ((zmq.CURVE_SERVERKEY, "server_key"), (zmq.CURVE_PUBLICKEY, "public_key"), (zmq.CURVE_SECRETKEY, "secret_key")):
    socket.setsockopt(option, access[key].encode())
socket.connect(access["endpoints"][0])
socket.send(bytes([0x40, 7, 0x9a, 1, 0]))
try:
    print(socket.recv().hex())
except zmq.Again:
    print("no answer")
"#;

/// A Python with pyzmq: $DHUB_PYTHON, which scripts/test.sh sets, else the one on the path.
fn python() -> Option<String> {
    let python = std::env::var("DHUB_PYTHON").unwrap_or("python3".into());
    let has_zmq =
        Command::new(&python).args(["-c", "import zmq; assert zmq.has('curve')"]).output();
    has_zmq.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn a_pyzmq_client_gets_in_by_its_access_file() {
    let Some(python) = python() else {
        assert!(std::env::var_os("DHUB_PYTHON").is_none(), "DHUB_PYTHON has no pyzmq with CURVE");
        eprintln!("skipped: no Python with pyzmq here (pip install pyzmq, or scripts/test.sh)");
        return;
    };
    let hub = Guarded::start();
    hub.native("owner").create(&[task("a", &[])]);
    hub.space.write("client.py", SCRIPT);
    let ask = |file: &str, ms: &str| {
        let mut command = hub.space.command(&python);
        command.args(["client.py", file, ms]);
        Process::start(command).end()
    };
    hub.new_key("py", &["observe"]);
    let access = hub.access("py").display().to_string();
    let answer = ask(&access, "30000");
    // A reply under id 7, with field 19.
    assert!(answer.ok().starts_with("40079a01"), "{answer:?}");
    std::fs::copy(hub.access("py"), hub.space.path("kept")).unwrap();
    hub.dhub(&["access", "revoke", "py"]).exits(0);
    assert_eq!(ask("kept", "500").ok().trim(), "no answer");
}
