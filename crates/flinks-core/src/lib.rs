#![doc = include_str!("../README.md")]
// Arithmetic on times and external numbers must not panic on overflow, and files must not be
// written in place. clippy.toml lists the disallowed methods.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

// The modules are grouped by layer. A file imports only from its own group and the groups above it.

// Values: a client's configuration and a call's data.
mod absolute_url;
mod base_url;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod configuration;
mod expires_in;
#[doc(hidden)]
pub mod plain_http;
mod secret;
pub mod tls;

// Time: the client's clock, and the token lifetimes that it measures.
#[cfg(feature = "time")]
mod clock;
#[cfg(feature = "time")]
mod deadline;
#[cfg(feature = "time")]
mod manual_clock;
#[cfg(feature = "time")]
#[doc(hidden)]
pub mod runtime;

// Errors and the response head that they contain.
mod error;
mod head;
mod transport_error;

// Requests: their parts, and the marker that records whether a request has left this machine.
mod header;
mod marker;
#[cfg(feature = "multipart")]
mod multipart;
mod parameter_list;
mod request;

// Sending: the HTTP client's settings and the execution of calls.
mod http_client;
mod template;
mod timer;
mod transport;

// Responses: reading and decoding the body, and determining the outcome of an operation.
mod body;
mod byte_stream;
mod decode;
mod error_code;
mod lenient;
mod raw_json;
mod redirect;
mod response;

#[cfg(feature = "time")]
pub use clock::{Clock, Sleep, SystemClock};
#[cfg(feature = "time")]
pub use manual_clock::ManualClock;

pub use base_url::{BaseUrl, BaseUrlOptions, InvalidBaseUrl};
pub use body::MAX_RESPONSE_BYTES;
pub use byte_stream::{ByteStream, DEFAULT_STREAM_BYTES};
pub use error::{Error, ErrorKind, InvalidRequest, InvalidResponse};
pub use expires_in::ExpiresIn;
pub use head::ResponseHead;
pub use header::Authorization;
pub use http_client::BuildError;
pub use marker::SendMarker;
#[cfg(feature = "multipart")]
pub use multipart::FilePart;
pub use raw_json::{InvalidJson, RawJson};
pub use redirect::Redirect;
pub use reqwest::StatusCode;
pub use reqwest::header::HeaderValue;
pub use response::ResponseValue;
pub use secret::Secret;
pub use transport::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, Transport, TransportBuilder};
pub use transport_error::{TransportError, TransportErrorKind};

#[doc(hidden)]
pub use absolute_url::AbsoluteUrl;
#[cfg(feature = "time")]
#[doc(hidden)]
pub use deadline::{Deadline, Timestamps};
#[doc(hidden)]
pub use header::{bearer_header, token_problem};

/// Items for generated code. These items are not part of the public API.
#[doc(hidden)]
pub mod generated {
    pub use crate::byte_stream::stream_response;
    pub use crate::decode::{Field, Fields, ReplyBody};
    pub use crate::header::{HeaderArgument, header_text};
    pub use crate::lenient::lenient;
    #[cfg(feature = "multipart")]
    pub use crate::multipart::MultipartBody;
    pub use crate::parameter_list::{Style, encode_path_list, header_list};
    pub use crate::redirect::redirect_response;
    pub use crate::request::{Operation, Request, encode_path};
    pub use crate::response::{
        Response, empty_or_error_response, empty_response, head_response, json_or_error_response, json_response,
        response_error, status_error, undocumented_status,
    };
    pub use crate::secret::Redacted;
    pub use crate::timer::Timer;
    pub use reqwest::Method;
    pub use reqwest::header::{HeaderName, HeaderValue};
    pub use serde_json;
}
