//! Round trips, and bytes that nobody meant.

use proptest::prelude::*;

use super::*;

fn prefix() -> impl Strategy<Value = Prefix> {
    let kind = prop_oneof![Just(Kind::Hello), Just(Kind::HelloAck), Just(Kind::Data), Just(Kind::Reset)];
    (any::<u8>(), kind, any::<u8>(), any::<u64>(), any::<u64>()).prop_map(|(version, kind, flags, to, from)| Prefix {
        version,
        kind,
        flags: Flags(flags),
        to: SessionId(to),
        from: SessionId(from),
    })
}

fn ack() -> impl Strategy<Value = AckBlock> {
    let echo = proptest::option::of((0..u64::MAX, any::<u32>()));
    (any::<u64>(), echo, proptest::collection::vec(any::<u64>(), 0..=MAX_WORDS)).prop_map(|(next, echo, words)| {
        AckBlock::new(next, echo.map(|(packet, waited_us)| Echo { packet, waited_us }), &words)
    })
}

fn fragment() -> impl Strategy<Value = Fragment> {
    (65_536..u64::MAX, any::<u16>(), any::<u16>(), any::<u8>()).prop_map(|(sequence, a, b, channel)| Fragment {
        sequence,
        index: a.min(b).min(u16::MAX - 1),
        count: a.max(b).max(a.min(b).saturating_add(1)),
        channel,
    })
}

proptest! {
    #[test]
    fn a_prefix_reads_back_as_written(prefix in prefix()) {
        let mut bytes = Vec::new();
        prefix.write(&mut bytes);
        prop_assert_eq!(bytes.len(), PREFIX_BYTES);
        prop_assert_eq!(Prefix::read(&mut Reader::new(&bytes)), Ok(prefix));
    }

    #[test]
    fn a_hello_reads_back_as_written(boot: u64, datagram_max: u32, message_max: u32) {
        let hello = Hello { boot, datagram_max, message_max };
        let mut bytes = Vec::new();
        hello.write(&mut bytes);
        prop_assert_eq!(bytes.len() + PREFIX_BYTES + 4, HELLO_BYTES);
        prop_assert_eq!(Hello::read(&mut Reader::new(&bytes)), Ok(hello));
    }

    #[test]
    fn an_acknowledgement_reads_back_as_written(ack in ack()) {
        let mut bytes = Vec::new();
        ack.write(&mut bytes);
        prop_assert_eq!(bytes.len() + PREFIX_BYTES + 8, data_header_bytes(ack.words().len()));
        prop_assert_eq!(AckBlock::read(&mut Reader::new(&bytes)), Ok(ack));
    }

    #[test]
    fn frames_read_back_as_written(
        frames in proptest::collection::vec((fragment(), proptest::collection::vec(any::<u8>(), 0..100)), 0..10)
    ) {
        let mut bytes = Vec::new();
        for (fragment, body) in &frames {
            write_frame_header(*fragment, body.len(), &mut bytes);
            bytes.extend_from_slice(body);
        }
        let read: Result<Vec<_>, _> = Frames::new(Reader::new(&bytes)).collect();
        let read: Vec<_> = read.unwrap().into_iter().map(|(fragment, body)| (fragment, body.to_vec())).collect();
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn random_bytes_never_panic_any_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Prefix::read(&mut Reader::new(&bytes));
        let _ = Hello::read(&mut Reader::new(&bytes));
        let _ = Reset::read(&mut Reader::new(&bytes));
        let _ = AckBlock::read(&mut Reader::new(&bytes));
        for kind in Integrity::ALL {
            let _ = kind.open(&bytes);
        }
        prop_assert!(Frames::new(Reader::new(&bytes)).count() <= bytes.len());
    }

    #[test]
    fn a_sealed_datagram_opens_and_a_damaged_one_does_not(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), at: usize, bit in 0..8u32
    ) {
        let mut sealed = bytes.clone();
        Integrity::Crc32.seal(&mut sealed);
        prop_assert_eq!(Integrity::Crc32.open(&sealed), Ok(&bytes[..]));
        let at = at % sealed.len();
        sealed[at] ^= 1u8 << bit;
        prop_assert_eq!(Integrity::Crc32.open(&sealed), Err(WireError::Corrupt));
    }

    #[test]
    fn what_is_sealed_in_pieces_is_what_it_would_be_in_one(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), lent in proptest::collection::vec(any::<u8>(), 1..300)
    ) {
        let mut whole = [&bytes[..], &lent].concat();
        Integrity::Crc32.seal(&mut whole);
        let mut pieces = bytes;
        seal_lent(&mut pieces, &lent);
        let trailer = pieces.split_off(pieces.len() - LENT_TRAILER_BYTES);
        prop_assert_eq!([pieces, lent, trailer].concat(), whole);
    }

    #[test]
    fn every_check_opens_what_it_sealed_and_catches_a_single_bit_unless_it_is_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), at: usize, bit in 0..8u32
    ) {
        for kind in Integrity::ALL {
            let mut sealed = bytes.clone();
            kind.seal(&mut sealed);
            prop_assert_eq!(sealed.len(), bytes.len() + kind.trailer_bytes());
            prop_assert_eq!(kind.open(&sealed), Ok(&bytes[..]));
            if sealed.is_empty() {
                continue;
            }
            let at = at % sealed.len();
            sealed[at] ^= 1u8 << bit;
            prop_assert_eq!(kind.open(&sealed).is_ok(), kind == Integrity::None);
        }
    }
}

