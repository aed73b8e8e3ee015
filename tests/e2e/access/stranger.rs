//! Somebody else's hub where ours was: it hands out commands, and nobody may run them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// Who reached the hub waits for it, whoever is at its place meanwhile.
fn a_stranger_ends_no_wait(kind: Kind) {
    let mut hub = Guarded::start();
    for name in ["one", "two"] {
        hub.space.run("dquery", &["create", name]).exits(0);
    }
    let ipc = read(&hub.access("owner")).ipc;
    let start = |args: &[&str]| {
        let mut command = hub.space.command("dquery");
        command.args(args).args(["--timeout", "1s"]);
        Process::start(command)
    };
    let mut wait = start(&["wait", "--every", "100ms", "--wait-limit", "1h"]);
    let mut watch = start(&["status", "--watch=100ms"]);
    let complete = |hub: &Guarded, name: &str| {
        hub.space.run("dquery", &["steal"]).exits(0).prints(&[name]);
        hub.space.run("dquery", &["complete", name]).exits(0);
    };
    complete(&hub, "one");
    wait.hear("1/2");
    eventually("a line of status", || watch.stdout().contains("1/2").then_some(()));
    hub.process().kill9();
    let stranger = Stranger::at(&ipc, kind);
    wait.hear("the hub is silent");
    watch.hear("the hub is silent");
    drop(stranger);
    hub.start_again(&[]);
    wait.hear("the hub is back");
    watch.hear("the hub is back");
    complete(&hub, "two");
    wait.end().exits(0);
    watch.signal(rustix::process::Signal::TERM);
    watch.end();
}

#[test]
fn a_plain_hub_at_the_socket_of_ours_ends_no_wait() {
    a_stranger_ends_no_wait(Kind::Plain);
}

#[test]
fn an_encrypted_hub_with_other_keys_at_the_socket_of_ours_ends_no_wait() {
    a_stranger_ends_no_wait(Kind::Encrypted);
}

#[test]
fn a_plain_hub_at_the_port_of_ours_is_not_served_by_whatever_name_it_is_called() {
    let mut hub = Guarded::start();
    hub.process().kill9();
    let _stranger = Stranger::at(&format!("tcp://127.0.0.1:{}", hub.port), Kind::Plain);
    let names = ["localhost", "127.0.0.1", &dhub_proto::host_name()].map(str::to_owned);
    for name in names {
        let place = format!("{name}:{}", hub.port);
        let args = ["-j", "1", "--timeout", "1s", "-s", &place];
        hub.space.run("kworker", &args).exits(11).says(&["another hub than"]);
    }
    assert!(!hub.space.path("owned").exists());
}

/// Another hub of the same user, at the port of the one that was killed.
fn heir(hub: &mut Guarded, args: &[&str]) -> Process {
    hub.process().kill9();
    let mut command = hub.space.command("dhub");
    command.args(["-f", "zoo.db", "-p", &hub.port.to_string()]).args(args);
    let mut process = Process::start(command);
    process.hear("your tools find it");
    process
}

#[test]
fn a_hub_at_the_port_of_one_that_was_killed_is_found() {
    let mut hub = Guarded::start();
    let place = format!("localhost:{}", hub.port);
    let _heir = heir(&mut hub, &["--host", "127.0.0.1"]);
    for insecure in [&[][..], &["--insecure"]] {
        hub.space.run("dquery", &[&["status", "-s", &place], insecure].concat()).exits(0);
    }
}

#[test]
fn a_plain_hub_at_the_port_of_one_that_was_killed_is_talked_to_if_that_is_said() {
    let mut hub = Guarded::start();
    let place = format!("localhost:{}", hub.port);
    // Time for another try: which of the two ends the first connection decides what is seen of it.
    let args = ["status", "-s", &place, "--timeout", "20s"];
    // One that runs has its key, whatever is said.
    hub.space.run("dquery", &[&args[..], &["--insecure"]].concat()).exits(0);
    let _heir = heir(&mut hub, &["--insecure"]);
    hub.space.run("dquery", &args).exits(11).says(&["another hub than", "--insecure"]);
    hub.space.run("dquery", &[&args[..], &["--insecure"]].concat()).exits(0);
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
    let path = Path::new(ipc.trim_start_matches("ipc://"));
    let (dir, file) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    std::os::unix::fs::symlink(dir, hub.space.path("socks")).expect("a link");
    for name in [format!("ipc:///{}", path.display()), format!("ipc://./socks/{file}")] {
        hub.space.run("dquery", &["status", "-s", &name]).exits(0);
    }
    let said = hub.space.run("dquery", &["status", "-s", &format!("ipc://socks/x-{file}")]);
    said.exits(11).says(&["no key is known"]);
}

