//! Files of JSON that only their owner may read.

use std::path::Path;

use dhub_proto::private;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::net::error::HomeError;

/// More than a file with a secret key has.
const KEY_TEXT_BYTES: usize = 4 * 1024;

pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, HomeError> {
    let text = Zeroizing::new(private::read(path)?);
    // What serde says of a wrong value has the value in it, which may be a key.
    let wrong = |error: serde_json::Error| format!("line {} is wrong", error.line());
    serde_json::from_str(&text)
        .map_err(|error| HomeError::Wrong { path: path.to_owned(), why: wrong(error) })
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), HomeError> {
    let wrong = |error: serde_json::Error| HomeError::Wrong {
        path: path.to_owned(),
        why: error.to_string(),
    };
    // Room for the keys of a hub: what grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_TEXT_BYTES));
    serde_json::to_writer_pretty(&mut *text, value).map_err(wrong)?;
    text.push(b'\n');
    let text = std::str::from_utf8(&text)
        .map_err(|error| HomeError::Wrong { path: path.to_owned(), why: error.to_string() })?;
    Ok(private::write(path, text)?)
}
