//! Keys that are not the owner's.

use super::Name;

/// The number of a key, as libzmq has it with each message.
pub type User = u32;

/// Who asks with a key that is not the owner's: what its requests take is counted.
#[derive(Clone, Debug)]
pub struct Guest {
    pub user: User,
    /// Of its key.
    pub name: Name,
    /// Its key is one of workers, and thus of whole pools.
    pub may_work: bool,
}
