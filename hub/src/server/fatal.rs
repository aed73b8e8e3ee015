//! What stops the hub, and what to do then.

use std::path::Path;

use dhub_proto::shell;

use crate::store::{Saved, Store, StoreError, beside};

/// What stops the hub.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{}", gone(.0))]
    Gone(Box<Saved>),
    #[error("the sockets failed: {0}")]
    Socket(#[from] zmq::Error),
}

impl Fatal {
    /// What to do so that the hub goes on with this file.
    pub fn advice(&self, file: &Path) -> String {
        let Self::Store(error) = self else { return String::new() };
        let (run, rescue) = (shell::file(file), shell::rescue(file));
        match error.is_damage() {
            true => format!(
                "\n  others cannot do without that page; save the rest to a new file, with a list of what is lost: {rescue}\n  what the page has: dhub check {run}; if the rest lacks too much, go on from a backup"
            ),
            false => format!(
                "\n  nothing that was acknowledged is lost; mend that, then start the hub again: dhub -f {run}"
            ),
        }
    }
}

/// What to do when the files are gone.
fn gone(saved: &Saved) -> String {
    let (gone, file) = (&saved.gone, &saved.file);
    match &saved.to {
        Ok(to) => {
            let name = |end: &str| shell::file(beside(file, end));
            format!(
                "{gone}\n  all that was acknowledged is saved in {to}\n  go on with that: dhub -f {new}\n  under the old name: first move away what is left of {run}, {wal} and {redo}, then: mv {new} {run}",
                to = to.display(),
                new = shell::file(to),
                run = name(""),
                wal = name("-wal"),
                redo = name(".redo"),
            )
        }
        Err(why) => format!(
            "{gone}\n  it could not be saved: {}\n  put the file back, or save what can be read to a new file, with a list of what cannot: {}",
            why.join("\n    "),
            shell::rescue(file)
        ),
    }
}

/// If files of this hub are gone, that is what is wrong, and what it has is saved.
pub(super) fn or_gone(store: &mut Store, error: StoreError) -> Fatal {
    match store.save() {
        Some(saved) => Fatal::Gone(Box::new(saved)),
        None => Fatal::Store(store.named(error)),
    }
}
