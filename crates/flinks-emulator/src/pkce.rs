//! PKCE (RFC 7636), which binds a code to a secret that the client sends when it exchanges the
//! code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The `code_challenge` in an authorization request.
#[derive(Clone)]
pub(crate) enum CodeChallenge {
    /// The challenge is the verifier itself.
    Plain(String),
    /// The challenge is the base64url-encoded SHA-256 hash of the verifier.
    S256(String),
}

impl CodeChallenge {
    /// Reads the challenge from an authorization request. The default method is `plain` (RFC 7636,
    /// section 4.3).
    ///
    /// # Errors
    ///
    /// Returns an error description if the challenge or its method is invalid.
    pub(crate) fn read(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, &'static str> {
        let Some(challenge) = challenge else {
            return match method {
                Some(_) => Err("code_challenge is missing; it is required with code_challenge_method."),
                None => Ok(None),
            };
        };
        if !is_verifier(challenge) {
            return Err("code_challenge must be 43 to 128 characters long and contain only letters, digits and -._~");
        }
        match method {
            None | Some("plain") => Ok(Some(Self::Plain(challenge.to_owned()))),
            Some("S256") if challenge.len() == SHA256_LENGTH => Ok(Some(Self::S256(challenge.to_owned()))),
            Some("S256") => Err("code_challenge must be the base64url-encoded SHA-256 hash of the verifier."),
            Some(_) => Err("code_challenge_method must be S256 or plain."),
        }
    }

    pub(crate) fn matches(&self, verifier: &str) -> bool {
        if !is_verifier(verifier) {
            return false;
        }
        match self {
            Self::Plain(challenge) => challenge == verifier,
            Self::S256(challenge) => *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
        }
    }
}

/// The length of a base64url-encoded SHA-256 hash without padding.
const SHA256_LENGTH: usize = 43;

/// Returns whether the text has the form of a verifier (RFC 7636, section 4.1).
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example from RFC 7636, appendix B.
    #[test]
    fn the_example_of_the_rfc_matches() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let s256 = CodeChallenge::read(Some(challenge), Some("S256")).unwrap().unwrap();
        assert!(s256.matches(verifier));
        assert!(!s256.matches(challenge));
        let plain = CodeChallenge::read(Some(challenge), None).unwrap().unwrap();
        assert!(plain.matches(challenge));
        assert!(!plain.matches(verifier));
    }
}
