//! Standard output: tables and sentences for people, or JSON for programs.

use std::io::{self, IsTerminal, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use dhub_proto::plain;
use serde_json::Value;

use crate::failure::Failure;

#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// Text for people; its colours stay only on a terminal that wants them.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.write((self.painted(text) + end).as_bytes())
    }

    /// The text with its colours, if standard output is to have any.
    pub fn painted(self, text: &str) -> String {
        // Colours are taken out first: the stream that does it writes line by line, or less.
        let text = plain::styled(text);
        match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => strip_str(&text).to_string(),
            _ => text.into_owned(),
        }
    }

    /// Text for programs: not a byte of it is changed, unless it is a terminal that reads it. One write,
    /// for others may print there too.
    pub fn raw(self, text: &str) -> Result<(), Failure> {
        self.write(match io::stdout().is_terminal() {
            true => plain::lines(text).into_owned().into_bytes(),
            false => text.into(),
        })
    }

    /// What a task wrote, whatever that is.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut written = self.written();
        written.print(bytes)?;
        written.end()
    }

    /// The same piece by piece.
    pub fn written(self) -> Written {
        let shown = io::stdout().is_terminal().then(plain::Pieces::default);
        Written { out: self, shown }
    }

    fn write(self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let bytes = bytes.as_ref();
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A document: laid out for reading when it is the whole answer of a verb.
    pub fn document(self, value: &Value) -> Result<(), Failure> {
        self.write(plain::json(&format!("{value:#}\n")).as_bytes())
    }

    /// Documents, one a line.
    pub fn documents(self, values: impl Iterator<Item = Value>) -> Result<(), Failure> {
        let lines: String = values.map(|value| format!("{value}\n")).collect();
        self.write(plain::json(&lines).as_bytes())
    }

    /// The result of a verb: one sentence or one document.
    pub fn result(self, sentence: impl FnOnce() -> String, value: Value) -> Result<(), Failure> {
        if self.json { self.document(&value) } else { self.text(&sentence()) }
    }
}

/// What a task wrote: as it is for programs, and with nothing that steers it for a terminal.
pub struct Written {
    out: Output,
    shown: Option<plain::Pieces>,
}

impl Written {
    pub fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.shown {
            Some(shown) => self.out.write(shown.next(bytes)),
            None => self.out.write(bytes),
        }
    }

    pub fn end(&mut self) -> Result<(), Failure> {
        match &mut self.shown {
            Some(shown) => self.out.write(shown.end()),
            None => Ok(()),
        }
    }
}

/// Is somebody looking at what this program says?
pub fn watched() -> bool {
    io::stderr().is_terminal()
}
