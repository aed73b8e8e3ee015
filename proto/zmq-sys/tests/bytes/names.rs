//! Names that peers give themselves.

use std::io::Write;
use std::net::TcpStream;

use crate::wire::{is_closed, shake_hands};
use crate::{bind, limited};

#[test]
fn what_peers_call_themselves_does_not_count() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    let mut names = Vec::new();
    let mut come = |name: &[u8]| -> TcpStream {
        let mut stream = shake_hands(&endpoint, name);
        stream.write_all(&[0, 1, b'x']).unwrap();
        names.push(router.recv_multipart(0).unwrap().remove(0));
        stream
    };
    // The second and the third call themselves as the first is called by now, and as the next would be.
    let first = come(b"victim");
    let second = come(b"victim");
    drop(first);
    let third = come(b"victim");
    assert!(names.iter().all(|name| name != b"victim"), "{names:?}");
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
    drop((second, third));
    // One that is too long.
    let mut stream = shake_hands(&endpoint, &[7; 300]);
    // It may be closed already.
    let _ = stream.write_all(&[0, 1, b'x']);
    router.set_rcvtimeo(100).unwrap();
    assert!(router.recv_multipart(0).is_err());
    assert!(is_closed(&mut stream));
}
