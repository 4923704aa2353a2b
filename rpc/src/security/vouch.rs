//! What vouches for a refusal: an HMAC (RFC 2104, SHA-256) under a key of its own, so that nobody without the pre-shared key can
//! end a session.
//!
//! A refusal says that its sender, of this boot epoch, has no session of these two numbers. That stays true for ever, because
//! numbers are never used again; so recording a refusal and sending it again does no harm.

use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac::{HMAC_SHA256, Key as HmacKey, sign, verify};

use super::Key;
use crate::wire::WireError;

/// Length of what is appended.
pub(crate) const VOUCH_BYTES: usize = 32;

/// Vouches, and checks what others vouched for.
#[derive(Clone)]
pub(crate) struct Voucher(HmacKey);

impl Voucher {
    /// With a key derived from the one that all share.
    pub fn new(key: &Key) -> Voucher {
        let secret = Salt::new(HKDF_SHA256, b"rpc").extract(key.bytes());
        let derived = secret.expand(&[b"refusals"], HMAC_SHA256).map(HmacKey::from);
        Voucher(derived.expect("a key is shorter than HKDF's limit"))
    }

    /// Appends what vouches for the bytes so far.
    pub fn vouch(&self, datagram: &mut Vec<u8>) {
        let tag = sign(&self.0, datagram);
        datagram.extend_from_slice(tag.as_ref());
    }

    /// Takes it off again.
    pub fn check<'a>(&self, datagram: &'a [u8]) -> Result<&'a [u8], WireError> {
        let (said, tag) = datagram.split_last_chunk::<VOUCH_BYTES>().ok_or(WireError::Short)?;
        verify(&self.0, said, tag).map(|()| said).map_err(|_| WireError::Corrupt)
    }
}

impl std::fmt::Debug for Voucher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Voucher(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_key_is_believed_and_nobody_else() {
        let voucher = Voucher::new(&Key::from_bytes([1; 32]));
        let mut bytes = b"no such session".to_vec();
        voucher.vouch(&mut bytes);
        assert_eq!(voucher.check(&bytes), Ok(&b"no such session"[..]));
        assert_eq!(Voucher::new(&Key::from_bytes([2; 32])).check(&bytes), Err(WireError::Corrupt));
        for place in 0..bytes.len() {
            bytes[place] ^= 0x80;
            assert_eq!(voucher.check(&bytes), Err(WireError::Corrupt), "byte {place}");
            bytes[place] ^= 0x80;
        }
        assert_eq!(voucher.check(&bytes[..VOUCH_BYTES - 1]), Err(WireError::Short));
    }
}
