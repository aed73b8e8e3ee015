//! A socket of ZeroMQ, as the loop reads it: whole messages, and who sent them.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use dhub_proto::parts::uninterrupted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::engine::message::User;

/// One of libzmq's sockets, and whether something may be there to receive. Asking libzmq costs a
/// system call each time, so one that has nothing is asked again only after its descriptor said so.
pub struct Inlet {
    pub(super) socket: zmq::Socket,
    fd: RawFd,
    is_quiet: Cell<bool>,
    /// Messages say whose they are.
    is_curve: bool,
}

impl Inlet {
    pub fn new(socket: zmq::Socket) -> Result<Self, zmq::Error> {
        let fd = socket.get_fd()?;
        let is_curve = socket.is_curve_server()?;
        Ok(Self { socket, fd, is_quiet: Cell::new(false), is_curve })
    }

    /// Whether a router's peer is connected, as far as libzmq knows.
    #[allow(unsafe_code, reason = "libzmq has no published way to ask")]
    pub fn has_peer(&mut self, identity: &[u8]) -> bool {
        // SAFETY: the socket is open as long as it is borrowed, and borrowed by this thread alone.
        unsafe { zmq_sys::zmq_has_peer(self.socket.as_mut_ptr(), identity) }
    }

    /// Ends all connections of a key; what they have not read is lost. False: not all of them yet.
    #[allow(unsafe_code, reason = "libzmq has no published way to do so")]
    pub fn drop_user(&mut self, user: User) -> bool {
        self.is_quiet.set(false);
        // As the gate tells libzmq, of an owner's key and of others.
        let ids = [user.to_string(), format!("{user}{}", zmq_sys::ZMQ_EXEMPT)];
        let mut are_all_dropped = true;
        for id in &ids {
            // SAFETY: the socket is open as long as it is borrowed, and borrowed by this thread alone.
            are_all_dropped &=
                unsafe { zmq_sys::zmq_drop_user(self.socket.as_mut_ptr(), id.as_bytes()) };
        }
        are_all_dropped
    }

    #[allow(unsafe_code, reason = "libzmq has no published way to do so")]
    pub(super) fn wake(&mut self) {
        self.is_quiet.set(false);
        // SAFETY: the socket is open as long as it is borrowed, and borrowed by this thread alone.
        unsafe { zmq_sys::zmq_wake(self.socket.as_mut_ptr()) };
    }

    /// Readable when libzmq has news for this socket, messages or not; told once.
    #[allow(unsafe_code, reason = "libzmq hands out a plain number")]
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: libzmq keeps this descriptor open until the socket is closed, which is when `self` is
        // dropped; the borrow ends before.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// Whether a message is there, without waiting.
    pub(super) fn has_message(&self) -> Result<bool, zmq::Error> {
        if self.is_quiet.get() {
            return Ok(false);
        }
        let has = uninterrupted(|| self.socket.get_events())?.contains(zmq::POLLIN);
        self.is_quiet.set(!has);
        Ok(has)
    }

