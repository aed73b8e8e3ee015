//! A bad network: a TCP proxy before both ports of a hub, with faults that are switched while
//! connections are open.
//!
//! The proxy has the hub's ports at another address of this machine, so that also reports, whose
//! port the hub tells, come through it. A stall loses nothing, like a cable that was pulled for a
//! while; what was swallowed is lost, and TCP never goes on after that: `heal` cuts such
//! connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Hub, eventually};

/// How soon a switched fault is noticed.
const LOOK: Duration = Duration::from_millis(5);
/// Between two bytes of a trickle.
const DRIP: Duration = Duration::from_micros(50);
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToHub,
    ToClient,
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Fin,
    Rst,
}

pub struct Proxy {
    port: u16,
    pub requests: Line,
    pub reports: Line,
}

impl Proxy {
    pub fn to(hub: &Hub) -> Self {
        let port = hub.port();
        Self { port, requests: Line::new(port), reports: Line::new(port + 1) }
    }

    /// What clients take for the hub.
    pub fn tcp(&self) -> String {
        format!("tcp://{}:{}", HOST, self.port)
    }

    fn lines(&self) -> [&Line; 2] {
        [&self.requests, &self.reports]
    }

    pub fn delay(&self, way: Way, ms: u64) {
        self.lines().into_iter().for_each(|line| line.delay(way, ms));
    }

    pub fn trickle(&self) {
        self.lines().into_iter().for_each(Line::trickle);
    }

    pub fn stall(&self, way: Way) {
        self.lines().into_iter().for_each(|line| line.stall(way));
    }

    pub fn swallow(&self, way: Way) {
        self.lines().into_iter().for_each(|line| line.swallow(way));
    }

    pub fn lose_answers(&self) {
        self.lines().into_iter().for_each(Line::lose_answers);
    }

    pub fn hide_ends(&self) {
        self.lines().into_iter().for_each(Line::hide_ends);
    }

    pub fn refuse(&self) {
        self.lines().into_iter().for_each(Line::refuse);
    }

    pub fn cut(&self, how: Cut) {
        self.lines().into_iter().for_each(|line| line.cut(how));
    }

    pub fn cut_clients(&self) {
        self.lines().into_iter().for_each(Line::cut_clients);
    }

    pub fn heal(&self) {
        self.lines().into_iter().for_each(Line::heal);
    }
}

/// One port.
pub struct Line {
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    stopped: AtomicBool,
    refuse: AtomicBool,
    listens: AtomicBool,
    trickle: AtomicBool,
    hide_ends: AtomicBool,
    lose_answers: AtomicBool,
    delay_ms: [AtomicU64; 2],
    stall: [AtomicBool; 2],
    swallow: [AtomicBool; 2],
    /// Bytes that did not arrive.
    swallowed: [AtomicU64; 2],
    accepted: AtomicUsize,
    links: Mutex<Vec<Arc<Link>>>,
}

/// A client's connection and the one to the hub that belongs to it.
struct Link {
    client: TcpStream,
    hub: TcpStream,
    cut: AtomicBool,
    /// Bytes or an end were kept from one side.
    broken: AtomicBool,
    hide_end: AtomicBool,
}

impl Line {
    fn new(port: u16) -> Self {
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        std::thread::spawn(move || listen(&shared, port));
        let line = Self { faults };
        line.await_listener(true);
        line
    }

    /// Each piece that is read is held for this long.
    pub fn delay(&self, way: Way, ms: u64) {
        self.faults.delay_ms[way as usize].store(ms, Ordering::Relaxed);
    }

    /// One byte at a time.
    pub fn trickle(&self) {
        self.faults.trickle.store(true, Ordering::Relaxed);
    }

    /// Nothing arrives, nothing is lost; also over new connections.
    pub fn stall(&self, way: Way) {
        self.faults.stall[way as usize].store(true, Ordering::Relaxed);
    }

    /// A black hole: it takes everything.
    pub fn swallow(&self, way: Way) {
        self.faults.swallow[way as usize].store(true, Ordering::Relaxed);
    }

    /// Clients can connect and ask, but are told nothing.
    pub fn lose_answers(&self) {
        self.faults.lose_answers.store(true, Ordering::Relaxed);
    }

    /// When one side ends, the other is not told: half-open connections.
    pub fn hide_ends(&self) {
        self.faults.hide_ends.store(true, Ordering::Relaxed);
    }

