//! Numbers, and inputs, that only a seed decides (splitmix64).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` - 1; 0 if there is nothing to choose from.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.number() % n as u64) as usize }
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.number() as u8).collect()
    }

    /// A few changes, as transmission and malice make them.
    pub fn mutate(&mut self, frame: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..1 + self.below(4) {
            let at = self.below(frame.len() + 1);
            match self.below(9) {
                0 if at < frame.len() => frame[at] ^= 1 << self.below(8),
                1 if at < frame.len() => frame[at] = self.number() as u8,
                // What protobuf's lengths and numbers break at.
                2 if at < frame.len() => {
                    frame[at] = *self.pick(&[0, 1, 0x7f, 0x80, 0xff, 0x08, 0x0a, 0x0b, 0x5a]);
                }
                3 => frame.truncate(at),
                4 => {
                    let many = 1 + self.below(12);
                    let new = self.bytes(many);
                    frame.splice(at..at, new);
                }
                5 => {
                    let to = (at + 1 + self.below(16)).min(frame.len());
                    frame.drain(at..to);
                }
                6 => {
                    let to = (at + 1 + self.below(64)).min(frame.len());
                    let part = frame[at..to].to_vec();
                    (0..1 + self.below(8)).for_each(|_| drop(frame.splice(at..at, part.clone())));
                }
                7 if !others.is_empty() => {
                    let other = self.pick(others);
                    frame.truncate(at);
                    frame.extend(&other[other.len() * (at & 3) / 4..]);
                }
                // The longest of varints.
                _ => drop(frame.splice(at..at, [0xff; 9].into_iter().chain([1]))),
            }
        }
    }
}
