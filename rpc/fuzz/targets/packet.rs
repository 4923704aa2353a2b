//! Whatever decodes as a datagram encodes to the bytes that it was read from.

use rpc::wire::{AckBlock, Frames, Hello, Integrity, Kind, Prefix, Reader, Reset, WireError, write_frame_header};

/// Decodes `bytes`, a datagram without its trailer, as far as it makes sense, and encodes what was found.
pub fn packet(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut encoded = Vec::new();
    let _ = copy(&mut reader, &mut encoded);
    assert_eq!(bytes.get(..encoded.len()), Some(&encoded[..]));
    for integrity in Integrity::ALL {
        let mut sealed = bytes.to_vec();
        integrity.seal(&mut sealed);
        assert_eq!(integrity.open(&sealed), Ok(bytes));
        let _ = integrity.open(bytes);
    }
}

fn copy(reader: &mut Reader<'_>, encoded: &mut Vec<u8>) -> Result<(), WireError> {
    let prefix = Prefix::read(reader)?;
    prefix.write(encoded);
    match prefix.kind {
        Kind::Hello | Kind::HelloAck => Hello::read(reader)?.write(encoded),
        Kind::Reset => Reset::read(reader)?.write(encoded),
        Kind::Data => {
            encoded.extend_from_slice(&reader.u64()?.to_be_bytes());
            AckBlock::read(reader)?.write(encoded);
            for frame in Frames::new(reader.clone()) {
                let (fragment, bytes) = frame?;
                write_frame_header(fragment, bytes.len(), encoded);
                encoded.extend_from_slice(bytes);
            }
        }
    }
    Ok(())
}
