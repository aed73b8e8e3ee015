//! What keeps a hub from its keys.

use std::io;
use std::path::PathBuf;

use dhub_proto::access::{AccessError, EXTENSION};
use dhub_proto::disk::words;
use dhub_proto::private::PrivateError;

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error(
        "{path} has the key '{name}', which is valid; name another file, or take that key back first: dhub access revoke {name}"
    )]
    Taken { path: PathBuf, name: String },
    #[error(
        "{path} is where hubs keep files of their own; an access file there ends with .{EXTENSION}"
    )]
    Own { path: PathBuf },
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(
        "{path} cannot be read: {why}\n  it belongs to the hub's keys; without it, move the directory away: all get new keys then"
    )]
    Wrong { path: PathBuf, why: String },
    #[error("{path}: {}", words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error("no key could be made: {0}")]
    Key(zmq::Error),
    #[error("there is a key '{name}' already; take it back first: dhub access revoke {name}")]
    Exists { name: String },
    #[error("there is no key '{name}'; there are {}", if .names.is_empty() { "none" } else { .names })]
    Unknown { name: String, names: String },
    #[error("neither --dir nor HOME says where the keys are to be; give --dir DIR")]
    Nowhere,
}
