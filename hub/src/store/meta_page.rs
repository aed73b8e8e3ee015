//! The page with the numbers of `meta`, read by itself: in a log, of which it is not known yet to what file it belongs.
//! The format: https://www.sqlite.org/fileformat2.html#b_tree_pages

/// A page of a table without row ids that leads to no others.
const LEAF: u8 = 10;
const CELLS_AT: usize = 8;

/// What it says of this key; None: nothing, or it is another page.
pub fn value(page: &[u8], key: &str) -> Option<u64> {
    if *page.first()? != LEAF {
        return None;
    }
    let two =
        |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    (0..two(3)?).find_map(|cell| {
        // Its length, that of the head, and a type each; all of them below 128.
        let cell = page.get(two(CELLS_AT + 2 * cell)?..)?;
        let [_, 3, text, kind] = *cell.first_chunk()? else { return None };
        let length = usize::from(text).checked_sub(13)? / 2;
        let (found, value) = cell.get(4..)?.split_at_checked(length)?;
        let (bytes, known) = match kind {
            1..=4 => (usize::from(kind), 0),
            5 => (6, 0),
            6 => (8, 0),
            8 | 9 => (0, u64::from(kind - 8)),
            _ => return None,
        };
        let value = value.get(..bytes)?;
        let value = value.iter().fold(known, |sum, byte| sum << 8 | u64::from(*byte));
        (found == key.as_bytes()).then_some(value)
    })
}
