//! Pages that are of no use now: SQLite's list of them.
//!
//! The format: https://www.sqlite.org/fileformat2.html#the_freelist

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::page::{PAGE_BYTES, Page, Seen, look};

/// Where the first page says which page the list begins on.
const FIRST_AT: usize = 32;
/// Numbers on a page of the list: the next such page, how many follow, and these.
const NUMBERS_MAX: usize = PAGE_BYTES / 4 - 2;

/// Those that may have anything in them, as SQLite never reads them; as far as the list can be read. What is
/// `newer` elsewhere counts, and not what the file has.
pub fn free_pages(file: &File, newer: &BTreeMap<u32, &[u8]>) -> BTreeSet<u32> {
    let mut free = BTreeSet::new();
    let Some(first) = read(file, newer, 1) else { return free };
    let mut list = BTreeSet::new();
    let mut next = number(&first, FIRST_AT);
    // A damaged one may lead back.
    while next > 0 && list.insert(next) {
        let Some(page) = read(file, newer, next) else { break };
        let count = (number(&page, 4) as usize).min(NUMBERS_MAX);
        free.extend((0..count).map(|i| number(&page, 8 + 4 * i)));
        next = number(&page, 0);
    }
    free
}

fn read(file: &File, newer: &BTreeMap<u32, &[u8]>, number: u32) -> Option<Page> {
    if let Some(page) = newer.get(&number) {
        return (*page).try_into().ok();
    }
    let mut page = [0; PAGE_BYTES];
    file.read_exact_at(&mut page, u64::from(number - 1) * PAGE_BYTES as u64).ok()?;
    matches!(look(number, &mut page), Seen::Sound | Seen::Mended { .. }).then_some(page)
}

fn number(page: &Page, at: usize) -> u32 {
    u32::from_be_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}
