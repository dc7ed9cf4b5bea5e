#![doc = include_str!("../README.md")]

#[rustfmt::skip] // The generator formats this file.
mod generated;

pub use flinks_core::{
    Authorization, BaseUrl, BaseUrlOptions, BuildError, Error, ErrorKind, ExpiresIn, InvalidBaseUrl, InvalidRequest,
    InvalidResponse, ResponseHead, ResponseValue, Secret, StatusCode, Transport, TransportBuilder, TransportError,
    TransportErrorKind, tls,
};
pub use generated::{Client, SECRETS, SERVERS, SPEC_SHA256, SPEC_VERSION, operation, types};
