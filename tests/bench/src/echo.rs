//! The baseline: a ROUTER that sends back each request. No hub on this machine can be faster.

use dhub_proto::find::Target;
use std::time::Duration;

use crate::client::Echo;
use crate::lanes::{Measured, drive};
use crate::process::Server;

/// What a dwork program sends to steal one task has about this size.
pub const FRAME_BYTES: usize = 32;

/// Serves until it is killed.
pub fn serve(endpoint: &str) -> Result<(), zmq::Error> {
    let router = zmq::Context::new().socket(zmq::ROUTER)?;
    router.bind(endpoint)?;
    let mut parts: Vec<zmq::Message> = Vec::new();
    loop {
        let mut part = zmq::Message::new();
        router.recv(&mut part, 0)?;
        let more = part.get_more();
        parts.push(part);
        if !more {
            let last = parts.len() - 1;
            for (i, part) in parts.drain(..).enumerate() {
                router.send(part, if i < last { zmq::SNDMORE } else { 0 })?;
            }
        }
    }
}

/// Round trips of so many clients, for about this long.
pub fn measure(clients: usize, time: Duration) -> Measured {
    let server = Server::echo();
    let frame = vec![b'x'; FRAME_BYTES];
    let lanes = (0..clients).map(|_| Echo::lane(frame.clone(), time)).collect();
    drive(Target::plain(&server.endpoint), lanes)
}
