//! What happens to the screen: keys, answers, signals. Each comes from a thread of its own.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::asker::Heard;

pub enum Happening {
    Key(KeyEvent),
    /// The window has another size: draw anew.
    Resized,
    Heard(Heard),
    /// A signal that ends the program.
    End(i32),
    /// Somebody stops the program for a while.
    Suspend,
    /// It goes on after a stop: the terminal may be in any mode.
    Resumed,
    /// There will be no keys any more.
    Deaf(io::Error),
}

/// Keys and sizes, until the program ends.
pub fn keys(into: Sender<Happening>) {
    thread::spawn(move || {
        loop {
            let happening = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Happening::Key(key),
                Ok(Event::Resize(..)) => Happening::Resized,
                Ok(_) => continue,
                Err(error) => Happening::Deaf(error),
            };
            let deaf = matches!(happening, Happening::Deaf(_));
            if into.send(happening).is_err() || deaf {
                return;
            }
        }
    });
}

/// From here on these signals do not end or stop the program by themselves.
pub fn signals(into: Sender<Happening>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let happening = match signal {
                SIGTSTP => Happening::Suspend,
                SIGCONT => Happening::Resumed,
                signal => Happening::End(signal),
            };
            if into.send(happening).is_err() {
                return;
            }
        }
    });
    Ok(())
}
