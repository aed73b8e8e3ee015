//! What is freed goes back to the system. A process of its own: others' memory would count.

use dhub::heap::Heap;

/// Larger than a page, smaller than what is mapped by itself.
const BLOCK_BYTES: usize = 20 << 10;
const BLOCKS: usize = 6_000;
const TAKEN: usize = BLOCKS * BLOCK_BYTES;

/// In bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("what Linux tells");
    let pages: usize = pages.split(' ').nth(1).expect("a second word").parse().expect("a number");
    pages * rustix::param::page_size()
}

/// Blocks of which each 64th stays, and what the process had with all of them.
fn holes() -> (Vec<Vec<u8>>, usize) {
    let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|i| vec![i as u8 | 1; BLOCK_BYTES]).collect();
    let full = resident();
    let mut i = 0;
    blocks.retain(|_| (i += 1, i % 64 == 0).1);
    assert!(resident() > full - TAKEN / 4, "glibc gave it back by itself: {full}");
    (blocks, full)
}

fn is_back(full: usize) -> bool {
    resident() < full - TAKEN / 2
}

/// One test: each needs the heap for itself.
#[test]
fn what_is_freed_between_others_goes_back() {
    let mut heap = Heap::default();
    heap.look(0, true);
    let (blocks, full) = holes();
    heap.look(0, false);
    assert!(is_back(full), "it has grown: {full} {}", resident());
    drop(blocks);

    // The process is as large as it was, and half of its tasks have ended.
    let (first, _) = holes();
    let mut heap = Heap::default();
    heap.look(100_000, true);
    drop(first);
    let (blocks, full) = holes();
    heap.look(50_001, true);
    assert!(!is_back(full), "at half of them, not before: {full} {}", resident());
    heap.look(50_000, false);
    assert!(!is_back(full), "not while somebody waits: {full} {}", resident());
    heap.look(50_000, true);
    assert!(is_back(full), "they have halved: {full} {}", resident());
    drop(blocks);

    // Nor does it wait for ever.
    let (first, _) = holes();
    let mut heap = Heap::default();
    heap.look(100_000, false);
    drop(first);
    let (blocks, full) = holes();
    let busy = (1..).take(100).find(|_| (heap.look(0, false), is_back(full)).1);
    assert!(busy.is_some_and(|looks| looks > 5), "{busy:?}: {full} {}", resident());
    assert_eq!(blocks.len(), BLOCKS / 64);
}
