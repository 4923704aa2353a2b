//! The primitives that the handshake is made of: X25519 from curve25519-dalek, AES-256-GCM and SHA-256 from ring, and a secret
//! of the moment that the transport gives. `snow` brings the order in which they are used.

use curve25519_dalek::MontgomeryPoint;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroizing;

/// Length of a private key, a public one, and what two of them make.
const POINT_BYTES: usize = 32;
/// Length of an authentication tag.
const TAG_BYTES: usize = 16;

/// Gives `snow` what it asks for, and the one ephemeral secret that one side of one handshake needs.
pub(super) struct Primitives {
    pub ephemeral: Zeroizing<[u8; POINT_BYTES]>,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::default()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256(Context::new(&SHA256))) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::AESGCM).then(|| Box::new(AesGcm(None)) as Box<dyn Cipher>)
    }
}

/// Random bytes for one secret. Asked again, it has none: a secret of the moment is never used twice.
struct Once(Option<Zeroizing<[u8; POINT_BYTES]>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.take().filter(|bytes| bytes.len() == dest.len()).ok_or(Error::Rng)?;
        dest.copy_from_slice(&*bytes);
        Ok(())
    }
}

/// RFC 7748.
#[derive(Default)]
struct X25519 {
    private: Zeroizing<[u8; POINT_BYTES]>,
    public: [u8; POINT_BYTES],
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        POINT_BYTES
    }

    fn priv_len(&self) -> usize {
        POINT_BYTES
    }

    fn set(&mut self, privkey: &[u8]) {
        self.private.copy_from_slice(privkey);
        self.public = MontgomeryPoint::mul_base_clamped(*self.private).to_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = Zeroizing::new([0; POINT_BYTES]);
        rng.try_fill_bytes(&mut *private)?;
        self.set(&*private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &*self.private
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = pubkey.first_chunk::<POINT_BYTES>().ok_or(Error::Dh)?;
        let shared = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*self.private).to_bytes());
        out.first_chunk_mut::<POINT_BYTES>().ok_or(Error::Dh)?.copy_from_slice(&*shared);
        Ok(())
    }
}

/// FIPS 180-4.
struct Sha256(Context);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        SHA256.block_len()
    }

    fn hash_len(&self) -> usize {
        SHA256.output_len()
    }

    fn reset(&mut self) {
        self.0 = Context::new(&SHA256);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = std::mem::replace(&mut self.0, Context::new(&SHA256)).finish();
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
    }
}

/// NIST SP 800-38D, with the nonces that the Noise specification gives (section 12).
struct AesGcm(Option<LessSafeKey>);

impl AesGcm {
    fn nonce(count: u64) -> Nonce {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&count.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new);
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let key = self.0.as_ref().expect("snow sets a key before it uses one");
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = key.seal_in_place_separate_tag(Self::nonce(nonce), Aad::from(authtext), text);
        rest[..TAG_BYTES].copy_from_slice(tag.expect("a handshake message is short").as_ref());
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(&self, nonce: u64, authtext: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        let mut copy = ciphertext.to_vec();
        let opened = key.open_in_place(Self::nonce(nonce), Aad::from(authtext), &mut copy);
        let text = opened.map_err(|_| Error::Decrypt)?;
        out.get_mut(..text.len()).ok_or(Error::Decrypt)?.copy_from_slice(text);
        Ok(text.len())
    }
}
