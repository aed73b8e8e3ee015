//! Standard output: tables and sentences for people, or JSON for programs.

use std::io::{self, IsTerminal, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
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
        self.raw(&(self.painted(text) + end))
    }

    /// The text with its colours, if standard output is to have any.
    pub fn painted(self, text: &str) -> String {
        // Colours are taken out first: the stream that does it writes line by line, or less.
        match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => strip_str(text).to_string(),
            _ => text.to_owned(),
        }
    }

    /// Text for programs: not a byte of it is changed. One write, for others may print there too.
    pub fn raw(self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// What a task wrote, whatever that is.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A document: laid out for reading when it is the whole answer of a verb.
    pub fn document(self, value: &Value) -> Result<(), Failure> {
        self.raw(&format!("{value:#}\n"))
    }

    /// The result of a verb: one sentence or one document.
    pub fn result(self, sentence: impl FnOnce() -> String, value: Value) -> Result<(), Failure> {
        if self.json { self.document(&value) } else { self.text(&sentence()) }
    }
}

/// Is somebody looking at what this program says?
pub fn watched() -> bool {
    io::stderr().is_terminal()
}
