//! Where the hub's file lies, and what a commit costs there.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// The kind of the file system; an error where a sync costs nothing, which would say nothing.
pub fn file_system(dir: &Path) -> Result<String, String> {
    let kind = rustix::fs::statfs(dir).map_err(|error| error.to_string())?.f_type as i64;
    match kind {
        TMPFS | RAMFS => Err(format!(
            "{} is in memory: a commit costs nothing there; name a directory on a disk with --dir",
            dir.display()
        )),
        0xef53 => Ok("ext4".into()),
        0x5846_5342 => Ok("xfs".into()),
        0x9123_683e => Ok("btrfs".into()),
        0x794c_7630 => Ok("overlayfs".into()),
        other => Ok(format!("{other:#x}")),
    }
}

/// Microseconds for a page written and synced, the median of a hundred.
pub fn commit_us(dir: &Path) -> std::io::Result<f64> {
    let path = dir.join(format!("sync-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
