//! What a transport that has a key makes of it and of its seed.

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use super::Key;
use super::noise::Ephemeral;
use super::vouch::Voucher;
use crate::transport::Seed;

/// The key, what is derived from it, and a source of secrets of the moment.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub key: Key,
    pub voucher: Voucher,
    ephemerals: Ephemerals,
}

impl Secrets {
    /// From the shared key and the transport's own seed.
    pub fn new(key: &Key, seed: &Seed) -> Secrets {
        Secrets { key: key.clone(), voucher: Voucher::new(key), ephemerals: Ephemerals::new(seed) }
    }

    /// A secret for one handshake.
    pub fn ephemeral(&mut self) -> Ephemeral {
        self.ephemerals.next()
    }
}

/// A generator of secrets: HKDF (RFC 5869) over the seed and a running number. The same seed gives the same secrets, so a test can
/// be run again; a seed from the operating system gives secrets that nobody can guess.
struct Ephemerals {
    seed: Prk,
    count: u64,
}

/// 256 bits.
pub(super) struct Bits256;

impl KeyType for Bits256 {
    fn len(&self) -> usize {
        32
    }
}

impl Ephemerals {
    fn new(seed: &Seed) -> Ephemerals {
        Ephemerals { seed: Salt::new(HKDF_SHA256, b"rpc ephemerals").extract(seed.bytes()), count: 0 }
    }

    fn next(&mut self) -> Ephemeral {
        self.count += 1;
        let mut secret = Zeroizing::new([0; 32]);
        let count = self.count.to_be_bytes();
        let expanded = self.seed.expand(&[&count], Bits256).and_then(|okm| okm.fill(&mut *secret));
        expanded.expect("32 bytes are fewer than HKDF's limit");
        secret
    }
}

impl std::fmt::Debug for Ephemerals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ephemerals").field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_secrets_again_and_never_one_twice() {
        let secrets = |seed: u64| {
            let mut source = Secrets::new(&Key::from_bytes([1; 32]), &Seed::from(seed));
            (0..100).map(|_| *source.ephemeral()).collect::<Vec<[u8; 32]>>()
        };
        assert_eq!(secrets(5), secrets(5));
        let all: BTreeSet<[u8; 32]> = [secrets(5), secrets(6)].concat().into_iter().collect();
        assert_eq!(all.len(), 200);
    }
}
