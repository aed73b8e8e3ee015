//! What is freed goes back to the system: glibc by itself keeps most of it.

use std::fs;

/// Growth after which it is looked whether something can be given back: so much, and a quarter.
const GROWTH_MIN: u64 = 64 << 20;

/// So many tasks less are worth a look, if they are half of them.
const TASKS_MIN: u64 = 4_096;
/// Looks after which it is given back though somebody waits for replies.
const BUSY_LOOKS_MAX: u32 = 10;

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

/// How large the process is, and was after it last gave something back, and how many tasks it had.
#[derive(Debug, Default)]
pub struct Heap {
    least: u64,
    tasks: u64,
    /// Looks since the tasks have halved.
    waited: u32,
}

impl Heap {
    /// Once a second, with the tasks that are not finished. Of a flood of messages half of what it took stays in the
    /// middle of the heap when it is over, and of large tasks a third when they have ended. Giving it back took 30 to
    /// 40 ms for 200 MB in large blocks, and 90 to 600 for one to four million blocks of 150 bytes; to ask how much is
    /// free (`mallinfo2`) as long in that case. A thread of its own would make all others wait for the same lock. So
    /// it is not tried each second: growth is waited for, of which a hub that has more tasks has few moments, or that
    /// the tasks have halved, and then for a moment in which nobody waits for a reply.
    pub fn look(&mut self, tasks: u64, is_quiet: bool) {
        let Some(resident) = resident() else { return };
        self.least = self.least.min(resident);
        if self.least == 0 {
            self.least = resident;
        }
        self.tasks = self.tasks.max(tasks);
        let has_grown = resident >= self.least + GROWTH_MIN.max(self.least / 4);
        let has_halved = self.tasks - tasks >= TASKS_MIN.max(tasks);
        self.waited = if has_halved { self.waited + 1 } else { 0 };
        if !has_grown && !(has_halved && (is_quiet || self.waited > BUSY_LOOKS_MAX)) {
            return;
        }
        glibc::give_back();
        (self.tasks, self.waited) = (tasks, 0);
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
