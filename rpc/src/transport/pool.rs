//! Buffers that are used again.

/// Keeps emptied buffers up to a number of bytes, so that a steady flow of messages allocates nothing.
///
/// They are kept by size. A short message must not sit in a long buffer: a queue that nobody acknowledges would hold many times
/// the bytes that it is charged for.
#[derive(Debug, Default)]
pub struct Pool {
    /// By the logarithm of the capacity, rounded down.
    spare: [Vec<Vec<u8>>; SIZES],
    bytes: usize,
}

/// Buffers of up to 64 KiB, one fragment, are kept.
const SIZES: usize = 17;
/// The logarithm of the smallest capacity.
const SMALLEST: usize = 6;

impl Pool {
    /// How much is kept, bytes.
    const BYTES_MAX: usize = 4 << 20;

    /// An empty buffer for `length` bytes, with room for less than four times as many (or for 128).
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let size = (length.next_power_of_two().trailing_zeros() as usize).max(SMALLEST);
        match self.spare.get_mut(size).and_then(Vec::pop) {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                buffer
            }
            None if size < SIZES => Vec::with_capacity(1 << size),
            None => Vec::with_capacity(length),
        }
    }

    /// Gives a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let Some(size) = buffer.capacity().checked_ilog2() else { return };
        if let Some(spare) = self.spare.get_mut(size as usize)
            && self.bytes + buffer.capacity() <= Self::BYTES_MAX
        {
            self.bytes += buffer.capacity();
            buffer.clear();
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_never_sits_in_a_long_buffer() {
        let mut pool = Pool::default();
        (0..64).for_each(|_| pool.give(Vec::with_capacity(65_536)));
        for length in [0, 1, 64, 65, 1_371, 1_372, 32_768, 65_400] {
            let capacity = pool.take(length).capacity();
            assert!(capacity >= length && capacity <= (2 * length).max(128), "{capacity} for {length}");
        }
        assert_eq!(pool.take(65_400).capacity(), 65_536);
    }

    #[test]
    fn buffers_come_back_and_no_more_than_the_limit_is_kept() {
        let mut pool = Pool::default();
        (0..1_000).for_each(|_| pool.give(Vec::with_capacity(40_000)));
        assert!(pool.bytes <= Pool::BYTES_MAX);
        let kept = pool.bytes / 40_000;
        (0..kept).for_each(|_| assert_eq!(pool.take(20_000).capacity(), 40_000));
        assert_eq!((pool.bytes, pool.take(20_000).capacity()), (0, 32_768));
    }
}
