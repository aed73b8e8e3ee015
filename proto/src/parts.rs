//! Messages of several parts, sent and received whole, without waiting.
//!
//! A signal that comes in between makes libzmq give up a call with EINTR, between two parts too: who
//! starts children gets SIGCHLD all the time, and each program a signal before it ends.

use zmq::{DONTWAIT, Error, SNDMORE, Socket};

/// EAGAIN: there is no room.
pub fn send(socket: &Socket, parts: &[&[u8]]) -> Result<(), Error> {
    for (at, &part) in parts.iter().enumerate() {
        let more = if at + 1 < parts.len() { SNDMORE } else { 0 };
        uninterrupted(|| socket.send(part, DONTWAIT | more))?;
    }
    Ok(())
}

/// EAGAIN: there is none.
pub fn receive(socket: &Socket) -> Result<Vec<Vec<u8>>, Error> {
    let mut parts = Vec::new();
    loop {
        parts.push(uninterrupted(|| socket.recv_bytes(DONTWAIT))?);
        if !socket.get_rcvmore()? {
            return Ok(parts);
        }
    }
}

/// A call of libzmq's. One that a signal interrupted has done nothing, so it is repeated.
pub fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(Error::EINTR) => {}
            result => return result,
        }
    }
}
