//! Reads a product's configuration and converts its values.

use std::str::FromStr;

use flinks_core::BaseUrl;
pub(crate) use flinks_core::configuration::{Field, InvalidSetting, Values};

use crate::error::Error;
use crate::hosts::check_host;
use crate::operation::Product;

/// Lists a product's fields, followed by the fields of [`Settings`](crate::Settings).
macro_rules! fields {
    ($product:literal, $($key:literal => $variable:literal,)*) => {
        &[
            $($crate::config::Field { key: $key, variable: concat!("FLINKS_", $product, "_", $variable) },)*
            $crate::config::Field { key: "url", variable: concat!("FLINKS_", $product, "_URL") },
            $crate::config::Field { key: "timeout_seconds", variable: concat!("FLINKS_", $product, "_TIMEOUT_SECONDS") },
            $crate::config::Field {
                key: "connect_timeout_seconds",
                variable: concat!("FLINKS_", $product, "_CONNECT_TIMEOUT_SECONDS"),
            },
            $crate::config::Field { key: "max_attempts", variable: concat!("FLINKS_", $product, "_MAX_ATTEMPTS") },
            $crate::config::Field { key: "root_certificates", variable: "FLINKS_ROOT_CERTIFICATES" },
            $crate::config::Field { key: "client_certificate", variable: "FLINKS_CLIENT_CERTIFICATE" },
            $crate::config::Field { key: "client_key", variable: "FLINKS_CLIENT_KEY" },
            $crate::config::Field { key: "crypto_provider", variable: "FLINKS_CRYPTO_PROVIDER" },
            $crate::config::Field { key: "dangerous_plain_http_host", variable: "FLINKS_DANGEROUS_PLAIN_HTTP_HOST" },
        ]
    };
}
pub(crate) use fields;

impl From<InvalidSetting> for Error {
    fn from(InvalidSetting { name, reason }: InvalidSetting) -> Self {
        Self::configuration(name, reason)
    }
}

pub(crate) fn parse<T: FromStr<Err = Error>>(values: &Values, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| with_setting_name(values, error))
}

/// Replaces the name of the invalid value, such as `secret key`, with the name of its variable or
/// configuration field.
pub(crate) fn with_setting_name(values: &Values, error: Error) -> Error {
    let key = error.field().map(|name| name.replace(' ', "_"));
    match values.fields().iter().find(|field| key.as_deref() == Some(field.key)) {
        Some(field) => error.with_field(values.name(field.key)),
        None => error,
    }
}

/// Parses a product's base URL.
pub(crate) fn base_url(values: &Values, text: &str, product: Product) -> Result<BaseUrl, Error> {
    let mut options = BaseUrl::options();
    if let Some(host) = values.optional("dangerous_plain_http_host")? {
        options = options.dangerous_plain_http_host(host);
    }
    let base_url = options.parse(text).map_err(|error| values.error("url", error.reason()))?;
    check_host(&base_url, product).map_err(|error| error.with_field(values.name("url")))?;
    Ok(base_url)
}
