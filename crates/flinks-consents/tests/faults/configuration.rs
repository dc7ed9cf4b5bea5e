//! Rows for configuration, URLs and callbacks. These rows do not need a server, because a
//! constructor rejects each value. The error names the field and does not contain the value.

use flinks::connect::{CustomerId, Instance, LoginId, RequestId, SecretKey};
use flinks::outbound::{ClientCredentials, RefreshToken};
use flinks::pay::Credentials;
use flinks::{BaseUrl, Error, RedirectUrl};
use flinks_consents::flinks::Cause;

use crate::case::Case;
use crate::prelude::*;

type Check = Box<dyn FnOnce(&mut Case) + Send>;

/// Checks that `make` rejects each of `values`, with each `*` replaced by a canary.
fn refused<T: 'static, E: Into<ConsentError> + 'static>(
    field: &'static str,
    values: &'static [&'static str],
    make: fn(String) -> Result<T, E>,
) -> Check {
    Box::new(move |case| {
        for value in values {
            let value = value.replace('*', &case.canary());
            let Err(error) = make(value) else { panic!("{field}: the value was accepted") };
            let error: ConsentError = error.into();
            assert!(matches!(error.cause(), Some(Cause::Input | Cause::Configuration)));
            assert!(!error.may_have_been_sent());
            assert!(!error.is_transient());
            assert_eq!(error.field(), Some(field));
            assert_eq!(error.attempts(), 0);
            case.search_error(&error);
        }
    })
}

const SECRETS: &[&str] =
    &["", " ", "*\n", "*\r\nx: y", "*\0", "*\x7f", "*\tx", " *", "* ", "*é", "\u{feff}*", "*\u{a0}"];

pub(crate) fn rows() -> Vec<(&'static str, Check)> {
    vec![
        (
            "secret key empty, blank, ending in a newline (read from a file), with CR/LF/NUL/DEL, tab, surrounding spaces, non-ASCII",
            refused("secret key", SECRETS, SecretKey::new),
        ),
        ("login id with the same values", refused("login id", SECRETS, LoginId::new)),
        ("request id with the same values", refused("request id", SECRETS, RequestId::new)),
        (
            "client secret with the same values",
            refused("client secret", SECRETS, |text| ClientCredentials::new("id", text)),
        ),
        (
            "client id with the same values",
            refused("client id", SECRETS, |text| ClientCredentials::new(text, "secret")),
        ),
        (
            "refresh token empty or with a line break",
            refused("refresh token", &["", " ", "*\n", "*\0"], RefreshToken::new),
        ),
        ("password with a line break", refused("password", &["", "*\n", "*\0"], |text| Credentials::new("user", text))),
        ("consent id empty, or with a line break", refused("consent id", &["", " ", "*\n", "*\0"], ConsentId::new)),
        (
            "customer id .., ., empty, a/b, ..\\..\\x, %2e%2e, a?x=1, {guid}, a GUID without hyphens",
            refused(
                "customer id",
                &[
                    "..",
                    ".",
                    "",
                    "a/b",
                    "..\\..\\x",
                    "%2e%2e",
                    "a?x=1",
                    "{00000000-0000-4000-8000-000000000001}",
                    "00000000000040008000000000000001",
                    "*",
                ],
                |text| text.parse::<CustomerId>(),
            ),
        ),
        (
            "instance evil.com/#, evil.com?, u:p@evil.com/, 127.0.0.1:80/, a.b, -x, x-, 64 characters, upper case, non-ASCII letters that fold to ASCII",
            refused(
                "instance",
                &[
                    "evil.com/#",
                    "evil.com?",
                    "u:p@evil.com/",
                    "127.0.0.1:80/",
                    "a.b",
                    "-x",
                    "x-",
                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                    "Toolbox",
                    "ＴＯＯＬ",
                    "ſ",
                    "\u{212a}",
                    "*.x",
                ],
                |text| text.parse::<Instance>(),
            ),
        ),
        (
            "base URL {host}, https://www.{baseurl}.com",
            refused("base URL", &["{host}", "https://{host}", "https://www.{baseurl}.com"], base_url),
        ),
        (
            "base URL with http: to a non-loopback host, user info, query, fragment, file:, port 0",
            refused(
                "base URL",
                &[
                    "http://*.example",
                    "http://127.0.0.1.evil.com",
                    "https://u:*@evil.com",
                    "https://evil.com?*",
                    "https://evil.com/#*",
                    "file:///*",
                    "https://evil.com:0",
                    "https:*.example",
                    "https:////*.example",
                    "https://x.example/`*",
                    "*",
                    "",
                ],
                base_url,
            ),
        ),
        (
            "base URL with the path of an endpoint: /api/v1/token, /api/v1/authorize/, /API/V1, /v3/GUID/BankingServices",
            refused(
                "base URL",
                &[
                    "https://*.example/api/v1/token",
                    "https://*.example/api/v1/authorize/",
                    "https://*.example/API/V1",
                    "https://*.example/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices",
                ],
                base_url,
            ),
        ),
        (
            "base URL with a host that parsers interpret differently: 0x7f.1, 2130706433, 127.0.0.1., a_b, %61.com",
            refused(
                "base URL",
                &[
                    "https://0x7f.1/*",
                    "http://2130706433/*",
                    "http://127.0.0.1./*",
                    "https://a_b.com/*",
                    "https://%61.com/*",
                ],
                base_url,
            ),
        ),
        (
            "redirect URI with such a host, or port 0",
            refused(
                "redirect URL",
                &[
                    "https://0x7f.1/*",
                    "http://2130706433/*",
                    "http://127.0.0.1./*",
                    "https://a_b.com/*",
                    "https://%61.com/*",
                    "https://a..com/*",
                    "https://-a.com/*",
                    "https://a.com:0/*",
                ],
                |text| text.parse::<RedirectUrl>(),
            ),
        ),
        (
            "redirect URI relative, with a fragment, javascript:, http: to a non-loopback host",
            refused(
                "redirect URL",
                &[
                    "/*",
                    "",
                    "https://evil.com/#*",
                    "javascript:*",
                    "data:*",
                    "//*",
                    "https:\\\\evil.com",
                    "https:evil.com/*",
                    "https:///evil.com/*",
                    "https:/evil.com/*",
                    "http://evil.com/*",
                    "https://u:*@evil.com/",
                ],
                |text| text.parse::<RedirectUrl>(),
            ),
        ),
    ]
}

fn base_url(text: String) -> Result<BaseUrl, Error> {
    text.parse::<BaseUrl>().map_err(Error::from)
}
