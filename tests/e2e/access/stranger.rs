//! Somebody else's hub where ours was: it hands out commands, and nobody may run them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use dhub_proto::Message;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{self, reply};
use e2e::{Process, eventually};

use super::{Guarded, read};

/// What its tasks do, in the directory of the pool.
const DEED: &str = "echo done >owned";

/// Answers whatever is asked as a hub would that has work.
struct Stranger {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How a stranger protects its socket.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    /// Encrypted, with keys of its own, and whoever connects is let in.
    Encrypted,
}

impl Stranger {
    /// In place of the hub that listened here, if one did.
    fn at(endpoint: &str, kind: Kind) -> Self {
        let context = zmq::Context::new();
        let router = context.socket(zmq::ROUTER).expect("a socket");
        router.set_linger(0).expect("an option");
        router.set_rcvtimeo(20).expect("an option");
        if let Kind::Encrypted = kind {
            let pair = zmq::CurveKeyPair::new().expect("keys");
            router.set_curve_server(true).expect("an option");
            router.set_curve_secretkey(&pair.secret_key).expect("an option");
        }
        eventually("the address to be free", || router.bind(endpoint).ok());
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(mut parts) = router.recv_multipart(0) {
                    let request = parts.pop().unwrap_or_default();
                    parts.push(answer(&request));
                    router.send_multipart(parts, 0).expect("to send");
                }
            }
            drop(router);
            drop(context);
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("the stranger"));
    }
}

fn answer(request: &[u8]) -> Vec<u8> {
    let request = wire::Request::decode(request).expect("a request");
    let lease = wire::Lease {
        name: "theirs".into(),
        command: DEED.into(),
        attempt: 1,
        ..Default::default()
    };
    let stolen = || wire::Stolen { leases: vec![lease], ..Default::default() };
    let body = match request.body {
        Some(Body::Hello(_)) => reply::Body::Welcome(wire::Welcome {
            worker_timeout_ms: 30_000,
            lease_ms: 60_000,
            ..Default::default()
        }),
        Some(Body::Steal(_)) => reply::Body::Stolen(stolen()),
        Some(Body::Status(_)) => reply::Body::Status(wire::StatusReport::default()),
        Some(Body::Complete(_)) => reply::Body::Completed(wire::Completed::default()),
        _ => reply::Body::Exited(wire::Exited::default()),
    };
    wire::Reply { id: request.id, body: Some(body) }.encode_to_vec()
}

/// A pool of ours that found its hub, and the hub died.
fn pool_without_hub(hub: &mut Guarded) -> Process {
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1"]);
    let mut pool = Process::start(command);
    pool.hear("1 slot");
    hub.process().kill9();
    pool
}

fn nothing_of_a_stranger_runs(kind: Kind) {
    let mut hub = Guarded::start();
    let ipc = read(&hub.access("owner")).ipc;
    let mut pool = pool_without_hub(&mut hub);
    let owned = hub.space.path("owned");
    let _stranger = Stranger::at(&ipc, kind);
    let owner = hub.access("owner").display().to_string();
    for which in [&[][..], &["--access", &owner], &["-s", &ipc]] {
        for tool in [&["dquery", "status"][..], &["dquery", "steal"], &["kworker", "-j", "1"]] {
            let args = [&tool[1..], which, &["--timeout", "1s"]].concat();
            let said = hub.space.run(tool[0], &args);
            said.exits(11).says(&[&ipc, "another hub than", "owner.access"]);
        }
    }
    pool.hear("another hub than");
    assert!(!owned.exists(), "{kind:?}: its command ran");
    pool.signal(rustix::process::Signal::TERM);
    pool.end();
    assert!(!owned.exists(), "{kind:?}: its command ran");
}

#[test]
fn a_plain_hub_at_the_socket_of_ours_is_not_served() {
    nothing_of_a_stranger_runs(Kind::Plain);
}

#[test]
fn an_encrypted_hub_with_other_keys_at_the_socket_of_ours_is_not_served() {
    nothing_of_a_stranger_runs(Kind::Encrypted);
}

#[test]
fn a_plain_hub_at_the_port_of_ours_is_not_served_by_whatever_name_it_is_called() {
    let mut hub = Guarded::start();
    hub.process().kill9();
    let _stranger = Stranger::at(&format!("tcp://127.0.0.1:{}", hub.port), Kind::Plain);
    let names = ["localhost", "127.0.0.1", &dhub_proto::host_name()].map(str::to_owned);
    for name in names {
        let place = format!("{name}:{}", hub.port);
        for insecure in [&[][..], &["--insecure"]] {
            let args = [&["-j", "1", "--timeout", "1s", "-s", &place], insecure].concat();
            hub.space.run("kworker", &args).exits(11).says(&["another hub than"]);
        }
    }
    assert!(!hub.space.path("owned").exists());
}

#[test]
fn the_key_of_a_hub_is_found_by_each_name_of_its_machine() {
    let hub = Guarded::start();
    let (port, host) = (hub.port, dhub_proto::host_name());
    for name in ["localhost", "127.0.0.1", "tcp://localhost", &host] {
        hub.space.run("dquery", &["status", "-s", &format!("{name}:{port}")]).exits(0);
    }
    let ipc = read(&hub.access("owner")).ipc;
    hub.space.run("dquery", &["status", "-s", &ipc]).exits(0);
}

#[test]
fn without_a_key_only_an_option_makes_a_client_talk() {
    let hub = Guarded::start();
    let port = e2e::free_ports();
    let place = format!("localhost:{port}");
    let _stranger = Stranger::at(&format!("tcp://127.0.0.1:{port}"), Kind::Plain);
    for tool in [&["dquery", "steal"][..], &["kworker", "-j", "1"]] {
        let said = hub.space.run(tool[0], &[&tool[1..], &["-s", &place]].concat());
        said.exits(11).says(&["no key is known", &place, "--access", "--insecure"]);
    }
    hub.space.run("dquery", &["steal", "--insecure", "-s", &place]).exits(0).prints(&["theirs"]);
    let mut command = hub.space.command("dquery");
    command.args(["steal", "-s", &place]).env("DHUB_INSECURE", "1");
    Process::start(command).end().exits(0);
    // Over ipc there is always a key.
    let path = format!("ipc://{}", hub.space.path("x.sock").display());
    let _other = Stranger::at(&path, Kind::Plain);
    let said = hub.space.run("dquery", &["steal", "--insecure", "-s", &path]);
    said.exits(11).says(&["no key is known", "x.sock", "--access"]);
    assert!(!said.stderr.contains("DHUB_INSECURE"), "{}", said.stderr);
}

#[test]
fn a_directory_of_sockets_that_others_can_enter_is_no_place_to_look() {
    use std::os::unix::fs::PermissionsExt;
    let hub = Guarded::start();
    let ipc = read(&hub.access("owner")).ipc;
    let dir = Path::new(ipc.trim_start_matches("ipc://")).parent().expect("a directory");
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o770)).expect("a directory");
    // The hub has a port as well; nobody falls back to it.
    for tool in [&["dquery", "status"][..], &["kworker", "-j", "1"]] {
        hub.space
            .run(tool[0], &tool[1..])
            .exits(9)
            .says(&["can be entered by others", "chmod 700"]);
    }
}
