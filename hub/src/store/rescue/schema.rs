//! A schema in place of one that cannot be read: the first page, and those that it leads to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dhub_checksum::{PAGE_BYTES, RESERVED_BYTES, Seen, look, seal};

use crate::store::copy::{new_part, open_plain_part};
use crate::store::files::wal::page_size;
use crate::store::tables::version::create;

/// Where the first page says how many bytes SQLite leaves at the end of each.
pub const RESERVED_AT: usize = 20;
/// Pages that are looked at to see whether there are checksums.
const SAMPLE: u32 = 100;

/// Where the first page has the head of its part of a tree, after that of the file.
const TREE_AT: usize = 100;
/// Of a page that leads to others, and where it says how many, to which last, and where the cells are of the rest.
const INTERIOR: u8 = 5;
const CELLS_AT: usize = TREE_AT + 3;
const LAST_AT: usize = TREE_AT + 8;
const CELLS: usize = TREE_AT + 12;

/// The pages that say where the tables begin cannot be read: then as a new file has them, or as one that
/// was copied to get checksums. What is found there is looked at row by row.
pub fn replace_schema(part: &Path, is_copied: bool) -> rusqlite::Result<()> {
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
    put(part, &bytes).map_err(io)
}

/// The first page of this file takes the place of that of `part`; those that it leads to come behind the end, where
/// they are in nobody's way.
fn put(part: &Path, template: &[u8]) -> io::Result<()> {
    let Some(size) = page_size(template) else { return Ok(()) };
    let pages: Vec<&[u8]> = template.chunks_exact(size).collect();
    let Some(mut first) = pages.first().map(|page| page.to_vec()) else { return Ok(()) };
    let is_summed = usize::from(first[RESERVED_AT]) == RESERVED_BYTES;
    let file = OpenOptions::new().write(true).open(part)?;
    let mut end = (file.metadata()?.len() / size as u64) as u32;
    for at in pointers(&first) {
        let child = four(&first, at).checked_sub(1).and_then(|page| pages.get(page as usize));
        let Some(child) = child else { continue };
        end += 1;
        first[at..at + 4].copy_from_slice(&end.to_be_bytes());
        write(&file, end, child.to_vec(), is_summed)?;
    }
    // How many there are, and none of them unused.
    first[28..32].copy_from_slice(&end.to_be_bytes());
    first[32..40].fill(0);
    write(&file, 1, first, is_summed)
}

fn write(file: &File, number: u32, mut page: Vec<u8>, is_summed: bool) -> io::Result<()> {
    let at = u64::from(number - 1) * page.len() as u64;
    if let Ok(page) = <&mut [u8; PAGE_BYTES]>::try_from(&mut page[..])
        && is_summed
    {
        seal(number, page);
    }
    file.write_all_at(&page, at)
}

/// Where the first page has the numbers of other pages of the schema.
fn pointers(first: &[u8]) -> Vec<usize> {
    if first[TREE_AT] != INTERIOR {
        return Vec::new();
    }
    let cells = (0..two(first, CELLS_AT)).map(|cell| two(first, CELLS + 2 * cell));
    cells.chain([LAST_AT]).filter(|at| at + 4 <= first.len()).collect()
}

fn two(page: &[u8], at: usize) -> usize {
    page.get(at..at + 2).map_or(0, |two| usize::from(two[0]) << 8 | usize::from(two[1]))
}

fn four(page: &[u8], at: usize) -> u32 {
    page.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
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
