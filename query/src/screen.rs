//! The terminal as a screen that is repainted in place.
//!
//! It is painted on the alternate screen, so that a window may change its size at any time, and
//! the shell's own screen comes back afterwards with the last picture below its text.

use std::io::{self, IsTerminal, Write, stdin, stdout};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

pub struct Screen {
    /// How the terminal was; None: nobody types.
    before: Option<Termios>,
    entered: bool,
}

impl Screen {
    pub fn enter() -> io::Result<Self> {
        let before = stdin().is_terminal().then(|| tcgetattr(stdin()).ok()).flatten();
        let mut screen = Self { before, entered: false };
        screen.resume()?;
        Ok(screen)
    }

    /// Also after a stop by Ctrl-Z.
    pub fn resume(&mut self) -> io::Result<()> {
        if let Some(before) = &self.before {
            // What is typed is a key, not text on the screen.
            let mut mute = before.clone();
            mute.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
            tcsetattr(stdin(), OptionalActions::Now, &mute)?;
        }
        self.entered = true;
        let mut out = Vec::new();
        queue!(out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        write(&out)
    }

    /// At once, from the first line on; nothing of the picture before is left.
    pub fn paint(&mut self, text: &str) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate)?;
        for (line, text) in text.lines().enumerate() {
            let line = u16::try_from(line).unwrap_or(u16::MAX);
            queue!(out, MoveTo(0, line), Print(text), Clear(ClearType::UntilNewLine))?;
        }
        let next = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
        // Below the last line of a window there is nothing, and this would be that line.
        if crossterm::terminal::size().is_ok_and(|(_, lines)| next < lines) {
            queue!(out, MoveTo(0, next), Clear(ClearType::FromCursorDown))?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        write(&out)
    }

    /// The terminal is as it was before. Again: nothing.
    pub fn leave(&mut self) {
        if !std::mem::take(&mut self.entered) {
            return;
        }
        let mut out = Vec::new();
        // A terminal that is gone needs no tidying.
        let _ = queue!(out, EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = write(&out);
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}
