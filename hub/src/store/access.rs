//! How a file is opened.

use std::io;
use std::path::Path;

use dhub_proto::private::Mode;

use super::log::{self, Medium};

/// Pages of the log after which it is moved into the file.
pub(crate) const CHECKPOINT_PAGES: u32 = 4000;

type OpenMedium<'a> = &'a dyn Fn(&Path) -> io::Result<Box<dyn Medium>>;

/// How a file is opened; by default as a hub on a local disk does it.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The file may be on a network file system.
    pub network: bool,
    /// The redo log is lost, and with it what is not folded.
    pub without_redo: bool,
    /// The way to the redo log; None: a file of the system's.
    pub medium: Option<OpenMedium<'a>>,
    pub region_bytes: u64,
    /// Nothing is folded but by `settle`, so that all I/Os come in one order.
    pub alone: bool,
    /// Which of SQLite's ways to the disk; None: the system's.
    pub vfs: Option<&'a str>,
    /// Pages of the log after which it is moved into the file.
    pub checkpoint_pages: u32,
    /// Bytes that are found wrong are put right in the file too; a look at it leaves it as it is.
    pub mends: bool,
    /// Who may read the file and what lies beside it; None: what is there stays as it is.
    pub mode: Option<Mode>,
}

impl Default for Access<'_> {
    fn default() -> Self {
        Self {
            network: false,
            without_redo: false,
            medium: None,
            region_bytes: log::REGION_BYTES,
            alone: false,
            vfs: None,
            checkpoint_pages: CHECKPOINT_PAGES,
            mends: false,
            mode: None,
        }
    }
}
