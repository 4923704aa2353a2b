//! The key that endpoints share.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroize;

/// Length of a key.
const KEY_BYTES: usize = 32;

/// A file with more than this is no key.
const FILE_BYTES_MAX: u64 = 256;

/// 256 bits that all endpoints of a system share, and nobody else has. Printing it gives no bits away; its memory is
/// cleared when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes for a key")]
    Random,
    /// The file cannot be read.
    #[error("cannot read the key file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is there already where a new key should go. Whoever has a copy of its key would be locked out by another.
    #[error(
        "{path} is there already, and a key is never replaced: name another file, or remove it if nobody uses its key"
    )]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// No new file can be made for a key.
    #[error("cannot make the key file {path}: {source}")]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the file's owner may read it, so it is no secret.
    #[error("others than its owner can open the key file {path} (mode {mode:03o}): chmod 600 it, or make a new key")]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no such variable in the environment, or it is no text.
    #[error("the environment has no key in {variable}: set it to 64 hexadecimal digits")]
    Unset {
        /// Its name.
        variable: String,
    },
    /// What was found is not a key. It is not shown: it may be one, nearly.
    #[error(
        "{place} holds no key: 64 hexadecimal digits are wanted, as `od -An -tx1 -N32 /dev/urandom | tr -d ' \\n'` makes them"
    )]
    Malformed {
        /// Where it was found.
        place: String,
    },
}

impl Key {
    /// A fresh key from the operating system's random source.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn random() -> Result<Key, KeyError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
        Ok(Key { bytes })
    }

    /// These bits, which nobody can guess.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Key {
        Key { bytes }
    }

    /// The key in a file: 64 hexadecimal digits, and white space around them. Only its owner may have access to the file.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Exposed`], [`KeyError::Malformed`].
    pub fn from_file(path: &Path) -> Result<Key, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let key = Key::from_hex(text.trim()).ok_or_else(|| KeyError::Malformed { place: path.display().to_string() });
        text.zeroize();
        key
    }

    /// Writes the key to a new file that only its owner can open, as [`Key::from_file`] wants it.
    ///
    /// # Errors
    /// [`KeyError::Exists`], [`KeyError::Create`]. A file of which only a part could be written does not stay.
    pub fn to_new_file(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
            _ => KeyError::Create { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut text = String::with_capacity(2 * KEY_BYTES + 1);
        for byte in self.bytes {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
        }
        text.push('\n');
        let written = file.write_all(text.as_bytes());
        text.zeroize();
        if written.is_err() {
            // It is ours, and no key; that it could not be written is what there is to tell.
            let _ = std::fs::remove_file(path);
        }
        written.map_err(failed)
    }

    /// The key in a variable of the environment: 64 hexadecimal digits. Other processes of the same user can read it there, and
    /// every child inherits it: a file is better.
    ///
    /// # Errors
    /// [`KeyError::Unset`], [`KeyError::Malformed`].
    pub fn from_env(variable: &str) -> Result<Key, KeyError> {
        let mut text = std::env::var(variable).map_err(|_| KeyError::Unset { variable: variable.to_owned() })?;
        let key = Key::from_hex(text.trim()).ok_or_else(|| KeyError::Malformed { place: variable.to_owned() });
        text.zeroize();
        key
    }

    fn from_hex(text: &str) -> Option<Key> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let mut key = Key { bytes: [0; KEY_BYTES] };
        if pairs.len() != KEY_BYTES {
            return None;
        }
        for (byte, pair) in key.bytes.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(key)
    }

    /// The bits, for whoever hands them on.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    const DIGITS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    /// A file of its own for each test.
    struct Kept(PathBuf);

    impl Kept {
        fn new(name: &str, text: &str, mode: u32) -> Kept {
            let path = std::env::temp_dir().join(format!("rpc-key-{}-{name}", std::process::id()));
            let mut file = File::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_permissions(Permissions::from_mode(mode)).unwrap();
            Kept(path)
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_key_is_read_from_a_file_that_only_its_owner_can_open() {
        let file = Kept::new("good", &format!("{DIGITS}\n"), 0o600);
        let key = Key::from_file(&file.0).unwrap();
        assert_eq!(key, Key::from_bytes(std::array::from_fn(|place| place as u8)));
    }

    #[test]
    fn a_key_that_was_written_to_a_new_file_is_read_from_it_and_never_replaced() {
        let kept = Kept(std::env::temp_dir().join(format!("rpc-key-{}-new", std::process::id())));
        let key = Key::random().unwrap();
        key.to_new_file(&kept.0).unwrap();
        assert_eq!(std::fs::metadata(&kept.0).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Key::random().unwrap().to_new_file(&kept.0), Err(KeyError::Exists { .. })));
        assert_eq!(Key::from_file(&kept.0).unwrap(), key);
        assert!(matches!(key.to_new_file(Path::new("/nowhere/at/all")), Err(KeyError::Create { .. })));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_a_remedy() {
        for mode in [0o640, 0o604, 0o644, 0o620] {
            let file = Kept::new(&format!("exposed-{mode:o}"), DIGITS, mode);
            let error = Key::from_file(&file.0).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let longer = format!("{DIGITS}00");
        for text in ["", "00", &DIGITS[1..], &longer, &DIGITS.replace('0', "g"), &DIGITS.replace("00", "\u{e9}")] {
            let file = Kept::new(&format!("malformed-{}-{}", text.len(), text.starts_with('g')), text, 0o600);
            let error = Key::from_file(&file.0).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
            assert!(!error.to_string().contains("0102"), "{error}");
        }
        assert!(matches!(Key::from_file(Path::new("/nowhere/at/all")), Err(KeyError::File { .. })));
        assert!(matches!(Key::from_env("RPC_KEY_THAT_NOBODY_SETS"), Err(KeyError::Unset { .. })));
    }

    #[test]
    fn fresh_keys_differ_and_none_is_printed() {
        let (one, other) = (Key::random().unwrap(), Key::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "Key(not shown)");
    }
}
