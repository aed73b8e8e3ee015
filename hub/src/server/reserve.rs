//! The free space on disk. Below the reserve new tasks are refused; what is there can still be
//! finished.

use std::path::{Path, PathBuf};

use dhub_proto::wire;

use crate::dialect::native::error;

pub struct Reserve {
    reserve_bytes: u64,
    is_full: bool,
    /// Which disk is meant.
    file: PathBuf,
}

impl Reserve {
    pub fn new(reserve_bytes: u64) -> Self {
        Self { reserve_bytes, is_full: false, file: PathBuf::new() }
    }

    pub fn check(&mut self, file: Option<&Path>) {
        let Some(file) = file else {
            return;
        };
        let Ok(disk) = rustix::fs::statvfs(file) else {
            return;
        };
        let is_full = disk.f_bavail.saturating_mul(disk.f_frsize) < self.reserve_bytes;
        if is_full != self.is_full {
            self.is_full = is_full;
            self.file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            let file = self.file.display();
            match is_full {
                true => tracing::warn!("the disk of {file} is almost full; new tasks are refused"),
                false => tracing::info!("the disk of {file} has space again; new tasks are taken"),
            }
        }
    }

    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// What a Create is answered with while it is.
    pub fn refusal(&self) -> wire::Error {
        let (mib, file) = (self.reserve_bytes >> 20, self.file.display());
        let why = format!(
            "less than {mib} MiB are free on the disk of {file}; no new tasks until there is more"
        );
        error(wire::ErrorCode::ErrorDisk, why)
    }
}
