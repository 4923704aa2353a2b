//! One fragment of a message inside a data datagram.

use super::{Reader, WireError};

/// Length of what stands before the bytes of a fragment.
pub const FRAME_HEADER_BYTES: usize = 8 + 2 + 2 + 1 + 2;

/// What a frame says of its fragment. A message of `count` fragments owns `count` consecutive sequence numbers.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fragment {
    /// Its number in the session, from 0.
    pub sequence: u64,
    /// Its place in the message.
    pub index: u16,
    /// How many fragments the message has; at least 1.
    pub count: u16,
    /// Whom the message is for.
    pub channel: u8,
}

/// Appends what stands before `length` bytes of a fragment; the caller appends the bytes. Datagrams are never so large
/// that `length` does not fit.
pub fn write_frame_header(fragment: Fragment, length: usize, out: &mut Vec<u8>) {
    let mut header = [0u8; FRAME_HEADER_BYTES];
    header[0..8].copy_from_slice(&fragment.sequence.to_be_bytes());
    header[8..10].copy_from_slice(&fragment.index.to_be_bytes());
    header[10..12].copy_from_slice(&fragment.count.to_be_bytes());
    header[12] = fragment.channel;
    header[13..15].copy_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&header);
}

/// The frames of a datagram, in order. After an error it ends. Zeros behind the last one, no more than a frame's header is long, are
/// padding: no frame begins so, since none is of a message of no fragments.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// The frames that fill the rest of `reader`.
    pub fn new(reader: Reader<'a>) -> Self {
        Frames { reader }
    }

    /// How many bytes are not read yet.
    pub fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    fn read(reader: &mut Reader<'a>) -> Result<(Fragment, &'a [u8]), WireError> {
        let fragment =
            Fragment { sequence: reader.u64()?, index: reader.u16()?, count: reader.u16()?, channel: reader.u8()? };
        let length = usize::from(reader.u16()?);
        let bytes = reader.bytes(length)?;
        if fragment.index >= fragment.count || u64::from(fragment.index) > fragment.sequence {
            return Err(WireError::Value);
        }
        Ok((fragment, bytes))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(Fragment, &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.remaining() == 0 || self.reader.is_padding(FRAME_HEADER_BYTES) {
            self.reader = Reader::new(&[]);
            return None;
        }
        let read = Self::read(&mut self.reader);
        if read.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(read)
    }
}
