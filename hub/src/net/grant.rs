//! A key that is let in, and what it may ask.

use dhub_proto::role::Roles;
use serde::{Deserialize, Serialize};

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub name: String,
    pub roles: Roles,
    pub public_key: String,
    /// For people.
    pub made: String,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl Grant {
    /// Is who has the key let in?
    pub fn is_valid(&self) -> bool {
        self.revoked.is_none()
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Grants {
    pub(super) keys: Vec<Grant>,
}
