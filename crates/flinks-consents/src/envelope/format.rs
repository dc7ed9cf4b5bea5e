//! The format of a sealed value: an unencrypted header, a nonce and the encrypted record.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::EnvelopeError;
use super::keys::Key;
use crate::store::Record;

/// The length of an XChaCha20 nonce in bytes. Nonces this long can be chosen at random, because
/// collisions are practically impossible.
pub(super) const NONCE: usize = 24;

/// The prefix of a value that was encrypted with a configured key.
const CONFIGURED_KEY: &str = "flinks1:";
/// The prefix of a value that was encrypted with a data key. Its header contains the wrapped key.
const DATA_KEY: &str = "flinks2:";

/// Identifies the key that a value was encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyName<'a> {
    /// The id of a configured key.
    Configured(u32),
    /// A wrapped data key in base64.
    Data(&'a str),
}

impl KeyName<'_> {
    fn header(self, generation: u64) -> String {
        match self {
            Self::Configured(id) => format!("{CONFIGURED_KEY}{generation}:{id}:"),
            Self::Data(wrapped) => format!("{DATA_KEY}{generation}:{wrapped}:"),
        }
    }
}

/// Encrypts a record. Each call returns a different value.
pub(super) fn seal(record: &Record, location: &str, name: KeyName<'_>, key: &Key) -> Result<Vec<u8>, EnvelopeError> {
    let header = name.header(record.generation());
    let mut nonce = [0_u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::NoRandomness)?;
    let clear = record.encode().map_err(EnvelopeError::Record)?;
    let payload = Payload { msg: clear.expose_secret().as_bytes(), aad: &authenticated_data(&header, location) };
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| EnvelopeError::NotEncrypted)?;
    Ok([header.as_bytes(), &nonce, &sealed].concat())
}

/// A sealed value, split into its parts.
pub(super) struct SealedValue<'a> {
    header: &'a str,
    pub(super) key: KeyName<'a>,
    nonce: XNonce,
    ciphertext: &'a [u8],
}

impl<'a> SealedValue<'a> {
    /// Splits a value into its parts.
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, EnvelopeError> {
        const DAMAGED: EnvelopeError = EnvelopeError::Damaged;
        let mut colons = value.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(index, _)| index);
        let end = colons.nth(2).ok_or(DAMAGED)?;
        let (header, sealed) = value.split_at_checked(end.saturating_add(1)).ok_or(DAMAGED)?;
        let header = std::str::from_utf8(header).map_err(|_| DAMAGED)?;
        // The generation is not parsed, because decryption fails if the generation was changed.
        let key = if let Some(fields) = header.strip_prefix(CONFIGURED_KEY) {
            KeyName::Configured(second_field(fields).and_then(|field| field.parse().ok()).ok_or(DAMAGED)?)
        } else if let Some(fields) = header.strip_prefix(DATA_KEY) {
            KeyName::Data(second_field(fields).ok_or(DAMAGED)?)
        } else if has_other_version(header) {
            return Err(EnvelopeError::NewerVersion);
        } else {
            return Err(DAMAGED);
        };
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(DAMAGED)?;
        Ok(Self { header, key, nonce: XNonce::from(*nonce), ciphertext })
    }

    /// Decrypts the record in a value that is stored at `location`.
    pub(super) fn open(&self, key: &Key, location: &str) -> Result<Record, EnvelopeError> {
        let payload = Payload { msg: self.ciphertext, aad: &authenticated_data(self.header, location) };
        let clear = cipher(key).decrypt(&self.nonce, payload).map_err(|_| EnvelopeError::Damaged)?;
        Record::decode_any(&Zeroizing::new(clear)).map_err(EnvelopeError::Record)
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// Returns the data that is authenticated together with the encrypted record.
fn authenticated_data(header: &str, location: &str) -> Vec<u8> {
    [header.as_bytes(), location.as_bytes()].concat()
}

fn second_field(fields: &str) -> Option<&str> {
    fields.split(':').nth(1)
}

/// Returns whether a header has a version number. The header must not start with the prefix of a
/// version that this crate supports.
fn has_other_version(header: &str) -> bool {
    let version = header.strip_prefix("flinks").and_then(|rest| rest.split(':').next());
    version.is_some_and(|version| version.parse::<u32>().is_ok())
}
