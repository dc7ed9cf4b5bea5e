//! The keys that the caller has: one for names, and some for values.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::InvalidConfiguration;

/// 32 bytes that nobody else has. They are wiped when they are dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Takes 32 bytes of good chance.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes 32 bytes in base64, such as `openssl rand -base64 32` prints.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`] where it is another number of bytes, or no base64.
    pub fn from_base64(text: &str) -> Result<Self, InvalidConfiguration> {
        let invalid = || InvalidConfiguration::new("the key", "is not 32 bytes in base64");
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| invalid())?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| invalid())?;
        Ok(Self::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Not its bytes.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key for names, which stays, and keys for values, which may change.
#[derive(Clone, Debug)]
pub struct Keys {
    pub(crate) names: Key,
    pub(crate) newest: u32,
    pub(crate) values: BTreeMap<u32, Key>,
}

impl Keys {
    /// A key for names, and the key for values, with an id of your choice that is written beside what it encrypts.
    pub fn new(names: Key, id: u32, key: Key) -> Self {
        Self { names, newest: id, values: BTreeMap::from([(id, key)]) }
    }

    /// A key that values were encrypted with before, or will be soon, and can be read with.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`] where the id is that of another key.
    pub fn and_readable(mut self, id: u32, key: Key) -> Result<Self, InvalidConfiguration> {
        match self.values.insert(id, key) {
            None => Ok(self),
            Some(_) => Err(InvalidConfiguration::new("the id of a key", "is that of another key")),
        }
    }

    pub(crate) fn value(&self, id: u32) -> Option<&Key> {
        self.values.get(&id)
    }
}