    /// Nobody listens.
    pub fn refuse(&self) {
        self.faults.refuse.store(true, Ordering::Relaxed);
        self.await_listener(false);
    }

    /// Ends all connections; returns when they are closed.
    pub fn cut(&self, how: Cut) {
        let links = std::mem::take(&mut *self.faults.links.lock().expect("links"));
        links.iter().for_each(|link| link.end(how));
        eventually("the connections to be cut", || {
            links.iter().all(|link| Arc::strong_count(link) == 1).then_some(())
        });
    }

    /// Ends the clients' side of all connections; the hub is not told.
    pub fn cut_clients(&self) {
        for link in self.faults.links.lock().expect("links").iter() {
            link.hide_end.store(true, Ordering::SeqCst);
            // It may be closed already.
            let _ = link.client.shutdown(Shutdown::Both);
        }
    }

    /// A network without faults. What was broken does not come back to life.
    pub fn heal(&self) {
        let faults = &self.faults;
        faults.trickle.store(false, Ordering::Relaxed);
        faults.hide_ends.store(false, Ordering::Relaxed);
        for way in [Way::ToHub, Way::ToClient] {
            faults.delay_ms[way as usize].store(0, Ordering::Relaxed);
        }
        let links = faults.links.lock().expect("links").clone();
        links.iter().filter(|it| it.broken.load(Ordering::SeqCst)).for_each(|it| it.end(Cut::Fin));
        // Only now: a broken connection must not carry another byte.
        for way in [Way::ToHub, Way::ToClient] {
            faults.stall[way as usize].store(false, Ordering::SeqCst);
            faults.swallow[way as usize].store(false, Ordering::SeqCst);
        }
        faults.lose_answers.store(false, Ordering::SeqCst);
        faults.refuse.store(false, Ordering::Relaxed);
        self.await_listener(true);
    }

    /// Connections since the start.
    pub fn accepted(&self) -> usize {
        self.faults.accepted.load(Ordering::Relaxed)
    }

    pub fn swallowed(&self, way: Way) -> u64 {
        self.faults.swallowed[way as usize].load(Ordering::Relaxed)
    }

