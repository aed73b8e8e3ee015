//! Talk for people, on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::plain::styled;

/// Messages that wait to be written; the next ones are left out.
const WAITING_MAX: usize = 1024;
/// How long the end of a program waits for what it said last to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where messages go while somebody else writes them.
static VOICE: Mutex<Option<Voice>> = Mutex::new(None);

/// A message and its newline in one write: several programs share one terminal, and standard error
/// sends each piece that it gets at once. That nobody reads it is no reason to stop.
pub fn say(message: impl Display) {
    let message = format!("{message}\n");
    write(styled(&message).into_owned().into_bytes());
}

/// From now on nothing that is said makes this program wait, whoever reads standard error, or does
/// not: a pipe that nobody empties, a terminal that is held. Until what this returns is dropped.
pub fn say_in_background() -> io::Result<Speaking> {
    let (messages, inbox) = sync_channel(WAITING_MAX);
    let (end, ended) = channel();
    let speak = move || {
        speak(inbox);
        // Nobody may wait for it any more.
        let _ = end.send(());
    };
    thread::Builder::new().name("voice".to_owned()).spawn(speak)?;
    *voice() = Some(Voice { messages, ended, left_out: 0 });
    Ok(Speaking)
}

/// What was said is written, as far as it is taken within a second; what is said from now on is
/// written at once.
pub fn finish_saying() {
    let Some(Voice { messages, ended, .. }) = voice().take() else { return };
    drop(messages);
    let _ = ended.recv_timeout(LAST_WORDS);
}

/// Messages are written by a thread of their own.
#[must_use]
pub struct Speaking;

impl Drop for Speaking {
    fn drop(&mut self) {
        finish_saying();
    }
}

/// Standard error for a log whose lines keep their order with all else that is said.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Voice {
    messages: SyncSender<Vec<u8>>,
    ended: Receiver<()>,
    /// Messages since the last one for which there was room.
    left_out: u64,
}

fn voice() -> MutexGuard<'static, Option<Voice>> {
    // Whoever held it left it whole.
    VOICE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(message: Vec<u8>) {
    let mut voice = voice();
    let Some(voice) = &mut *voice else { return write_now(&message) };
    let gap = match voice.left_out {
        0 => Vec::new(),
        left_out => format!("({left_out} messages are left out: nobody read them)\n").into_bytes(),
    };
    match voice.messages.try_send([gap, message].concat()) {
        Ok(()) => voice.left_out = 0,
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => voice.left_out += 1,
    }
}

fn speak(inbox: Receiver<Vec<u8>>) {
    inbox.iter().for_each(|message| write_now(&message));
}

fn write_now(message: &[u8]) {
    let _ = io::stderr().write_all(message);
}
