//! A hub for tests: answers as it is told, or not at all.

use std::time::Duration;

use clap::Parser;
use dhub_proto::Message;
use dhub_proto::wire::{Reply, Request, reply, request};

use crate::args::Args;
use crate::hub::Hub;

/// Answers requests in a thread of its own until the test ends. `None`: says nothing.
pub fn hub(
    timeout: Duration,
    mut answer: impl FnMut(request::Body) -> Option<reply::Body> + Send + 'static,
) -> Hub {
    let socket = zmq::Context::new().socket(zmq::ROUTER).expect("a socket");
    socket.bind("tcp://127.0.0.1:*").expect("a port");
    let endpoint = socket.get_last_endpoint().expect("an endpoint").expect("UTF-8");
    std::thread::spawn(move || {
        while let Ok(parts) = socket.recv_multipart(0) {
            let [client, delimiter, bytes] = parts.as_slice() else { continue };
            let Ok(Request { id, body: Some(body), .. }) = Request::decode(bytes.as_slice()) else {
                continue;
            };
            if let Some(body) = answer(body) {
                let reply = Reply { id, body: Some(body) }.encode_to_vec();
                let parts: [&[u8]; 3] = [client, delimiter, &reply];
                let _ = socket.send_multipart(parts, 0);
            }
        }
    });
    let timeout = format!("{}ms", timeout.as_millis());
    let args = Args::parse_from([
        "dquery",
        "--insecure",
        "-s",
        &endpoint,
        "--timeout",
        &timeout,
        "status",
    ]);
    Hub::find(&args.hub).expect("an endpoint")
}