#[test]
fn a_name_that_is_none_is_told_so() {
    let hub = Guarded::start();
    let owner = hub.access("owner").display().to_string();
    for args in [&["--insecure"][..], &["--access", &owner], &[]] {
        let place = ["status", "--timeout", "300ms", "-s", "nobody.invalid:6125"];
        let said = hub.space.run("dquery", &[&place[..], args].concat());
        said.exits(7)
            .says(&["'nobody.invalid' is no name of a machine that can be found here", "-s"]);
    }
    let said = hub.space.run("kworker", &["-j", "1", "--timeout", "300ms", "-s", "nobody.invalid"]);
    said.exits(7).says(&["nobody.invalid"]);
    let mut command = hub.space.command("dquery");
    command.args(["status", "--timeout", "300ms"]).env("DHUB_HUB", "nobody.invalid");
    Process::start(command).end().exits(7).says(&["nobody.invalid"]);
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
            .exits(26)
            .says(&["can be entered by others", "chmod 700"]);
    }
}

/// Who says that to each who connects, and closes the connection; until it is dropped.
struct Closes {
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn closes_all(port: u16, words: &'static [u8]) -> Closes {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let thread = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let _ = listener.accept().and_then(|(mut peer, _)| peer.write_all(words));
        }
    });
    Closes { port, over, thread: Some(thread) }
}

impl Drop for Closes {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.thread.take().map(JoinHandle::join);
    }
}

/// As that of ssh, whose other end is gone.
#[test]
fn a_tunnel_to_nowhere_is_no_hub_that_is_full_and_is_not_waited_for() {
    let mut hub = Guarded::start();
    let abroad = hub.abroad("owner").display().to_string();
    hub.terminate().exits(0);
    let tunnel = closes_all(hub.port, b"");
    let args = ["--access", &abroad, "--timeout", "1s"];
    let why = ["unreachable", "closes them at once"];
    hub.space.run("dquery", &[&["status"], &args[..]].concat()).exits(7).says(&why);
    hub.space.run("kworker", &[&["-j", "1"], &args[..]].concat()).exits(7).says(&why);
    // One that is waited for may come back behind it.
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1", "--wait-for-hub"]).args(args);
    let mut pool = Process::start(command);
    pool.hear("closes them at once");
    drop(tunnel);
    hub.start_again(&[]);
    pool.hear("1 slot");
    pool.signal(rustix::process::Signal::TERM);
    pool.end().exits(0);
}

#[test]
fn a_pool_waits_for_a_hub_that_has_no_room() {
    let mut hub = Guarded::start();
    let abroad = hub.abroad("owner").display().to_string();
    hub.terminate().exits(0);
    // As a hub does that is short of descriptors.
    let full = closes_all(hub.port, b"\xffdhubfull\x7f");
    let args = ["status", "--access", &abroad, "--timeout", "1s"];
    hub.space.run("dquery", &args).exits(7).says(&["no room for another connection"]);
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1", "--timeout", "1s", "--access", &abroad]);
    let mut pool = Process::start(command);
    pool.hear("waiting for it");
    assert!(pool.stderr().contains("no room for another pool"), "{}", pool.stderr());
    drop(full);
    hub.start_again(&[]);
    pool.hear("1 slot");
    pool.signal(rustix::process::Signal::TERM);
    pool.end().exits(0);
}

/// Who sits at the place of ours and says, before it has shown a key, that nobody is let in.
fn deny_all(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || deny(stream));
        }
    });
}

fn deny(mut stream: TcpStream) -> std::io::Result<()> {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 0);
    greeting[12..17].copy_from_slice(b"CURVE");
    stream.write_all(&greeting)?;
    stream.read_exact(&mut greeting)?;
    stream.write_all(b"\x04\x0a\x05ERROR\x03400")?;
    // It stays, as long as who was denied does.
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

#[test]
fn a_stranger_cannot_say_that_a_key_was_taken_back() {
    let mut hub = Guarded::start();
    let command = "sleep 2; echo ran >ran".into();
    hub.native("owner").create(&[wire::Task { command, ..e2e::task("a", &[]) }]);
    let mut command = hub.space.command("kworker");
    command.args(["-j", "1", "--until-done", "--access"]).arg(hub.abroad("owner"));
    let mut pool = Process::start(command);
    pool.hear("1 slot");
    eventually("the task to run", || (hub.status()["counts"]["running"] == 1).then_some(()));
    hub.process().kill9();
    let listener = || TcpListener::bind(("127.0.0.1", hub.port)).ok();
    deny_all(eventually("the port", listener));
    let path = hub.abroad("owner").display().to_string();
    let said = hub.space.run("dquery", &["status", "--timeout", "2s", "--access", &path]);
    assert!(!said.stderr.contains("taken back"), "{said:#?}");
    // The task is not killed, and the pool has not given up.
    eventually("the task's end", || hub.space.path("ran").exists().then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(pool.is_running(), "{}", pool.stderr());
    assert!(!pool.stderr().contains("taken back"), "{}", pool.stderr());
}
