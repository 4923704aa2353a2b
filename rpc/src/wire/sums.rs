//! The arithmetic of the weaker checks. Both read the bytes as 16-bit words, the high byte first; an odd byte at the end is
//! the high byte of a last word.

/// The modulus of both sums: 2^16 - 1, so that a carry out of the top comes back in at the bottom. Zero therefore has two
/// forms, 0x0000 and 0xffff, and neither sum tells one from the other.
const MODULUS: u64 = 0xffff;

/// The Internet checksum (RFC 1071): the complement of the ones'-complement sum of all 16-bit words.
///
/// It adds 32 bits at a time in the machine's own byte order, which gives the same sum with its bytes in that order
/// (section 2 of the RFC): 2^16 is 1 by this modulus, and swapping bytes is a multiplication by 2^8.
pub fn internet(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let value = |word: &[u8; 4]| u64::from(u32::from_ne_bytes(*word));
    let sum = words.iter().map(value).sum::<u64>() + value(&last);
    !u16::from_be(fold(sum) as u16)
}

/// Adds the carries back in, until 16 bits are left. Only a sum of nothing but zeros gives zero.
fn fold(mut sum: u64) -> u64 {
    while sum > MODULUS {
        sum = (sum & MODULUS) + (sum >> 16);
    }
    sum
}

/// How many words are added up before the sums are reduced; 64 bits have room for many more.
const WORDS_MAX: usize = 1 << 16;

/// Fletcher-32: the sum of all words, and above it the sum of the sums so far, both modulo 2^16 - 1.
pub fn fletcher32(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map(|byte| [*byte, 0]);
    let (mut sum, mut weighted) = (0u64, 0u64);
    for block in words.chunks(WORDS_MAX).chain([last.as_slice()]) {
        for word in block {
            sum += u64::from(u16::from_be_bytes(*word));
            weighted += sum;
        }
        sum %= MODULUS;
        weighted %= MODULUS;
    }
    (weighted << 16 | sum) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_checksum_gives_the_example_of_its_rfc() {
        // RFC 1071, section 3: the sum of these is ddf2.
        assert_eq!(internet(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn the_internet_checksum_of_a_header_with_its_checksum_is_zero() {
        // An IPv4 header that is often printed: its checksum field holds b861.
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(internet(&header), 0);
        let mut without = header;
        without[10..12].fill(0);
        assert_eq!(internet(&without), 0xb861);
    }

    #[test]
    fn the_internet_checksum_takes_an_odd_byte_for_the_high_half_of_a_word() {
        assert_eq!(internet(&[]), 0xffff);
        assert_eq!(internet(&[0x12]), !0x1200);
        assert_eq!(internet(&[0x12, 0x34, 0x56]), !(0x1234 + 0x5600));
        assert_eq!(internet(&[0xff, 0xff, 0x00, 0x01]), !0x0001);
    }

    #[test]
    fn fletcher_gives_the_values_that_are_published_for_it() {
        // Published for words whose low byte comes first: "abcde", "abcdef", "abcdefgh".
        assert_eq!(fletcher32(b"badc\0e"), 0xf04f_c729);
        assert_eq!(fletcher32(b"badcfe"), 0x5650_2d2a);
        assert_eq!(fletcher32(b"badcfehg"), 0xebe1_9591);
    }

    #[test]
    fn fletcher_takes_an_odd_byte_for_the_high_half_of_a_word() {
        assert_eq!(fletcher32(&[]), 0);
        assert_eq!(fletcher32(&[0x12]), 0x1200_1200);
        assert_eq!(fletcher32(&[0x12, 0x34, 0x56]), fletcher32(&[0x12, 0x34, 0x56, 0x00]));
    }

    #[test]
    fn fletcher_does_not_overflow_on_the_largest_words() {
        // Each word is zero by the modulus, however many there are.
        assert_eq!(fletcher32(&vec![0xff; 4 * WORDS_MAX + 6]), 0);
        let mut bytes = vec![0xff; 4 * WORDS_MAX];
        bytes.extend_from_slice(&[0, 1]);
        assert_eq!(fletcher32(&bytes), 0x0001_0001);
    }
}
