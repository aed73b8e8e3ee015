//! Names that peers give themselves.

use std::io::Write;
use std::net::TcpStream;

use crate::wire::{is_closed, shake_hands};
use crate::{bind, connect, limited};

#[test]
fn peers_that_name_themselves_do_no_harm() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    let first = connect(&context, zmq::DEALER, &endpoint);
    first.send("a", 0).unwrap();
    let id = router.recv_multipart(0).unwrap().remove(0);
    // What the router would call the next one, and the one after.
    let next = u32::from_be_bytes(id[1..].try_into().unwrap()).wrapping_add(1);
    let named: Vec<TcpStream> = (0..3)
        .map(|n| {
            let mut name = vec![0];
            name.extend((next.wrapping_add(n)).to_be_bytes());
            let mut stream = shake_hands(&endpoint, &name);
            stream.write_all(&[0, 1, b'x']).unwrap();
            assert_eq!(router.recv_multipart(0).unwrap()[0], name);
            stream
        })
        .collect();
    let second = connect(&context, zmq::DEALER, &endpoint);
    second.send("b", 0).unwrap();
    let parts = router.recv_multipart(0).unwrap();
    assert_eq!(parts[1], b"b");
    // A name that is taken, and one that is too long.
    for name in [&parts[0][..], &[7; 300]] {
        let mut stream = shake_hands(&endpoint, name);
        // It may be closed already.
        let _ = stream.write_all(&[0, 1, b'x']);
        router.set_rcvtimeo(100).unwrap();
        assert!(router.recv_multipart(0).is_err());
        assert!(is_closed(&mut stream));
    }
    drop(named);
}
