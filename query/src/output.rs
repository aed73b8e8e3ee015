//! Standard output: tables and sentences for people, or JSON for programs.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;

#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// Text for people; its colours stay only on a terminal that wants them.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::AutoStream::auto(io::stdout().lock());
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Text for programs: not a byte of it is changed.
    pub fn raw(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
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