    /// The first part of a message that has arrived, or the next one.
    pub(super) fn part(&self) -> Result<Option<zmq::Message>, zmq::Error> {
        if self.is_quiet.get() {
            return Ok(None);
        }
        let mut part = zmq::Message::new();
        match uninterrupted(|| self.socket.recv(&mut part, zmq::DONTWAIT)) {
            Ok(()) => Ok(Some(part)),
            Err(zmq::Error::EAGAIN) => {
                self.is_quiet.set(true);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A message that has arrived, if there is one. Of a router's, the first part is who sent it.
    pub fn receive(&self, is_router: bool) -> Result<Option<Received>, zmq::Error> {
        let Some(mut part) = self.part()? else {
            return Ok(None);
        };
        let mut bytes = part.len();
        let mut after = |part: &zmq::Message| -> Result<Option<zmq::Message>, zmq::Error> {
            let next = if part.get_more() { self.part()? } else { None };
            bytes += next.as_deref().map_or(0, <[u8]>::len);
            Ok(next)
        };
        let mut peer = Peer { identity: zmq::Message::new(), is_req: false };
        if is_router {
            let first = after(&part)?;
            peer.identity = part;
            let Some(first) = first else {
                return Ok(Some(Received {
                    peer,
                    user: None,
                    frame: None,
                    has_more: false,
                    bytes,
                }));
            };
            part = first;
            if part.is_empty()
                && let Some(second) = after(&part)?
            {
                peer.is_req = true;
                part = second;
            }
        }
        let user = if self.is_curve { user_of(&mut part) } else { None };
        let mut surplus = after(&part)?;
        let has_more = surplus.is_some();
        while let Some(dropped) = surplus {
            surplus = after(&dropped)?;
        }
        Ok(Some(Received { peer, user, frame: Some(part), has_more, bytes }))
    }

    /// All parts of a message of libzmq's own.
    pub fn parts(&self) -> Result<Option<Vec<zmq::Message>>, zmq::Error> {
        let mut parts = Vec::new();
        while let Some(part) = self.part()? {
            let more = part.get_more();
            parts.push(part);
            if !more {
                return Ok(Some(parts));
            }
        }
        Ok(None)
    }

    /// All parts of a message.
    pub fn send_parts(&self, parts: &[&[u8]]) -> Result<(), zmq::Error> {
        for (i, part) in parts.iter().enumerate() {
            self.send(part, if i + 1 < parts.len() { zmq::SNDMORE } else { 0 })?;
        }
        Ok(())
    }

    /// One part; it is gone, or nobody can be reached.
    pub fn send(&self, part: &[u8], flags: i32) -> Result<(), zmq::Error> {
        // libzmq takes note of arrivals while it sends, and its descriptor does not tell again.
        self.is_quiet.set(false);
        uninterrupted(|| self.socket.send(part, zmq::DONTWAIT | flags))
    }
}

/// As the gate told libzmq at the handshake.
fn user_of(part: &mut zmq::Message) -> Option<User> {
    part.gets("User-Id")?.trim_end_matches(zmq_sys::ZMQ_EXEMPT).parse().ok()
}

/// Who a request came from.
#[derive(PartialEq)]
pub struct Peer {
    pub identity: zmq::Message,
    /// A REQ puts an empty part before its request, and wants one before the reply.
    pub is_req: bool,
}

/// A message, taken apart.
pub struct Received {
    pub peer: Peer,
    /// Who that is by its key.
    pub user: Option<User>,
    /// What it is about; None if there was only an identity.
    pub frame: Option<zmq::Message>,
    /// Further parts, which were dropped.
    pub has_more: bool,
    /// Of all its parts.
    pub bytes: usize,
}

/// Until a message is there, or `wake` is readable, or the time is over. True if there is a message.
pub fn wait(
    inlets: &[&Inlet],
    wake: Option<&UnixStream>,
    timeout_ms: u64,
) -> Result<bool, zmq::Error> {
    let mut is_message = false;
    for inlet in inlets {
        is_message |= inlet.has_message()?;
    }
    // With messages there, the others are looked at all the same: one must not keep them waiting.
    let timeout_ms = if is_message { 0 } else { timeout_ms };
    let fds = inlets.iter().map(|inlet| inlet.fd()).chain(wake.map(AsFd::as_fd));
    let mut fds: Vec<PollFd<'_>> =
        fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = Timespec {
        tv_sec: (timeout_ms / 1_000) as i64,
        tv_nsec: (timeout_ms % 1_000 * 1_000_000) as i64,
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(zmq::Error::from_raw(error.raw_os_error())),
    }
    for (inlet, fd) in inlets.iter().zip(&fds) {
        if !fd.revents().is_empty() {
            inlet.is_quiet.set(false);
            is_message = true;
        }
    }
    Ok(is_message)
}
