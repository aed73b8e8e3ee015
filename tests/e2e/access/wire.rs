//! What travels between a client and a hub, as somebody sees it who sits between them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dhub_proto::find::Target;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, plain_worker};

use super::Guarded;

/// Passes one connection on to a port, and keeps what went to it and what came back.
struct Tap {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let tap = Self {
            port: listener.local_addr().expect("a port").port(),
            sent: Arc::default(),
            answered: Arc::default(),
        };
        let (sent, answered) = (Arc::clone(&tap.sent), Arc::clone(&tap.answered));
        std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let hub = TcpStream::connect(("127.0.0.1", port)).expect("the hub");
            let back = (hub.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            std::thread::spawn(move || pass(back.0, back.1, &answered));
            pass(client, hub, &sent);
        });
        tap
    }

    fn endpoint(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    fn sent(&self) -> Vec<u8> {
        self.sent.lock().expect("the bytes").clone()
    }

    /// Does it occur in either direction?
    fn saw(&self, text: &str) -> bool {
        let answered = self.answered.lock().expect("the bytes").clone();
        [self.sent(), answered].iter().any(|bytes| has(bytes, text))
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn pass(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        kept.lock().expect("the bytes").extend_from_slice(&buffer[..n]);
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

/// Adds a task, steals it, and reports it done: all that a task's life has.
fn one_task(native: &Native) {
    let task = Task {
        name: "SECRET-NAME".into(),
        command: "echo SECRET-COMMAND".into(),
        ..Task::default()
    };
    native.create(&[task]);
    let lease = native.steal_one(&plain_worker("SECRET-WORKER"));
    let mut outcome = e2e::outcome_failed(&lease);
    outcome.output = b"SECRET-OUTPUT".to_vec();
    native.report(&plain_worker("SECRET-WORKER"), vec![outcome]);
}

#[test]
fn nothing_of_a_task_can_be_read_on_the_way() {
    const SECRETS: [&str; 4] = ["SECRET-NAME", "SECRET-COMMAND", "SECRET-WORKER", "SECRET-OUTPUT"];
    let hub = Guarded::start();
    let tap = Tap::to(hub.port);
    one_task(&Native::to(&Target { endpoint: tap.endpoint(), ..hub.target("owner") }));
    assert!(tap.sent().len() > 300 && tap.saw("CURVE"), "something went through the tap");
    let seen: Vec<_> = SECRETS.iter().filter(|secret| tap.saw(secret)).collect();
    assert!(seen.is_empty(), "{seen:?}");
    // The same over plain TCP: the tap would have seen it.
    let plain = Hub::start();
    let tap = Tap::to(plain.port());
    one_task(&Native::connect(&tap.endpoint()));
    assert!(SECRETS.iter().all(|secret| tap.saw(secret)));
}

#[test]
fn what_was_recorded_cannot_be_played_again() {
    let hub = Guarded::start();
    let names: Vec<_> = (0..3).map(|n| e2e::task(&n.to_string(), &[])).collect();
    hub.native("owner").create(&names);
    let tap = Tap::to(hub.port);
    let native = Native::to(&Target { endpoint: tap.endpoint(), ..hub.target("worker") });
    // Not repeatable: each time that it is heard, one more task is leased.
    native.ask(Body::Steal(Steal { worker: Some(plain_worker("w")), n: 1, ..Steal::default() }));
    assert_eq!(hub.status()["counts"]["running"], 1);
    let recorded = tap.sent();
    let refused = hub.status()["hub"]["handshakes_failed"].as_u64().unwrap();
    for _ in 0..3 {
        let mut again = TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
        again.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The hub may close the connection before it has taken all.
        let _ = again.write_all(&recorded);
        // Its greeting, perhaps, and then the end: not a time-out.
        if let Err(error) = again.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    super::await_failures(&hub, refused + 3);
    assert_eq!(hub.status()["counts"]["running"], 1);
}

#[test]
fn who_is_encrypted_and_who_is_not_do_not_understand_each_other() {
    let guarded = Guarded::start();
    let mut plain = Hub::start();
    let access = guarded.abroad("owner").display().to_string();
    let args = ["status", "-s", &plain.tcp(), "--access", &access];
    let said = guarded.space.run("dquery", &args);
    said.exits(11)
        .says(&["another hub than", "is not encrypted", &plain.tcp(), "without --access"])
        .is_one_message();
    let tcp = format!("tcp://127.0.0.1:{}", guarded.port);
    plain.query(&["status", "-s", &tcp]).exits(11).says(&["lets only known keys in", &tcp]);
    let worker = plain.worker(&["-s", &tcp]);
    worker.end().exits(11).says(&["lets only known keys in"]);
    assert!(plain.is_running());
}

#[test]
fn a_hub_can_have_plain_and_encrypted_endpoints_side_by_side() {
    let port = e2e::free_ports();
    let curve = format!("tcp://127.0.0.1:{port}");
    let hub = Hub::with(&["--curve", &curve]);
    hub.dwork().create("a", &[]);
    let entry = std::fs::read_dir(hub.path(".dhub")).unwrap().next().unwrap().unwrap();
    let access = super::read(&entry.path().join("owner.access"));
    assert_eq!(access.endpoints, [curve.as_str()], "only what is encrypted");
    assert_eq!(Native::to(&super::target(&access)).counts().ready, 1);
    assert_eq!(hub.query(&["status", "--json"]).json()["hub"]["insecure"], true);
}
