//! Builds `multipart/form-data` bodies.

use std::fmt;

use reqwest::multipart::{Form, Part};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::InvalidRequest;
use crate::request::{INVALID_REQUEST, Request};
use crate::transport::Transport;

/// A file in a `multipart/form-data` body.
///
/// ```
/// use flinks_core::FilePart;
///
/// let statement = FilePart::new(b"%PDF-1.7".to_vec()).file_name("statement.pdf").media_type("application/pdf");
/// # let _ = statement;
/// ```
#[derive(Clone)]
pub struct FilePart {
    bytes: Vec<u8>,
    file_name: Option<String>,
    media_type: Option<String>,
}

impl FilePart {
    /// Creates a file without a name. Its media type is `application/octet-stream`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), file_name: None, media_type: None }
    }

    /// Sets the name that the server receives.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// Sets the media type, such as `application/pdf`.
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }
}

/// Prints only the length.
impl fmt::Debug for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePart").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A file is never written as JSON. Instead, generated code adds the file to the body as a part.
impl Serialize for FilePart {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a file can be sent only as part of a multipart body"))
    }
}

/// A `multipart/form-data` body.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct MultipartBody(Form);

impl MultipartBody {
    /// Creates an empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. A scalar is sent as text, a list as several fields, and an object as JSON.
    /// Nulls are omitted.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized.
    pub fn field(self, name: &'static str, value: &impl Serialize) -> Result<Self, InvalidRequest> {
        let invalid = |_| InvalidRequest::new(name, "cannot be written as a part of a multipart body");
        self.value(name, &serde_json::to_value(value).map_err(invalid)?)
    }

    fn value(self, name: &'static str, value: &Value) -> Result<Self, InvalidRequest> {
        let text = match value {
            Value::Null => return Ok(self),
            Value::Array(entries) => return entries.iter().try_fold(self, |body, entry| body.value(name, entry)),
            Value::Object(_) => {
                let part = Part::text(value.to_string()).mime_str("application/json");
                let part = part.map_err(|_| InvalidRequest::new(name, "cannot be written as JSON"))?;
                return Ok(Self(self.0.part(name, part)));
            }
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        };
        Ok(Self(self.0.text(name, text)))
    }

    /// Adds files.
    ///
    /// # Errors
    ///
    /// Returns an error if a file's media type is invalid.
    pub fn files<'a>(
        self,
        name: &'static str,
        files: impl IntoIterator<Item = &'a FilePart>,
    ) -> Result<Self, InvalidRequest> {
        files.into_iter().try_fold(self, |body, file| {
            let mut part = Part::bytes(file.bytes.clone());
            if let Some(file_name) = &file.file_name {
                part = part.file_name(file_name.clone());
            }
            let media_type = file.media_type.as_deref().unwrap_or("application/octet-stream");
            let part = part.mime_str(media_type);
            let part = part.map_err(|_| InvalidRequest::new(name, "must have a valid media type"))?;
            Ok(Self(body.0.part(name, part)))
        })
    }

    /// Sends this multipart body as the body of `request`.
    ///
    /// # Errors
    ///
    /// Returns an error if the request cannot be built.
    pub fn send_with(self, request: &mut Request, transport: &Transport) -> Result<(), InvalidRequest> {
        let parts = request.request.try_clone().ok_or(INVALID_REQUEST)?;
        let built = reqwest::RequestBuilder::from_parts(transport.http().clone(), parts).multipart(self.0).build();
        request.request = built.map_err(|_| INVALID_REQUEST)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_redacted_and_needs_a_valid_media_type() {
        let file = FilePart::new("canary").file_name("canary.txt");
        assert_eq!(format!("{file:?}"), "FilePart { length: 6, .. }");
        assert!(serde_json::to_value(&file).is_err());
        let invalid = file.media_type("not a media type");
        assert_eq!(MultipartBody::new().files("f", [&invalid]).unwrap_err().field(), "f");
    }
}
