//! `top`: the run on the whole screen, to look at and to steer.
//!
//! One loop takes what happens (keys, answers, signals) one by one from one channel, lets `State`
//! change by it, and draws. `State` is pure: time is an argument, and what it wants to know it says
//! in `wanted`. Requests run in threads of their own (`asker`), so that a hub that is slow or gone
//! holds up no key; how often they run is in `pace`.

mod asker;
mod deed;
mod detail;
mod filter;
mod happening;
mod history;
mod keys;
mod pace;
mod pager;
mod palette;
mod screen;
mod sort;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod window;
mod workers;

use std::io::{IsTerminal, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use jiff::Zoned;

use crate::failure::{Failure, system};
use crate::hub::{Hub, ask};
use crate::output::Output;
use asker::{Answer, Ask, Askers, Heard};
use happening::Happening;
use palette::Palette;
use state::State;
use terminal::Screen;

/// Times on the screen go on while nothing happens.
const TICK: Duration = Duration::from_millis(500);

#[derive(clap::Args, Debug)]
pub struct Top {}

pub fn run(_: Top, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if out.json {
        let message = "top is a screen for people; use dquery status --json";
        return Err(Failure::new(Exit::Usage, message));
    }
    if !stdout().is_terminal() {
        let message = "top needs a terminal; use dquery status --watch";
        return Err(Failure::new(Exit::Usage, message));
    }
    // A hub that is not there, or does not let us in, is an error as everywhere, not an empty screen.
    let hello = wire::Hello { version: dhub_proto::VERSION.into() };
    let timeout_ms = ask!(hub, Hello(hello) => Welcome).worker_timeout_ms;
    let begin = Instant::now();
    let report = ask!(hub, Status(wire::Status {}) => Status);
    let (into, happenings) = channel();
    happening::signals(into.clone()).map_err(|error| refused(&error))?;
    let askers = Askers::start(hub, &into);
    let mut screen = Screen::enter().map_err(|error| refused(&error))?;
    happening::keys(into);
    let now = Instant::now();
    let mut state = State::new(Palette::of_terminal(), timeout_ms, now, Zoned::now());
    let (took, answer) = (now - begin, Ok(Answer::Status(Box::new(report))));
    state.heard(Heard { ask: Ask::Status, took, answer });
    let end = show(state, &askers, &happenings, &mut screen);
    drop(screen);
    match end? {
        // The shell should see that it was a signal.
        Some(signal) => {
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            Ok(Exit::System)
        }
        None => Ok(Exit::Ok),
    }
}

/// Until somebody quits, or the signal that ends it.
fn show(
    mut state: State,
    askers: &Askers,
    happenings: &Receiver<Happening>,
    screen: &mut Screen,
) -> Result<Option<i32>, Failure> {
    loop {
        for ask in state.wanted() {
            askers.ask(ask);
        }
        screen.draw(&mut state).map_err(|error| refused(&error))?;
        let mut happened = match happenings.recv_timeout(state.until_wanted().min(TICK)) {
            Ok(happened) => Some(happened),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        };
        state.at(Instant::now(), Zoned::now());
        // Keys that came together are drawn together.
        while let Some(one) = happened {
            match one {
                Happening::Key(key) => state.key(key),
                Happening::Heard(heard) => state.heard(heard),
                Happening::Resized => {}
                Happening::Suspend => screen.suspend().map_err(|error| refused(&error))?,
                Happening::Resumed => screen.resume().map_err(|error| refused(&error))?,
                Happening::End(signal) => return Ok(Some(signal)),
                Happening::Deaf(error) => return Err(refused(&error)),
            }
            if state.is_over() {
                return Ok(None);
            }
            if state.takes_suspend() {
                screen.suspend().map_err(|error| refused(&error))?;
            }
            happened = happenings.try_recv().ok();
        }
    }
}

fn refused(error: &std::io::Error) -> Failure {
    Failure::new(Exit::System, format!("the terminal cannot be used: {}", system(error)))
}
