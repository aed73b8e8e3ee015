//! All pages of a file that is not open, the unused ones too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

use crate::free::free_pages;
use crate::page::{LOCK_PAGE, PAGE_BYTES, Page, Seen, look};
use crate::state::State;

/// A page that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    pub page: u32,
    /// The one byte that is wrong; None: there are more, or all are zeros.
    pub byte: Option<usize>,
}

/// The bad pages; None: they have no checksums. Of those that are `newer` elsewhere, the file's own
/// are never read: whatever they are does no harm.
pub fn scan(file: &mut File, newer: &BTreeMap<u32, &[u8]>) -> io::Result<Option<Vec<Bad>>> {
    let mut state = State::new(Default::default());
    let mut bad = Vec::new();
    let mut free: Option<BTreeSet<u32>> = None;
    let mut page: Page = [0; PAGE_BYTES];
    for number in 1.. {
        let size = fill(file, &mut page)?;
        if number == 1 {
            state.begin(newer.get(&1).copied().unwrap_or(&page[..size]));
        }
        if size == 0 || !state.summed {
            break;
        }
        if newer.contains_key(&number) {
            continue;
        }
        // The end of the file is cut off.
        let seen = if size < PAGE_BYTES { Seen::Damaged } else { look(number, &mut page) };
        match seen {
            Seen::Sound => {}
            Seen::Hole if number == LOCK_PAGE => {}
            Seen::Hole => {
                let free = free.get_or_insert_with(|| free_pages(file, newer));
                if !free.contains(&number) {
                    bad.push(Bad { page: number, byte: None });
                }
            }
            Seen::Mended { at } => bad.push(Bad { page: number, byte: Some(at) }),
            Seen::Damaged => bad.push(Bad { page: number, byte: None }),
        }
    }
    Ok(state.summed.then_some(bad))
}

/// As much of a page as there is.
fn fill(file: &mut File, page: &mut Page) -> io::Result<usize> {
    let mut size = 0;
    while size < PAGE_BYTES {
        match file.read(&mut page[size..]) {
            Ok(0) => break,
            Ok(more) => size += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}