#[test]
fn a_few_zeros_behind_the_last_frame_are_padding_and_nothing_else_is() {
    let fragment = Fragment { sequence: 0, index: 0, count: 1, channel: 0 };
    let frames = |behind: &[u8]| {
        let mut bytes = Vec::new();
        write_frame_header(fragment, 2, &mut bytes);
        bytes.extend_from_slice(b"ab");
        bytes.extend_from_slice(behind);
        Frames::new(Reader::new(&bytes)).map(|frame| frame.map(|(_, body)| body.to_vec())).collect::<Vec<_>>()
    };
    let first = || Ok(b"ab".to_vec());
    for count in 0..=FRAME_HEADER_BYTES {
        assert_eq!(frames(&vec![0; count]), [first()], "{count} zeros");
    }
    assert_eq!(frames(&[0; FRAME_HEADER_BYTES + 1]), [first(), Err(WireError::Value)]);
    assert_eq!(frames(&[0, 0, 1]), [first(), Err(WireError::Short)]);
}

#[test]
fn a_refusal_is_never_larger_than_what_it_refuses() {
    const { assert!(RESET_BYTES <= HELLO_BYTES && RESET_BYTES <= SEALED_HELLO_BYTES) };
    assert!(SEALED_RESET_BYTES <= data_header_bytes(0) + SEAL_BYTES);
    assert!(RESET_BYTES <= data_header_bytes(0) + Integrity::Crc32.trailer_bytes());
    let reset = Reset { reason: ResetReason::Version, boot: 7 };
    let mut bytes = Vec::new();
    reset.write(&mut bytes);
    assert_eq!(bytes.len() + PREFIX_BYTES + 4, RESET_BYTES);
    assert_eq!(Reset::read(&mut Reader::new(&bytes)), Ok(reset));
}

#[test]
fn a_full_fragment_and_a_reserved_bitmap_fill_a_datagram_exactly() {
    for protection in Protection::ALL {
        let bytes = fragment_bytes(1_472, protection);
        let datagram = data_header_bytes(RESERVED_WORDS) + FRAME_HEADER_BYTES + bytes + protection.trailer_bytes();
        assert_eq!(datagram, 1_472);
    }
}

#[test]
fn every_trailer_stands_at_the_end_with_its_high_byte_first() {
    let sealed = |kind: Integrity| {
        let mut bytes = b"123456789".to_vec();
        kind.seal(&mut bytes);
        bytes.split_off(9)
    };
    assert_eq!(sealed(Integrity::None), [0; 0]);
    assert_eq!(sealed(Integrity::Additive), [0xf6, 0x2a]);
    assert_eq!(sealed(Integrity::Fletcher32), [0x09, 0xdf, 0x09, 0xd5]);
    // The check value that catalogues of CRCs give for this one.
    assert_eq!(sealed(Integrity::Crc32), [0xcb, 0xf4, 0x39, 0x26]);
}

#[test]
fn every_check_is_read_from_its_name_and_from_the_flags_of_an_opening() {
    for kind in Integrity::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    for protection in Protection::ALL {
        assert_eq!(Flags::of(protection).with(Flags::PING).protection(), Ok(protection));
    }
    assert_eq!(Flags::of(Protection::Plain(Integrity::default())), Flags::NONE);
    assert_eq!(Flags(0x50).protection(), Err(WireError::Value));
    let complaint = "md5".parse::<Integrity>().unwrap_err().to_string();
    assert_eq!(complaint, "\"md5\" is no integrity check: write none, additive, fletcher32 or crc32");
}
