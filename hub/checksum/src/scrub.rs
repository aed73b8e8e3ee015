//! A look at all pages of a file that is open, some at a time: what is rarely read is mended as well.

use std::ops::Range;

use crate::page::PAGE_BYTES;

/// How far it has come, and what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Pages before it were looked at.
    done: u32,
    /// Pages that had one wrong byte, which is right now.
    pub mended: u32,
    /// Pages of which nobody knows what was written.
    pub damaged: u32,
    pub is_over: bool,
}

/// Half a megabyte: less than a millisecond, if the system has it in memory.
const PAGES: u32 = 128;

impl Scrub {
    /// The numbers of the pages that come next, in a file of so many bytes.
    pub(crate) fn take(&mut self, bytes: u64) -> Range<u32> {
        let last = (bytes / PAGE_BYTES as u64).try_into().unwrap_or(u32::MAX - 1);
        let first = self.done;
        self.done = first.saturating_add(PAGES).min(last);
        self.is_over = self.done == last;
        first + 1..self.done + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_comes_once_and_what_was_cut_off_does_not() {
        let page = PAGE_BYTES as u64;
        let mut scrub = Scrub::default();
        assert_eq!(scrub.take(200 * page + 7), 1..129);
        assert!(!scrub.is_over);
        assert_eq!(scrub.take(200 * page), 129..201);
        assert!(scrub.is_over);
        let mut scrub = Scrub::default();
        scrub.take(200 * page);
        assert!(scrub.take(100 * page).is_empty());
        assert!(scrub.is_over);
        assert_eq!(Scrub::default().take(0), 1..1);
    }
}
