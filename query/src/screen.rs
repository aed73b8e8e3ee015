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
        write(&picture(text, crossterm::terminal::size()?)?)
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

/// What paints the text on a screen of so many columns and lines.
fn picture(text: &str, (columns, lines): (u16, u16)) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    queue!(out, BeginSynchronizedUpdate)?;
    let mut next = 0;
    for line in text.lines() {
        queue!(out, MoveTo(0, next), Print(line))?;
        // Behind a full line the cursor is still on its last character, which this would clear.
        if console::measure_text_width(line) < usize::from(columns) {
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        next = next.saturating_add(1);
    }
    // Below the last line of a window there is nothing, and this would be that line.
    if next < lines {
        queue!(out, MoveTo(0, next), Clear(ClearType::FromCursorDown))?;
    }
    queue!(out, EndSynchronizedUpdate)?;
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_keeps_its_last_character() {
        let of = |text, size| String::from_utf8(picture(text, size).expect("bytes")).expect("text");
        let (clear_line, clear_below) = ("\u{1b}[K", "\u{1b}[J");
        let narrower = of("abc\nd", (4, 3));
        assert_eq!(
            (narrower.matches(clear_line).count(), narrower.contains(clear_below)),
            (2, true)
        );
        let full = of("\u{1b}[31mabc…\u{1b}[0m\nd", (4, 2));
        assert_eq!((full.matches(clear_line).count(), full.contains(clear_below)), (1, false));
        assert!(full.contains("abc…"));
    }
}
