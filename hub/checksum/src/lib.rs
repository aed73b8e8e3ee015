//! A checksum on each page of an SQLite file, by a VFS that lies over another one.
//!
//! SQLite leaves the last eight bytes of each page alone if it is told to (`reserve`). They get the
//! CRC-64 of the page and its number when it is written, and it is looked at when the page is read. One wrong byte is
//! found by its checksum, and mended; a page with more of them is SQLITE_CORRUPT, and so is one that reads
//! as zeros, which only pages may do that are of no use. SQLite's log has checksums of its own, so of that
//! it is only noticed when it was cut.
//!
//! The idea is that of SQLite's own checksum VFS, <https://sqlite.org/cksumvfs.html>. That one is a C extension that
//! the bundled library leaves out, its sum is no CRC, so it can mend nothing, and it looks at no page number.

mod file;
mod free;
mod log;
mod page;
mod scan;
mod scrub;
mod state;
mod vfs;
mod writes;

pub use free::free_pages;
pub use log::cut;
pub use page::{PAGE_BYTES, RESERVED_BYTES, Seen, look, seal};
pub use scan::{Bad, scan};
pub use scrub::Scrub;
pub use state::{Damage, last_damage};
pub use vfs::{
    allow_holes, holes_read, is_summed, log_is_empty, mend_in_place, open, reserve, scrub,
};
pub use writes::Writes;
