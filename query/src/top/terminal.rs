//! The terminal: taken for the whole screen, and always given back as it was.

use std::io::{self, stdout};
use std::{panic, process, thread};

use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;

use super::screen;
use super::state::State;

/// A panic of any thread ends the program, as one of the main thread does.
const PANICKED: i32 = 101;

pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub fn enter() -> io::Result<Self> {
        // Gives the terminal back at a panic too, before the message is printed.
        let terminal = match ratatui::try_init() {
            Ok(terminal) => terminal,
            Err(error) => {
                give_back();
                return Err(error);
            }
        };
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            print(info);
            if thread::current().name() != Some("main") {
                process::exit(PANICKED);
            }
        }));
        Ok(Self { terminal })
    }

    pub fn draw(&mut self, state: &mut State) -> io::Result<()> {
        self.terminal.draw(|frame| screen::draw(state, frame)).map(drop)
    }

    /// Gives the terminal back and stops, as Ctrl-Z does, until somebody lets it go on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        emulate_default_handler(SIGTSTP)?;
        self.resume()
    }

    /// The shell, or whatever was there meanwhile, may have left the terminal in any mode.
    pub fn resume(&mut self) -> io::Result<()> {
        give_back();
        self.terminal = ratatui::try_init()?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// There may be no terminal any more; then nobody misses what fails here.
fn give_back() {
    let _ = ratatui::try_restore();
    let _ = execute!(stdout(), Show);
}
