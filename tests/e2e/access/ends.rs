//! Connections end with their key, whatever came over them.

use super::{Guarded, await_failures};

/// Connected, and silent since.
fn connect(hub: &Guarded, context: &zmq::Context, kind: zmq::SocketType, port: u16) -> zmq::Socket {
    let socket = context.socket(kind).expect("a socket");
    socket.set_linger(0).expect("an option");
    hub.target("node").keys.expect("keys").apply(&socket).expect("an option");
    // So that it can send only once the handshake is over.
    socket.set_immediate(true).expect("an option");
    socket.connect(&format!("tcp://127.0.0.1:{port}")).expect("an address");
    assert_eq!(socket.poll(zmq::POLLOUT, 10_000), Ok(1), "it was let in");
    socket
}

#[test]
fn connections_that_never_asked_and_those_for_reports_end_with_their_key() {
    let context = zmq::Context::new();
    for (kind, is_for_reports) in [(zmq::DEALER, false), (zmq::PUSH, true)] {
        let hub = Guarded::start();
        hub.new_key("node", &["work"]);
        let _silent = connect(&hub, &context, kind, hub.port + u16::from(is_for_reports));
        assert_eq!(hub.status()["hub"]["handshakes_failed"], 0);
        hub.dhub(&["access", "revoke", "node"]).exits(0);
        // It connects again by itself, in vain.
        await_failures(&hub, 1);
    }
}
