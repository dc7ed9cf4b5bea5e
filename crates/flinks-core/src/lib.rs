#![doc = include_str!("../README.md")]
// No `+` on a time or a number that others gave, which would panic; no file that is written in place (clippy.toml).
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

mod base_url;
#[cfg(feature = "rustls")]
mod crypto;
mod error;
mod expires_in;
mod marker;
mod response;
mod secret;
mod transport;

pub use base_url::{BaseUrl, InvalidBaseUrl};
#[cfg(feature = "rustls")]
pub use crypto::{DefaultCryptoProvider, install_default_crypto_provider};
pub use error::{Error, ErrorKind, InvalidRequest, InvalidResponse, TransportError, TransportErrorKind};
pub use expires_in::ExpiresIn;
pub use marker::SendMarker;
pub use reqwest::StatusCode;
pub use response::{ResponseHead, ResponseValue};
pub use secret::{Authorization, Secret};
pub use transport::{
    BuildError, DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, MAX_RESPONSE_BYTES, Transport, TransportBuilder,
};

#[doc(hidden)]
pub use base_url::{host_problem, is_loopback, is_spelled_out};

/// What generated code calls. Not part of the public interface.
#[doc(hidden)]
pub mod generated {
    pub use crate::error::{response_error, status_error, undocumented_status};
    pub use crate::response::{
        empty_or_error_response, empty_response, json_or_error_response, json_response, lenient,
    };
    pub use crate::secret::{HeaderArgument, Redacted};
    pub use crate::transport::{Operation, encode_path, form_body, header_text};
    pub use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
    pub use serde_json;
}
