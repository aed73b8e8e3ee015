//! When to tell the hub what is held, and how loaded this machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use dhub_proto::wire::Sample;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, System};

/// Also a pool that holds nothing shows that it is there.
const INTERVAL_MAX: Duration = Duration::from_secs(10);
/// The second tells what the first tasks have come to; nobody should wait for that.
const SECOND: Duration = Duration::from_secs(1);
/// Two of three may be lost.
const PER_TERM: u32 = 3;

pub struct Heartbeat {
    /// None where this kind of machine does not tell.
    system: Option<System>,
    disk: Disk,
    last: Option<Instant>,
    is_first: bool,
}

impl Heartbeat {
    pub fn new() -> Self {
        Self { system: System::new().ok(), disk: Disk::watch(), last: None, is_first: true }
    }

    /// When the next one has to go out, if the shortest term held is `term`.
    pub fn due(&self, term: Option<Duration>, now: Instant) -> Instant {
        let interval = interval(term).min(if self.is_first { SECOND } else { INTERVAL_MAX });
        self.last.map_or(now, |last| last + interval)
    }

    pub fn sent(&mut self, now: Instant) {
        self.is_first = self.last.is_none();
        self.last = Some(now);
    }

    /// The hub was away: it should know at once.
    pub fn hurry(&mut self) {
        self.last = None;
    }

    /// Reads three small files below /proc; the processor's share is since the last sample.
    pub fn sample(&mut self, slots: usize, running: usize) -> Sample {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut sample =
            Sample { slots: count(slots), running: count(running), ..Sample::default() };
        sample.disk_free_bytes = self.disk.free_bytes();
        if let Some(system) = &mut self.system {
            system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            sample.cpu_percent = system.global_cpu_usage();
            sample.memory_used_bytes = system.used_memory();
            sample.memory_total_bytes = system.total_memory();
            sample.load_1m = System::load_average().map_or(0.0, |load| load.one as f32);
        }
        sample
    }
}

/// What is free in the working directory, looked up by a thread of its own: a file system of the
/// network that hangs must not hold up heartbeats.
struct Disk {
    free_bytes: Arc<AtomicU64>,
    look: SyncSender<()>,
}

impl Disk {
    fn watch() -> Self {
        let free_bytes = Arc::new(AtomicU64::new(0));
        let (look, looks) = sync_channel(1);
        let found = Arc::clone(&free_bytes);
        let watch = move || {
            while looks.recv().is_ok() {
                if let Ok(disk) = rustix::fs::statvfs(".") {
                    let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
                    found.store(bytes, Ordering::Relaxed);
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("disk".to_owned()).spawn(watch) {
            tracing::debug!(%error, "nobody looks how full the disk is");
        }
        let disk = Self { free_bytes, look };
        disk.free_bytes();
        disk
    }

    /// As found after the last question; 0 if nothing was found yet.
    fn free_bytes(&self) -> u64 {
        // Full or gone: it hangs, or there is no such thread.
        let _ = self.look.try_send(());
        self.free_bytes.load(Ordering::Relaxed)
    }
}

fn interval(term: Option<Duration>) -> Duration {
    term.map_or(INTERVAL_MAX, |term| (term / PER_TERM).min(INTERVAL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_shortest_term_but_at_least_every_ten_seconds() {
        assert_eq!(interval(None), Duration::from_secs(10));
        assert_eq!(interval(Some(Duration::from_secs(3600))), Duration::from_secs(10));
        assert_eq!(interval(Some(Duration::from_secs(3))), Duration::from_secs(1));
    }

    #[test]
    fn the_second_is_in_time_for_the_shortest_term_too() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new();
        heartbeat.sent(now);
        let term = Duration::from_millis(900);
        assert_eq!(heartbeat.due(Some(term), now), now + Duration::from_millis(300));
    }

    #[test]
    fn the_first_is_due_at_once_and_so_is_one_after_a_silence() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new();
        assert_eq!(heartbeat.due(None, now), now);
        heartbeat.sent(now);
        assert_eq!(heartbeat.due(None, now), now + SECOND);
        heartbeat.sent(now);
        assert_eq!(heartbeat.due(None, now), now + Duration::from_secs(10));
        heartbeat.hurry();
        assert_eq!(heartbeat.due(None, now), now);
    }

    #[test]
    fn a_sample_knows_this_machine() {
        let sample = Heartbeat::new().sample(8, 3);
        assert_eq!((sample.slots, sample.running), (8, 3));
        assert!(sample.memory_total_bytes > sample.memory_used_bytes);
        let until = Instant::now() + Duration::from_secs(10);
        let mut heartbeat = Heartbeat::new();
        while heartbeat.sample(8, 3).disk_free_bytes == 0 {
            assert!(Instant::now() < until, "the disk is never looked at");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
