//! What is freed goes back to the system: glibc by itself keeps most of it.

use std::fs;

/// Growth after which it is looked whether something can be given back: so much, and a quarter.
const GROWTH_MIN: u64 = 64 << 20;

/// Blocks of so many bytes and more, as the chunks that tasks are held in and the frames of large messages, are
/// mapped by themselves.
const MAPPED_BYTES: usize = 128 << 10;
const _: () = assert!(MAPPED_BYTES <= crate::engine::scheduler::CHUNK_BYTES);

/// They go back to the system when they are freed. Without this, glibc takes the next ones from its heap as soon
/// as something as large was freed once, and what is freed in the middle of that stays: of 1,300 MB for ten million
/// tasks, 360 when all were done, with it 22. For the same reason there is one heap for all threads: of messages,
/// which one thread makes and another frees, each heap would keep its own holes. A hub under siege for ten minutes
/// had 439 MiB at most with a heap for each thread and 512 KiB here, of which 155 were in use.
pub fn set_up() {
    glibc::map_from(MAPPED_BYTES as libc::c_int);
    glibc::one_heap();
}

/// How large the process is, and was after it last gave something back.
#[derive(Debug, Default)]
pub struct Heap {
    least: u64,
}

impl Heap {
    /// Once a second. Of a flood of messages half of what it took stays in the middle of the heap
    /// when it is over. Giving it back takes some milliseconds, so it waits for
    /// growth; of a hub that grows since it has more tasks there are few such moments.
    pub fn look(&mut self) {
        let Some(resident) = resident() else { return };
        self.least = self.least.min(resident);
        if self.least == 0 {
            self.least = resident;
        }
        if resident < self.least + GROWTH_MIN.max(self.least / 4) {
            return;
        }
        glibc::give_back();
        self.least = self::resident().unwrap_or(resident);
        tracing::debug!("{} MiB in memory, {} before", self.least >> 20, resident >> 20);
    }
}

/// In bytes.
fn resident() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(target_env = "gnu")]
mod glibc {
    /// Blocks of so many bytes and more are mapped by themselves.
    #[allow(unsafe_code, reason = "no well-kept crate has it")]
    pub fn map_from(bytes: libc::c_int) {
        // SAFETY: it takes two numbers and touches nothing but malloc's own settings, under its lock.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) };
    }

    #[allow(unsafe_code, reason = "no well-kept crate has it")]
    pub fn one_heap() {
        // SAFETY: as above.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }

    /// Whole pages of the heap that nothing lies in.
    #[allow(unsafe_code, reason = "no well-kept crate has it")]
    pub fn give_back() {
        // SAFETY: it takes a number and touches nothing but what is free, under malloc's locks.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(not(target_env = "gnu"))]
mod glibc {
    pub fn map_from(_: libc::c_int) {}
    pub fn one_heap() {}
    pub fn give_back() {}
}
