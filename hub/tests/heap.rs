//! What is freed goes back to the system. A process of its own: others' memory would count.

use dhub::heap::Heap;

/// Larger than a page, smaller than what is mapped by itself.
const BLOCK_BYTES: usize = 20 << 10;
const BLOCKS: usize = 6_000;

/// In bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("what Linux tells");
    let pages: usize = pages.split(' ').nth(1).expect("a second word").parse().expect("a number");
    pages * rustix::param::page_size()
}

#[test]
fn what_is_freed_between_others_goes_back() {
    let mut heap = Heap::default();
    heap.look();
    let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|i| vec![i as u8 | 1; BLOCK_BYTES]).collect();
    let full = resident();
    let mut i = 0;
    blocks.retain(|_| (i += 1, i % 64 == 0).1);
    let kept = resident();
    heap.look();
    let after = resident();
    let taken = BLOCKS * BLOCK_BYTES;
    assert!(kept > full - taken / 4, "glibc gave it back by itself: {full} {kept}");
    assert!(after < full - taken / 2, "{full} {kept} {after}");
    assert_eq!(blocks.len(), BLOCKS / 64);
}
