//! A ROUTER tells whether a peer is there, and drops a user's with all that is queued for them.

use std::time::{Duration, Instant};

struct Hub {
    router: zmq::Socket,
    endpoint: String,
}

impl Hub {
    fn new(context: &zmq::Context) -> Self {
        // More than what is queued here: users are known only where there are limits.
        zmq_sys::zmq_limit_bytes(4 << 30, 16 << 30);
        let router = context.socket(zmq::ROUTER).unwrap();
        router.set_router_mandatory(true).unwrap();
        router.set_linger(0).unwrap();
        router.set_rcvtimeo(5_000).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        Self { router, endpoint }
    }

    fn client(&self, context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
        let client = context.socket(kind).unwrap();
        client.set_linger(0).unwrap();
        client.set_rcvhwm(1).unwrap();
        client.set_rcvtimeo(5_000).unwrap();
        client.connect(&self.endpoint).unwrap();
        client
    }

    fn has(&mut self, id: &[u8]) -> bool {
        self.router.get_events().unwrap();
        // SAFETY: the socket is open and borrowed by this thread alone.
        unsafe { zmq_sys::zmq_has_peer(self.router.as_mut_ptr(), id) }
    }

    /// All that are connected: nobody asked who they are, so they are one user.
    fn drop_all(&mut self) -> bool {
        // SAFETY: the socket is open and borrowed by this thread alone.
        unsafe { zmq_sys::zmq_drop_user(self.router.as_mut_ptr(), b"") }
    }

    /// Of a client that connects again; what it sends before it notices is lost.
    fn next_id(&self, client: &zmq::Socket) -> Vec<u8> {
        self.router.set_rcvtimeo(50).unwrap();
        (0..100)
            .find_map(|_| {
                // It does not notice while it has more than it may take in.
                while client.recv_multipart(zmq::DONTWAIT).is_ok() {}
                client.send("again", 0).unwrap();
                Some(self.router.recv_multipart(0).ok()?.remove(0))
            })
            .unwrap()
    }

    /// Until libzmq has told the socket that all connections are gone.
    fn wait_without(&mut self, id: &[u8]) {
        let begin = Instant::now();
        while self.router.send_multipart([id, b"x"], zmq::DONTWAIT) != Err(zmq::Error::EHOSTUNREACH)
        {
            assert!(begin.elapsed() < Duration::from_secs(5), "still there");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.router.get_events().unwrap();
    }
}

#[test]
fn a_peer_is_there_until_it_goes() {
    let context = zmq::Context::new();
    let mut hub = Hub::new(&context);
    let client = hub.client(&context, zmq::DEALER);
    client.send("a", 0).unwrap();
    let id = hub.router.recv_multipart(0).unwrap().remove(0);
    assert!(hub.has(&id));
    assert!(!hub.has(b"nobody"));
    drop(client);
    let begin = Instant::now();
    while hub.has(&id) {
        assert!(begin.elapsed() < Duration::from_secs(5), "it is gone");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_is_queued_for_a_dropped_peer_is_freed_and_it_may_come_again() {
    // So that what is freed goes back to the system.
    // SAFETY: it takes two numbers and touches nothing but malloc's own settings, under its lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 512 << 10) };
    let context = zmq::Context::new();
    let mut hub = Hub::new(&context);
    let client = hub.client(&context, zmq::DEALER);
    client.send("a", 0).unwrap();
    let id = hub.router.recv_multipart(0).unwrap().remove(0);
    let large = vec![7; 1 << 20];
    let mut sent = 0;
    while hub.router.send_multipart([&id, &large], zmq::DONTWAIT).is_ok() {
        sent += 1;
    }
    assert!(sent > 100, "{sent}");
    let before = resident();
    assert!(hub.drop_all());
    assert!(!hub.has(&id), "at once");
    assert!(hub.router.send_multipart([&id, &large], zmq::DONTWAIT).is_err());
    hub.wait_without(&id);
    let begin = Instant::now();
    while resident() + (500 << 20) > before {
        assert!(begin.elapsed() < Duration::from_secs(5), "{before} and now {}", resident());
        hub.router.get_events().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    // The client connects again by itself, under another id.
    assert_ne!(hub.next_id(&client), id);
}

#[test]
fn messages_of_a_dropped_peer_are_not_received() {
    let context = zmq::Context::new();
    let mut hub = Hub::new(&context);
    let client = hub.client(&context, zmq::REQ);
    client.send("a", 0).unwrap();
    let id = hub.router.recv_multipart(0).unwrap().remove(0);
    hub.router.send_multipart([&id[..], b"", b"reply"], 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"reply");
    client.send("not received", 0).unwrap();
    // Now libzmq has fetched the first part of it.
    assert_eq!(hub.router.poll(zmq::POLLIN, 5_000).unwrap(), 1);
    assert!(hub.drop_all());
    hub.wait_without(&id);
    let other = hub.client(&context, zmq::REQ);
    other.send("other", 0).unwrap();
    let parts = hub.router.recv_multipart(0).unwrap();
    assert_eq!(parts.last().unwrap(), b"other");
    assert_ne!(parts[0], id);
}

#[test]
fn a_message_half_received_or_half_sent_stays_whole() {
    let context = zmq::Context::new();
    let mut hub = Hub::new(&context);
    let client = hub.client(&context, zmq::DEALER);
    client.send_multipart(["a", "b", "c"], 0).unwrap();
    let id = hub.router.recv_bytes(0).unwrap();
    assert!(!hub.drop_all(), "the rest is still to be received");
    assert_eq!(hub.router.recv_bytes(0).unwrap(), b"a");
    assert!(!hub.drop_all(), "the rest is still to be received");
    assert_eq!(hub.router.recv_multipart(0).unwrap(), [b"b", b"c"]);
    hub.router.send(&id, zmq::SNDMORE).unwrap();
    hub.router.send("first", zmq::SNDMORE).unwrap();
    assert!(hub.drop_all());
    hub.router.send("second", 0).unwrap();
    hub.wait_without(&id);
    let id = hub.next_id(&client);
    hub.router.send_multipart([&id[..], b"whole"], 0).unwrap();
    assert_eq!(client.recv_multipart(0).unwrap(), [b"whole"]);
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
