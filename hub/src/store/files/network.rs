//! Network file systems.

use std::io;
use std::path::Path;

/// SQLite's log needs memory shared between processes of one machine, and locks that hold.
pub fn network_file_system(dir: &Path) -> io::Result<Option<&'static str>> {
    Ok(network_kind(rustix::fs::statfs(dir)?.f_type as u32))
}

/// By the numbers of statfs(2).
fn network_kind(number: u32) -> Option<&'static str> {
    Some(match number {
        0x6969 => "NFS",
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => "SMB",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x1983_0326 => "BeeGFS",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::network_kind;

    /// The numbers as the kernel's magic.h and the file systems themselves give them.
    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        for (number, kind) in [
            (0x6969, "NFS"),
            (0xFF53_4D42, "SMB"),
            (0xFE53_4D42, "SMB"),
            (0x0BD0_0BD0, "Lustre"),
            (0x4750_4653, "GPFS"),
            (0x00C3_6400, "Ceph"),
            (0x1983_0326, "BeeGFS"),
            (0x6573_5546, "FUSE"),
        ] {
            assert_eq!(network_kind(number), Some(kind), "{number:#x}");
        }
        // ext4, XFS, Btrfs, ZFS, F2FS, tmpfs, overlayfs.
        let local =
            [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0xF2F5_2010, 0x0102_1994, 0x794C_7630];
        assert_eq!(local.map(network_kind), [None; 7]);
    }
}
