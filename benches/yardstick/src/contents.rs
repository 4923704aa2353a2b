//! What a large result holds, so that a wrong byte is noticed.

use std::sync::OnceLock;

/// Largest result.
pub const BYTES_MAX: usize = 16 << 20;

/// The first `bytes` bytes of the contents, or as many as there are. All 256 values, with no period that is a power of two, so that
/// pieces that changed places are noticed.
pub fn expected(bytes: u32) -> &'static [u8] {
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..BYTES_MAX).map(|place| (place % 251 + place / 65_521) as u8).collect());
    all.get(..bytes as usize).unwrap_or(all)
}

/// # Errors
///
/// A sentence for the user if these are not the bytes that were asked for.
pub fn check(got: &[u8], bytes: u32) -> Result<(), String> {
    let expected = expected(bytes);
    if got == expected {
        return Ok(());
    }
    let place = got.iter().zip(expected).position(|(got, expected)| got != expected);
    Err(format!("wrong result: {} bytes of {}, first difference {place:?}", got.len(), expected.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_a_lost_byte_and_exchanged_pieces_are_noticed() {
        let good = expected(200_000).to_vec();
        assert_eq!(check(&good, 200_000), Ok(()));
        assert!(check(&good[1..], 200_000).is_err());
        let mut bad = good.clone();
        bad[100_000] ^= 1;
        assert!(check(&bad, 200_000).is_err());
        let mut swapped = good.clone();
        swapped.copy_within(65_536..131_072, 0);
        assert!(check(&swapped, 200_000).is_err());
    }
}