    fn await_listener(&self, listens: bool) {
        let is = || self.faults.listens.load(Ordering::SeqCst) == listens;
        eventually("the proxy's port", || is().then_some(()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.faults.stopped.store(true, Ordering::Relaxed);
    }
}

impl Faults {
    fn is(&self, switch: &[AtomicBool; 2], way: Way) -> bool {
        switch[way as usize].load(Ordering::SeqCst)
    }

    fn delay(&self, way: Way) -> Duration {
        Duration::from_millis(self.delay_ms[way as usize].load(Ordering::Relaxed))
    }

    fn drop_bytes(&self, link: &Link, way: Way, bytes: usize) {
        link.broken.store(true, Ordering::SeqCst);
        self.swallowed[way as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Link {
    fn end(&self, how: Cut) {
        self.cut.store(true, Ordering::SeqCst);
        for side in [&self.client, &self.hub] {
            // It may be closed already.
            let _ = match how {
                Cut::Fin => side.shutdown(Shutdown::Both),
                // Sent when the last thread lets go of it.
                Cut::Rst => rustix::net::sockopt::set_socket_linger(side, Some(Duration::ZERO))
                    .map_err(Into::into),
            };
        }
    }

    fn hides_ends(&self, faults: &Faults) -> bool {
        self.hide_end.load(Ordering::SeqCst) || faults.hide_ends.load(Ordering::Relaxed)
    }

    fn is_over(&self, faults: &Faults) -> bool {
        self.cut.load(Ordering::SeqCst) || faults.stopped.load(Ordering::Relaxed)
    }
}

fn listen(faults: &Arc<Faults>, port: u16) {
    let mut listener: Option<TcpListener> = None;
    while !faults.stopped.load(Ordering::Relaxed) {
        if faults.refuse.load(Ordering::Relaxed) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind((HOST, port)).ok();
            if let Some(listener) = &listener {
                listener.set_nonblocking(true).expect("an option");
            }
        }
        faults.listens.store(listener.is_some(), Ordering::SeqCst);
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => connect(faults, client, port),
            _ => std::thread::sleep(LOOK),
        }
    }
}

fn connect(faults: &Arc<Faults>, client: TcpStream, port: u16) {
    faults.accepted.fetch_add(1, Ordering::Relaxed);
    // A hub that is down ends the client's connection too.
    let hub = SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(hub) = TcpStream::connect_timeout(&hub, Duration::from_secs(10)) else { return };
    for side in [&client, &hub] {
        side.set_nonblocking(false).expect("an option");
        side.set_nodelay(true).expect("an option");
        side.set_read_timeout(Some(LOOK)).expect("an option");
        side.set_write_timeout(Some(LOOK)).expect("an option");
    }
    let link = Arc::new(Link {
        client,
        hub,
        cut: AtomicBool::new(false),
        broken: AtomicBool::new(false),
        hide_end: AtomicBool::new(false),
    });
    faults.links.lock().expect("links").push(Arc::clone(&link));
    for way in [Way::ToHub, Way::ToClient] {
        let (faults, link) = (Arc::clone(faults), Arc::clone(&link));
        std::thread::spawn(move || {
            pump(&faults, &link, way);
            faults.links.lock().expect("links").retain(|it| !it.cut.load(Ordering::SeqCst));
        });
    }
}

/// Carries bytes one way until one of the sides ends.
fn pump(faults: &Faults, link: &Link, way: Way) {
    let (mut from, to) = match way {
        Way::ToHub => (&link.client, &link.hub),
        Way::ToClient => (&link.hub, &link.client),
    };
    let mut buffer = [0; 65_536];
    let mut to_is_dead = false;
    let mut handshake = Handshake::default();
    while !link.is_over(faults) {
        if faults.is(&faults.stall, way) {
            std::thread::sleep(LOOK);
            continue;
        }
        let bytes = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(error) if is_nothing_yet(&error) => continue,
            Err(_) => break,
        };
        let answer = handshake.skip(bytes);
        let is_lost = way == Way::ToClient && faults.lose_answers.load(Ordering::SeqCst);
        let bytes = if is_lost { &bytes[..bytes.len() - answer] } else { bytes };
        if is_lost && answer > 0 {
            faults.drop_bytes(link, way, answer);
        }
        if to_is_dead || faults.is(&faults.swallow, way) {
            faults.drop_bytes(link, way, bytes.len());
            continue;
        }
        std::thread::sleep(faults.delay(way));
        if !carry(faults, link, way, to, bytes) {
            if !link.hides_ends(faults) {
                break;
            }
            to_is_dead = true;
            faults.drop_bytes(link, way, bytes.len());
        }
    }
    if link.hides_ends(faults) && !link.is_over(faults) {
        // The other direction goes on, into the void.
        link.broken.store(true, Ordering::SeqCst);
        return;
    }
    if !link.is_over(faults) {
        link.end(Cut::Fin);
    }
}

/// How a connection of ZMTP begins: a greeting of 64 bytes and one command, READY.
#[derive(Default)]
struct Handshake {
    seen: usize,
    end: Option<usize>,
}

impl Handshake {
    const LENGTH_AT: usize = 65;

    /// How many of these bytes, the next ones, come after it.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        if self.end.is_none()
            && let Some(at) = Self::LENGTH_AT.checked_sub(self.seen)
            && let Some(&length) = bytes.get(at)
        {
            self.end = Some(Self::LENGTH_AT + 1 + usize::from(length));
        }
        self.seen += bytes.len();
        self.end.map_or(0, |end| self.seen.saturating_sub(end).min(bytes.len()))
    }
}

/// False if the receiver is gone.
fn carry(faults: &Faults, link: &Link, way: Way, mut to: &TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() && !link.is_over(faults) {
        // A fault that began meanwhile holds for the rest as well.
        if faults.is(&faults.stall, way) {
            std::thread::sleep(LOOK);
            continue;
        }
        if faults.is(&faults.swallow, way) {
            faults.drop_bytes(link, way, bytes.len());
            return true;
        }
        let piece = match faults.trickle.load(Ordering::Relaxed) {
            true => &bytes[..1],
            false => bytes,
        };
        match to.write(piece) {
            Ok(0) => return false,
            Ok(n) => bytes = &bytes[n..],
            Err(error) if is_nothing_yet(&error) => continue,
            Err(_) => return false,
        }
        if piece.len() == 1 {
            std::thread::sleep(DRIP);
        }
    }
    true
}

fn is_nothing_yet(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
