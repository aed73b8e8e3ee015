//! Values by index, in chunks: growing copies nothing, and what is no longer used goes back.

use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};

/// A chunk has so much, or up to twice that: what malloc asks the system for, and gives it back, by
/// itself (see `heap::set_up`).
pub const CHUNK_BYTES: usize = 512 * 1024;

/// An index stays the same while its value is there. A place without one has the default.
#[derive(Default)]
pub struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks with memory and with room; the first is filled first, so that others become empty.
    open: BTreeSet<u32>,
    /// Chunks that gave back their memory.
    released: Vec<u32>,
    len: usize,
}

struct Chunk<T> {
    values: Vec<T>,
    free: Vec<u16>,
}

impl<T> Chunk<T> {
    fn new() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.values.len() == Slab::<T>::CHUNK && self.free.is_empty()
    }
}

impl<T> Slab<T> {
    /// Values in one chunk.
    const CHUNK: usize = (CHUNK_BYTES / size_of::<T>()).next_power_of_two();

    fn split(index: u32) -> (usize, usize) {
        (index as usize / Self::CHUNK, index as usize % Self::CHUNK)
    }

    fn join(number: usize, at: usize) -> u32 {
        (number * Self::CHUNK + at) as u32
    }
}

impl<T: Default> Slab<T> {
    pub fn insert(&mut self, value: T) -> u32 {
        let number = self.open.first().copied().unwrap_or_else(|| self.open_chunk());
        let chunk = &mut self.chunks[number as usize];
        let at = match chunk.free.pop() {
            Some(at) => {
                chunk.values[at as usize] = value;
                at as usize
            }
            None => {
                chunk.values.push(value);
                chunk.values.len() - 1
            }
        };
        if chunk.is_full() {
            self.open.remove(&number);
        }
        self.len += 1;
        Self::join(number as usize, at)
    }

    fn open_chunk(&mut self) -> u32 {
        let number = self.released.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::new());
            self.chunks.len() as u32 - 1
        });
        self.chunks[number as usize].values.reserve_exact(Self::CHUNK);
        self.open.insert(number);
        number
    }

    /// There must be a value.
    pub fn remove(&mut self, index: u32) -> T {
        let (number, at) = Self::split(index);
        let chunk = &mut self.chunks[number];
        if chunk.is_full() {
            self.open.insert(number as u32);
        }
        let value = std::mem::take(&mut chunk.values[at]);
        chunk.free.push(at as u16);
        self.len -= 1;
        // One without values stays, or it might come and go with each.
        if chunk.free.len() == chunk.values.len() && self.open.len() > 1 {
            *chunk = Chunk::new();
            self.open.remove(&(number as u32));
            self.released.push(number as u32);
        }
        value
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        let (number, at) = Self::split(index);
        self.chunks.get(number)?.values.get(at)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// All places from an index on, those without a value too.
    pub fn iter_from(&self, index: u32) -> impl Iterator<Item = (u32, &T)> {
        let (number, at) = Self::split(index);
        self.chunks.iter().enumerate().skip(number).flat_map(move |(i, chunk)| {
            let begin = if i == number { at.min(chunk.values.len()) } else { 0 };
            let values = chunk.values[begin..].iter().enumerate();
            values.map(move |(j, value)| (Self::join(i, begin + j), value))
        })
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| &mut chunk.values)
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        let (number, at) = Self::split(index);
        &self.chunks[number].values[at]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        let (number, at) = Self::split(index);
        &mut self.chunks[number].values[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u32 = Slab::<Option<u32>>::CHUNK as u32;
    const MANY: u32 = 3 * CHUNK + 1;

    fn used(slab: &Slab<Option<u32>>) -> Vec<(u32, u32)> {
        slab.iter_from(0).filter_map(|(index, value)| Some((index, (*value)?))).collect()
    }

    fn chunks_with_memory(slab: &Slab<Option<u32>>) -> usize {
        slab.chunks.iter().filter(|chunk| chunk.values.capacity() > 0).count()
    }

    #[test]
    fn values_stay_where_they_are() {
        let mut slab = Slab::default();
        for i in 0..MANY {
            assert_eq!(slab.insert(Some(i)), i);
        }
        for i in (0..MANY).step_by(2) {
            assert_eq!(slab.remove(i), Some(i));
        }
        assert_eq!(slab.len(), MANY as usize / 2);
        assert!((1..MANY).step_by(2).all(|i| slab[i] == Some(i)));
        let next = CHUNK + 1;
        assert_eq!(slab.iter_from(next).next(), Some((next, &slab[next])));
        // What is free is used again before there are more.
        let again: BTreeSet<u32> = (0..MANY).step_by(2).map(|i| slab.insert(Some(i))).collect();
        assert!((0..MANY).step_by(2).eq(again));
        assert_eq!(slab.insert(Some(MANY)), MANY);
    }

    #[test]
    fn empty_chunks_are_given_back() {
        let mut slab = Slab::default();
        (0..MANY).for_each(|i| assert_eq!(slab.insert(Some(i)), i));
        assert_eq!(chunks_with_memory(&slab), 4);
        (1..MANY).for_each(|i| assert_eq!(slab.remove(i), Some(i)));
        assert_eq!(used(&slab), [(0, 0)]);
        assert_eq!(chunks_with_memory(&slab), 1);
        slab.remove(0);
        assert_eq!((slab.len(), chunks_with_memory(&slab)), (0, 1));
        assert_eq!(slab.get(MANY), None);
        let again: BTreeSet<u32> = (0..MANY).map(|i| slab.insert(Some(i))).collect();
        assert_eq!(again.len(), MANY as usize);
        assert_eq!(slab.len(), MANY as usize);
    }
}
