//! Where a hub is found, kept in its directory also while it does not run: whoever gets a key later,
//! has to be told, whatever became of the other keys.

use dhub_proto::access::{self, Access};
use serde::{Deserialize, Serialize};

pub use dhub_proto::access::PLACE;

/// What all access files of a hub have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The hub's file; empty if it has none.
    pub file: String,
    pub host: String,
    pub boot_id: String,
    pub ipc: String,
    /// Its encrypted endpoints.
    pub endpoints: Vec<String>,
}

impl Place {
    /// On this machine, as it runs now.
    pub fn here(file: String, ipc: String, endpoints: Vec<String>) -> Self {
        Self { file, host: dhub_proto::host_name(), boot_id: access::boot_id(), ipc, endpoints }
    }

    pub fn tell(&self, access: &mut Access) {
        let Self { file, host, boot_id, ipc, endpoints } = self.clone();
        *access = Access { file, host, boot_id, ipc, endpoints, ..access.clone() };
    }
}

impl From<Access> for Place {
    fn from(access: Access) -> Self {
        let Access { file, host, boot_id, ipc, endpoints, .. } = access;
        Self { file, host, boot_id, ipc, endpoints }
    }
}
