//! The store: what is committed is there after the file is opened again; what is not ours is left
//! as it is; one hub a file.

mod change;
#[path = "../common/mod.rs"]
mod common;
mod open;
mod view;

use std::path::Path;

use common::task;
use dhub::engine::message::*;
use dhub::store::Store;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn open(file: &Path) -> Store {
    Store::open(file, "today", false).map(|opened| opened.store).expect("the file opens")
}

fn added(id: TaskId, name: &str, needs: &[TaskId]) -> Change {
    Change::Added { id, task: Box::new(task(name, &[])), needs: needs.to_vec(), adopted: false }
}
