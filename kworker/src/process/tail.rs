//! The end of a task's output.

/// The last bytes of a stream, in at most twice the memory.
#[derive(Debug)]
pub struct Tail {
    bytes_max: usize,
    bytes: Vec<u8>,
}

impl Tail {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: Vec::new() }
    }

    pub fn push(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(self.bytes_max)..];
        // Moved only when as much as is kept has come anew, so each byte is moved once at most.
        if self.bytes.len() + chunk.len() > 2 * self.bytes_max {
            let keep = self.bytes_max - chunk.len();
            self.bytes.drain(..self.bytes.len().saturating_sub(keep));
        }
        self.bytes.extend_from_slice(chunk);
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.bytes.len().saturating_sub(self.bytes_max));
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end_of_what_was_pushed() {
        for bytes_max in [0, 1, 7, 100] {
            for chunk in [1, 3, 8, 250] {
                let all: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
                let mut tail = Tail::new(bytes_max);
                for part in all.chunks(chunk) {
                    tail.push(part);
                    assert!(tail.bytes.len() <= 2 * bytes_max);
                }
                assert_eq!(tail.into_bytes(), all[all.len() - bytes_max..]);
            }
        }
    }
}
