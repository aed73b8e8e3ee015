//! One page and its checksum.

use crc64fast::Digest;

/// Of all files that have checksums.
pub const PAGE_BYTES: usize = 4096;
/// At the end of each page.
pub const RESERVED_BYTES: usize = 8;
const BODY_BYTES: usize = PAGE_BYTES - RESERVED_BYTES;

pub type Page = [u8; PAGE_BYTES];

/// What a page turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Sound,
    /// This byte was wrong, and is right now.
    Mended {
        at: usize,
    },
    /// It is not what was written, and nobody knows what was.
    Damaged,
    /// Nothing but zeros, as where a file was never written: sound only if it is of no use.
    Hole,
}

/// SQLite takes its locks on bytes of this page and keeps nothing in it.
pub const LOCK_PAGE: u32 = (0x4000_0000 / PAGE_BYTES + 1) as u32;

/// Puts the checksum at the end. Pages count from 1, as SQLite counts them.
pub fn seal(number: u32, page: &mut Page) {
    let sum = sum(number, &page[..BODY_BYTES]);
    page[BODY_BYTES..].copy_from_slice(&sum.to_le_bytes());
}

/// Compares the page with its checksum, and mends it if one byte is wrong.
pub fn look(number: u32, page: &mut Page) -> Seen {
    let mut stored = [0; RESERVED_BYTES];
    stored.copy_from_slice(&page[BODY_BYTES..]);
    let difference = sum(number, &page[..BODY_BYTES]) ^ u64::from_le_bytes(stored);
    if difference == 0 {
        return Seen::Sound;
    }
    if is_hole(page) {
        return Seen::Hole;
    }
    let Some((at, wrong)) = wrong_byte(difference) else { return Seen::Damaged };
    page[at] ^= wrong;
    Seen::Mended { at }
}

/// The checksum of a page of zeros is none.
fn is_hole(page: &Page) -> bool {
    page.iter().all(|&byte| byte == 0)
}

/// With the number, so that a page in another's place is told.
fn sum(number: u32, body: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.write(&number.to_le_bytes());
    digest.write(body);
    digest.sum64()
}

/// What a wrong byte adds to the checksum, if it is the last one. A CRC is linear: what it adds does not depend on the
/// other bytes.
const LAST: [u64; 256] = {
    // CRC-64/XZ, bits reversed, as `crc64fast` has it.
    const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// Which byte has its part of the checksum begin so: no two begin alike.
const BY_FIRST: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[(LAST[byte] >> 56) as usize] = byte as u8;
        byte += 1;
    }
    table
};

/// The one byte that explains the difference, and what to turn in it. Two wrong bytes at random places
/// look like one other in one of 2^44 cases.
fn wrong_byte(difference: u64) -> Option<(usize, u8)> {
    let bytes = difference.to_le_bytes();
    let mut set = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
    if let (Some((at, &wrong)), None) = (set.next(), set.next()) {
        return Some((BODY_BYTES + at, wrong));
    }
    // From the last byte to the first: what is left is what it would be if the body ended here.
    let mut rest = difference;
    for at in (0..BODY_BYTES).rev() {
        let byte = BY_FIRST[(rest >> 56) as usize];
        if rest == LAST[byte as usize] {
            return Some((at, byte));
        }
        rest = ((rest ^ LAST[byte as usize]) << 8) | u64::from(byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(seed: u64) -> Page {
        let mut rest = seed;
        let mut page = [0; PAGE_BYTES];
        for byte in &mut page {
            rest = rest
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (rest >> 56) as u8;
        }
        seal(7, &mut page);
        page
    }

    #[test]
    fn any_wrong_byte_is_mended() {
        let sound = page(1);
        for at in 0..PAGE_BYTES {
            for wrong in [1, 0x80, 0x20, 0xff] {
                let mut bytes = sound;
                bytes[at] ^= wrong;
                assert_eq!(look(7, &mut bytes), Seen::Mended { at }, "{wrong:#x}");
                assert!(bytes == sound, "byte {at}");
            }
        }
    }

    #[test]
    fn more_than_a_byte_is_told() {
        let sound = page(2);
        for (one, other) in [(0, 1), (5, 4000), (17, 4090), (4090, 4091), (100, 3000)] {
            let mut bytes = sound;
            bytes[one] ^= 0x40;
            bytes[other] ^= 0x01;
            assert_eq!(look(7, &mut bytes), Seen::Damaged, "{one} {other}");
        }
        assert_eq!(look(7, &mut [0xa5; PAGE_BYTES]), Seen::Damaged);
    }

    #[test]
    fn a_page_in_the_place_of_another_is_told() {
        assert_eq!(look(7, &mut page(3)), Seen::Sound);
        // Numbers that differ in one byte differ in one that is not in the page.
        assert_eq!(look(8, &mut page(3)), Seen::Damaged);
        assert_eq!(look(7 << 16, &mut page(3)), Seen::Damaged);
        assert_eq!(look(9, &mut [0; PAGE_BYTES]), Seen::Hole);
        let mut zeros = [0; PAGE_BYTES];
        seal(9, &mut zeros);
        assert_eq!(look(9, &mut zeros), Seen::Sound, "zeros that were written");
    }
}
