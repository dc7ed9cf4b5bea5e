//! The names of record files.

use std::ffi::{OsStr, OsString};

use sha2::{Digest as _, Sha256};

use crate::store::ConsentId;

/// The file extension of a record.
pub(super) const RECORD: &str = "json";

const HASH_BYTES: usize = 32;
const HASH_DIGITS: usize = 2 * HASH_BYTES;
const FILE_NAME_BYTES: usize = HASH_DIGITS + ".".len() + RECORD.len();

/// The name of a record file: the SHA-256 hash of the consent's id. The hash does not reveal the
/// id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordName([u8; HASH_BYTES]);

impl RecordName {
    pub(super) fn of(id: &ConsentId) -> Self {
        Self(Sha256::digest(id.as_str()).into())
    }

    /// Parses the name of a file. Returns `None` if it is not the name of a record.
    pub(super) fn parse(file: &OsStr) -> Option<Self> {
        let digits = file.to_str()?.strip_suffix(RECORD)?.strip_suffix('.')?;
        let mut hash = [0; HASH_BYTES];
        if digits.len() != HASH_DIGITS {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = digit_value(high)? << 4 | digit_value(low)?;
        }
        Some(Self(hash))
    }

    pub(super) fn to_file_name(self) -> OsString {
        let mut name = String::with_capacity(FILE_NAME_BYTES);
        for byte in self.0 {
            name.extend([byte >> 4, byte & 0x0f].iter().filter_map(|value| char::from_digit(u32::from(*value), 16)));
        }
        name.push('.');
        name.push_str(RECORD);
        name.into()
    }
}

fn digit_value(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_is_the_hash_in_hexadecimal_digits() {
        let id: ConsentId = "user-7".parse().unwrap();
        let digits: String = Sha256::digest("user-7").iter().map(|byte| format!("{byte:02x}")).collect();
        let file = RecordName::of(&id).to_file_name();
        assert_eq!(file, OsString::from(format!("{digits}.json")));
        assert_eq!(RecordName::parse(&file), Some(RecordName::of(&id)));
        // A backup on a file system that ignores case may change the case of a name.
        let upper = format!("{}.json", digits.to_uppercase());
        assert_eq!(RecordName::parse(OsStr::new(&upper)), Some(RecordName::of(&id)));
    }

    #[test]
    fn other_names_are_not_record_names() {
        let digits = "0".repeat(64);
        let others = [
            String::new(),
            "package.json".to_owned(),
            digits.clone(),
            format!("{digits}.new"),
            format!("0{digits}.json"),
            format!("é{}.json", "0".repeat(62)),
            format!("g{}.json", "0".repeat(63)),
        ];
        for other in others {
            assert_eq!(RecordName::parse(OsStr::new(&other)), None, "{other}");
        }
    }
}
