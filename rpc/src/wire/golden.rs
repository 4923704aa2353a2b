//! What stands on the wire, written down by hand: the same bytes on every machine, of either byte order.

use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without the spaces that are there for the reader.
fn golden(hex: &str) -> String {
    hex.replace(' ', "")
}

#[test]
fn a_prefix_is_magic_version_kind_flags_and_two_sessions() {
    let prefix = Prefix {
        version: 9,
        kind: Kind::Data,
        flags: Flags::PING,
        to: SessionId(0x0102_0304_0506_0708),
        from: SessionId(0x1112_1314_1516_1718),
    };
    let hex = "444d 09 03 01 0102030405060708 1112131415161718";
    assert_eq!(written(|out| prefix.write(out)), golden(hex));
}

#[test]
fn an_acknowledgement_is_next_echo_and_a_counted_bitmap() {
    let echo = Some(Echo { packet: 0x21, waited_us: 0x0102_0304 });
    let ack = AckBlock::new(0x0a0b, echo, &[0, 0x8000_0000_0000_0001, 0]);
    let hex = "0000000000000a0b 0000000000000021 01020304 02 0000000000000000 8000000000000001";
    assert_eq!(written(|out| ack.write(out)), golden(hex));
    let nothing = AckBlock::new(0, None, &[]);
    assert_eq!(written(|out| nothing.write(out)), golden("0000000000000000 ffffffffffffffff 00000000 00"));
}

#[test]
fn a_frame_is_sequence_index_count_channel_and_length() {
    let fragment = Fragment { sequence: 0x0102_0304_0506_0708, index: 0x0102, count: 0x0304, channel: 5 };
    let hex = "0102030405060708 0102 0304 05 0607";
    assert_eq!(written(|out| write_frame_header(fragment, 0x0607, out)), golden(hex));
}

#[test]
fn a_hello_is_boot_epoch_and_two_limits() {
    let hello = Hello { boot: 0x0102_0304_0506_0708, datagram_max: 0x1112_1314, message_max: 0x2122_2324 };
    assert_eq!(written(|out| hello.write(out)), golden("0102030405060708 11121314 21222324"));
}

#[test]
fn a_reset_is_a_reason_and_a_boot_epoch() {
    let reasons = [ResetReason::NoSession, ResetReason::Version, ResetReason::Protection, ResetReason::WrongKey];
    for (number, reason) in (1..).zip(reasons) {
        let reset = Reset { reason, boot: 0x0102_0304_0506_0708 };
        assert_eq!(written(|out| reset.write(out)), golden(&format!("{number:02x} 0102030405060708")));
    }
}

#[test]
fn a_hello_with_its_prefix_and_crc_is_the_same_in_every_version() {
    let from = SessionId(0x1112_1314_1516_1718);
    let prefix = Prefix { version: 1, kind: Kind::Hello, flags: Flags::default(), to: SessionId(0), from };
    let hello = Hello { boot: 1, datagram_max: 1_472, message_max: 1 << 20 };
    let datagram = written(|out| {
        prefix.write(out);
        hello.write(out);
        Integrity::Crc32.seal(out);
    });
    let hex = "444d 01 01 00 0000000000000000 1112131415161718 0000000000000001 000005c0 00100000";
    assert_eq!((datagram.get(..hex.replace(' ', "").len()), datagram.len()), (Some(&*golden(hex)), 2 * HELLO_BYTES));
}
