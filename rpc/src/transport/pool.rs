//! Buffers that are used again.

/// Keeps emptied buffers up to a number of bytes, so that a steady flow of messages allocates nothing.
#[derive(Debug, Default)]
pub struct Pool {
    spare: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    /// How much is kept, bytes.
    const BYTES_MAX: usize = 4 << 20;

    /// An empty buffer.
    pub fn take(&mut self) -> Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Gives a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if self.bytes + buffer.capacity() <= Self::BYTES_MAX {
            self.bytes += buffer.capacity();
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
