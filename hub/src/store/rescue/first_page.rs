//! A first page in place of one that cannot be read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dhub_checksum::{PAGE_BYTES, RESERVED_BYTES, Seen, look, seal};

use crate::store::copy::{new_part, open_plain_part};
use crate::store::version::create;
use crate::store::wal::page_size;

/// Where the first page says how many bytes SQLite leaves at the end of each.
pub const RESERVED_AT: usize = 20;
/// Pages that are looked at to see whether there are checksums.
const SAMPLE: u32 = 100;

/// The page that says where the tables begin cannot be read: then as a new file has it, or as one that
/// was copied to get checksums. What is found there is looked at row by row.
pub fn replace_first_page(part: &Path, is_copied: bool) -> rusqlite::Result<()> {
    let io = |error: io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let dir = tempfile::tempdir().map_err(io)?;
    let template = dir.path().join("new.db");
    let mut db = match reserved_bytes(part).map_err(io)? == RESERVED_BYTES {
        true => new_part(&template)?,
        false => open_plain_part(&template)?,
    };
    create(&mut db)?;
    if is_copied {
        // In the order of a copy, tables first.
        db.execute_batch("VACUUM")?;
    }
    db.close().map_err(|(_, error)| error)?;
    let bytes = fs::read(template).map_err(io)?;
    let Some(size) = page_size(&bytes) else { return Ok(()) };
    let mut page = bytes[..size].to_vec();
    let file = OpenOptions::new().write(true).open(part).map_err(io)?;
    let pages = file.metadata().map_err(io)?.len() / size as u64;
    // How many there are, and none of them unused.
    page[28..32].copy_from_slice(&(pages as u32).to_be_bytes());
    page[32..40].fill(0);
    if let Ok(page) = <&mut [u8; PAGE_BYTES]>::try_from(&mut page[..])
        && usize::from(page[RESERVED_AT]) == RESERVED_BYTES
    {
        seal(1, page);
    }
    file.write_all_at(&page, 0).map_err(io)
}

/// Its first page cannot be asked: the others have checksums, or have none.
fn reserved_bytes(part: &Path) -> io::Result<usize> {
    let file = File::open(part)?;
    let mut page = [0; PAGE_BYTES];
    for number in 2..=SAMPLE {
        if file.read_exact_at(&mut page, u64::from(number - 1) * PAGE_BYTES as u64).is_err() {
            break;
        }
        if page.iter().any(|&byte| byte != 0) && look(number, &mut page) == Seen::Sound {
            return Ok(RESERVED_BYTES);
        }
    }
    Ok(0)
}
