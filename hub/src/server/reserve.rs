//! The free space on disk. Below the reserve new tasks are refused; what is there can still be
//! finished.

use std::path::Path;

use dhub_proto::wire;

use crate::convert::error;

pub struct Reserve {
    reserve_bytes: u64,
    is_full: bool,
}

impl Reserve {
    pub fn new(reserve_bytes: u64) -> Self {
        Self { reserve_bytes, is_full: false }
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
            match is_full {
                true => tracing::warn!("the disk is almost full; new tasks are refused"),
                false => tracing::info!("the disk has space again; new tasks are taken"),
            }
        }
    }

    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// What a Create is answered with while it is.
    pub fn refusal(&self) -> wire::Error {
        let mib = self.reserve_bytes >> 20;
        let why =
            format!("less than {mib} MiB are free on the disk; no new tasks until there is more");
        error(wire::ErrorCode::ErrorDisk, why)
    }
}
