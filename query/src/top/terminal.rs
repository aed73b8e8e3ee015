//! The terminal: taken for the whole screen, and always given back as it was.

use std::io::{self, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{panic, process, thread};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{DefaultTerminal, Terminal};
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;

use super::screen;
use super::state::State;

/// As a panic of the main thread ends a program.
const PANICKED: i32 = 101;

/// Leaving the alternate screen twice would move the cursor of the shell.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub fn enter() -> io::Result<Self> {
        let print = panic::take_hook();
        // The message is to be read, whichever thread it is from.
        panic::set_hook(Box::new(move |info| {
            give_back();
            print(info);
            if thread::current().name() != Some("main") {
                process::exit(PANICKED);
            }
        }));
        Ok(Self { terminal: take()? })
    }

    pub fn draw(&mut self, state: &mut State) -> io::Result<()> {
        self.terminal.draw(|frame| screen::draw(state, frame)).map(drop)
    }

    /// Gives the terminal back and stops, as Ctrl-Z does, until somebody lets it go on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        emulate_default_handler(SIGTSTP)?;
        self.terminal = take()?;
        Ok(())
    }

    /// After a stop that nobody could see coming the shell may have left the terminal in any mode.
    pub fn resume(&mut self) -> io::Result<()> {
        disable_raw_mode()?;
        self.terminal = take()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// With nothing on it.
fn take() -> io::Result<DefaultTerminal> {
    let was_taken = IS_TAKEN.swap(true, Ordering::Relaxed);
    let take = || {
        enable_raw_mode()?;
        if !was_taken {
            execute!(stdout(), EnterAlternateScreen)?;
        }
        execute!(stdout(), Clear(ClearType::All), Hide)?;
        Terminal::new(CrosstermBackend::new(stdout()))
    };
    take().inspect_err(|_| give_back())
}

/// There may be no terminal any more; then nobody misses what fails here.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::Relaxed) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
