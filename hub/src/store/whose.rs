//! Whose rows a page has: found by going down all trees of the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use dhub_checksum::{PAGE_BYTES, Seen, look};

/// What a page is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The table or the index.
    pub tree: String,
    /// Rows with ids in this range; all of them, if it is where the tree begins.
    pub ids: (i64, i64),
    /// In a table, and not in an index.
    pub has_rows: bool,
}

/// Header of a page: 100 bytes further on in the first one.
const FILE_HEADER: usize = 100;
const INDEX_INTERIOR: u8 = 2;
const TABLE_INTERIOR: u8 = 5;
const TABLE_LEAF: u8 = 13;

/// Of each of these pages that is part of a tree. `roots`: the trees and where they begin, and whether they are tables.
pub fn whose(
    file: &File,
    roots: &[(String, u32, bool)],
    pages: &[u32],
) -> io::Result<BTreeMap<u32, Whose>> {
    let count = (file.metadata()?.len() / PAGE_BYTES as u64) as usize;
    let mut found = BTreeMap::new();
    // A damaged page may lead back up.
    let mut looked = vec![false; count + 1];
    for (tree, root, has_rows) in roots {
        let mut left = vec![(*root, (i64::MIN, i64::MAX))];
        while let Some((number, ids)) = left.pop() {
            match looked.get_mut(number as usize) {
                Some(looked) if number > 0 && !*looked => *looked = true,
                _ => continue,
            }
            if pages.contains(&number) {
                found.insert(number, Whose { tree: tree.clone(), ids, has_rows: *has_rows });
            }
            let mut page = [0; PAGE_BYTES];
            file.read_exact_at(&mut page, (u64::from(number) - 1) * PAGE_BYTES as u64)?;
            if look(number, &mut page) != Seen::Damaged {
                children(number, &page, ids, &mut left);
            }
        }
    }
    Ok(found)
}

/// The pages below, with the ids that their rows may have.
fn children(
    number: u32,
    page: &[u8],
    (mut low, high): (i64, i64),
    to: &mut Vec<(u32, (i64, i64))>,
) {
    let start = if number == 1 { FILE_HEADER } else { 0 };
    let kind = page[start];
    if kind == TABLE_LEAF || (kind != TABLE_INTERIOR && kind != INDEX_INTERIOR) {
        return;
    }
    let cells = two(page, start + 3);
    for cell in 0..cells {
        let at = two(page, start + 12 + 2 * cell);
        let key = if kind == TABLE_INTERIOR { varint(page, at + 4) } else { high };
        to.push((four(page, at), (low, key)));
        if kind == TABLE_INTERIOR {
            low = key;
        }
    }
    to.push((four(page, start + 8), (low, high)));
}

fn two(page: &[u8], at: usize) -> usize {
    page.get(at..at + 2).map_or(0, |two| usize::from(two[0]) << 8 | usize::from(two[1]))
}

fn four(page: &[u8], at: usize) -> u32 {
    page.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// As SQLite writes numbers: seven bits a byte, and eight in the ninth.
fn varint(page: &[u8], at: usize) -> i64 {
    let mut number: u64 = 0;
    for (n, byte) in page.iter().skip(at).take(9).enumerate() {
        if n == 8 {
            return (number << 8 | u64::from(*byte)) as i64;
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number as i64
}
