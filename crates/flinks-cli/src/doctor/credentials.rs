//! Requests one token, which is not used, and explains any error.

use std::time::Duration;

use flinks_consents::flinks::{self, Advice, Cause};
use toml::{Table, Value};

use super::configuration::{Client, Product, Subject};
use super::report::Outcome;
use crate::failure::{Exit, exit_for};
use crate::timestamp;

/// Requests one token and drops it unused.
pub(super) async fn check(subject: &Subject) -> Outcome {
    let requested = match &subject.client {
        Client::Pay(client) => client.authorize().await.map(drop),
        Client::Connect(client) => client.generate_authorize_token().await.map(drop),
        Client::Outbound(client) => client.client_credentials(None).await.map(drop),
    };
    match requested {
        Ok(()) => Outcome::passed("accepted: one token was issued and not used"),
        Err(error) => outcome(subject.product, &Facts::of(&error), Suspicion::of(subject.product, &subject.values)),
    }
}

/// The relevant facts about an error.
#[derive(Clone, Debug)]
struct Facts {
    message: String,
    is_credentials: bool,
    is_rate_limited: bool,
    is_transient: bool,
    retry_after: Option<Duration>,
    status: Option<u16>,
    cause: Cause,
    advice: Advice,
    /// A documented code that `flinks explain` knows.
    code: Option<String>,
}

impl Facts {
    fn of(error: &flinks::Error) -> Self {
        let flinks_code = error.flinks_code().filter(|code| code.is_documented()).map(|code| code.as_str().to_owned());
        let oauth_error = error.oauth_error().filter(|code| code.is_documented()).map(|code| code.as_str().to_owned());
        Self {
            // The message contains no secrets and no text from the server.
            message: error.to_string(),
            is_credentials: error.is_credentials(),
            is_rate_limited: error.is_rate_limited(),
            is_transient: error.is_transient(),
            retry_after: error.retry_after(),
            status: error.status(),
            cause: error.cause(),
            advice: error.advice(),
            code: flinks_code.or(oauth_error),
        }
    }
}

/// A suspicion based on the form of the values. Flinks does not document the form of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// The secret has the form of a token.
    IsToken,
    /// The secret is the customer id.
    IsCustomerId,
    /// The client id and the client secret may be swapped.
    IsSwapped,
    Nothing,
}

impl Suspicion {
    fn of(product: Product, values: &Table) -> Self {
        let text = |field: &str| values.get(field).and_then(Value::as_str).unwrap_or_default();
        match product {
            Product::Pay => Self::Nothing,
            Product::Connect if text("secret_key").eq_ignore_ascii_case(text("customer_id")) => Self::IsCustomerId,
            Product::Connect if is_jwt(text("secret_key")) => Self::IsToken,
            Product::Connect => Self::Nothing,
            Product::Outbound if is_jwt(text("client_secret")) => Self::IsToken,
            Product::Outbound if is_client_id(text("client_secret")) && !is_client_id(text("client_id")) => {
                Self::IsSwapped
            }
            Product::Outbound => Self::Nothing,
        }
    }
}

/// Returns whether the text has the form of a signed JSON web token.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

fn is_client_id(text: &str) -> bool {
    text.starts_with("dc-")
}

fn outcome(product: Product, facts: &Facts, suspicion: Suspicion) -> Outcome {
    let problem = facts.message.as_str();
    if facts.is_credentials {
        return Outcome::failed(Exit::Configuration, problem, credentials_cure(product, suspicion)).guess();
    }
    if facts.is_rate_limited {
        let wait = match facts.retry_after {
            Some(wait) => format!("wait {}", timestamp::duration(wait)),
            None => "wait a few minutes".to_owned(),
        };
        let cure = format!("{wait}, and find out what is sending so many requests with these credentials");
        return Outcome::failed(Exit::TryLater, problem, cure);
    }
    match facts.cause {
        Cause::ProxyCredentials => {
            let cure = "put the user name and the password of the proxy into the URL in HTTPS_PROXY";
            return Outcome::failed(Exit::Configuration, problem, cure);
        }
        Cause::ClientCertificate => {
            let cure = "set `client_certificate` and `client_key` to the PEM files that this server accepts";
            return Outcome::failed(Exit::Configuration, problem, cure);
        }
        Cause::Redirect => {
            let cure = "correct the base URL: a gateway redirects the endpoint, and redirects are not followed";
            return Outcome::failed(Exit::Configuration, problem, cure);
        }
        Cause::Malformed => {
            let cure = "the server may not be Flinks: check the base URL, and a gateway in front of it";
            return Outcome::failed(Exit::Failed, problem, cure).guess();
        }
        _ => {}
    }
    if facts.status == Some(404) {
        return Outcome::failed(Exit::Configuration, problem, not_found_cure(product)).guess();
    }
    if facts.is_transient {
        let cure = "try again later, and check https://status.flinks.com";
        return Outcome::failed(Exit::TryLater, problem, cure);
    }
    Outcome::failed(exit_for(facts.advice), problem, general_cure(facts))
}

fn credentials_cure(product: Product, suspicion: Suspicion) -> String {
    let set = format!("set it with `flinks config set-secret {}`", product.secret());
    match (product, suspicion) {
        (_, Suspicion::IsToken) => {
            format!("the secret has the form of a token, which expires; use the secret from Flinks, and {set}")
        }
        (_, Suspicion::IsCustomerId) => {
            format!("the secret key is the customer id; use the secret key from Flinks, and {set}")
        }
        (_, Suspicion::IsSwapped) => {
            format!("the client id and the client secret may be swapped; correct `outbound.client_id`, and {set}")
        }
        (Product::Pay, _) => format!(
            "the user name or the password may be wrong, or may belong to the other environment: sandbox and production \
             have separate credentials; {set}"
        ),
        (Product::Connect, _) => format!(
            "the secret key may be wrong, or may be an authorize token or an API key: the secret key does not expire and \
             comes from Flinks; {set}. The customer id may also belong to another instance: each country has its own"
        ),
        (Product::Outbound, _) => format!(
            "the client id or the client secret may be wrong or belong to another environment; {set}. Flinks may also \
             expect them in another part of the request: run `flinks config set outbound.client_authentication basic`"
        ),
    }
}

fn not_found_cure(product: Product) -> &'static str {
    match product {
        Product::Pay => {
            "the base URL may be wrong: set pay.url to https://payments.flinksapp.com or the URL of the sandbox"
        }
        Product::Connect => "the instance or the customer id may be wrong: each country has its own instance",
        Product::Outbound => {
            "the base URL may be wrong: set outbound.url to the host alone, without the path of an endpoint"
        }
    }
}

fn general_cure(facts: &Facts) -> String {
    let cure = match facts.advice {
        Advice::RetryLater => "try again later",
        Advice::FixConfiguration => "correct the base URL and the credentials in the configuration",
        Advice::FixInput => "correct the value that the message names",
        _ => "run the command again with --verbose, and send this report to the maintainers or to Flinks",
    };
    match &facts.code {
        Some(code) => format!("{cure}; `flinks explain {code}` has more information"),
        None => cure.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Finding;

    fn facts() -> Facts {
        Facts {
            message: "failed".to_owned(),
            is_credentials: false,
            is_rate_limited: false,
            is_transient: false,
            retry_after: None,
            status: None,
            cause: Cause::Refused,
            advice: Advice::Investigate,
            code: None,
        }
    }

    fn failed(product: Product, facts: &Facts, suspicion: Suspicion) -> (Finding, Exit) {
        match outcome(product, facts, suspicion) {
            Outcome::Failed { finding, exit } => (finding, exit),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn refused_credentials_name_the_secret_and_are_a_guess() {
        let facts = Facts { is_credentials: true, status: Some(401), ..facts() };
        for (product, suspicion, cure) in [
            (Product::Pay, Suspicion::Nothing, "flinks config set-secret pay.password"),
            (Product::Connect, Suspicion::Nothing, "may be an authorize token"),
            (Product::Connect, Suspicion::IsToken, "form of a token"),
            (Product::Connect, Suspicion::IsCustomerId, "is the customer id"),
            (Product::Outbound, Suspicion::Nothing, "outbound.client_authentication basic"),
            (Product::Outbound, Suspicion::IsSwapped, "may be swapped"),
        ] {
            let (finding, exit) = failed(product, &facts, suspicion);
            assert_eq!(exit, Exit::Configuration);
            assert!(finding.is_guess);
            assert!(finding.cure.contains(cure), "{}", finding.cure);
        }
    }

    #[test]
    fn each_error_has_its_exit_code_and_cure() {
        for (facts, expected, cure) in [
            (
                Facts { is_rate_limited: true, retry_after: Some(Duration::from_secs(90)), ..facts() },
                Exit::TryLater,
                "wait 1m 30s",
            ),
            (Facts { is_transient: true, ..facts() }, Exit::TryLater, "status.flinks.com"),
            (Facts { status: Some(404), ..facts() }, Exit::Configuration, "base URL"),
            (Facts { cause: Cause::Malformed, ..facts() }, Exit::Failed, "may not be Flinks"),
            (Facts { cause: Cause::Redirect, ..facts() }, Exit::Configuration, "redirects the endpoint"),
            (Facts { cause: Cause::ProxyCredentials, ..facts() }, Exit::Configuration, "HTTPS_PROXY"),
            (Facts { cause: Cause::ClientCertificate, ..facts() }, Exit::Configuration, "client_certificate"),
            (
                Facts { advice: Advice::FixConfiguration, code: Some("INVALID_REQUEST".to_owned()), ..facts() },
                Exit::Configuration,
                "flinks explain INVALID_REQUEST",
            ),
        ] {
            let (finding, exit) = failed(Product::Outbound, &facts, Suspicion::Nothing);
            assert_eq!(exit, expected, "{facts:?}");
            assert!(finding.cure.contains(cure), "{}", finding.cure);
        }
    }

    #[test]
    fn the_form_of_a_secret_is_a_hint() {
        let suspicion = |product, values: &[(&str, &str)]| {
            let values = values.iter().map(|(field, value)| ((*field).to_owned(), Value::String((*value).to_owned())));
            Suspicion::of(product, &values.collect())
        };
        assert_eq!(
            suspicion(Product::Connect, &[("secret_key", "A-1"), ("customer_id", "a-1")]),
            Suspicion::IsCustomerId
        );
        assert_eq!(suspicion(Product::Connect, &[("secret_key", "eyJhbGci.eyJz.c2ln")]), Suspicion::IsToken);
        assert_eq!(
            suspicion(Product::Connect, &[("secret_key", "secret"), ("customer_id", "a-1")]),
            Suspicion::Nothing
        );
        assert_eq!(
            suspicion(Product::Outbound, &[("client_secret", "dc-app"), ("client_id", "s")]),
            Suspicion::IsSwapped
        );
        assert_eq!(
            suspicion(Product::Outbound, &[("client_secret", "s"), ("client_id", "dc-app")]),
            Suspicion::Nothing
        );
        assert_eq!(suspicion(Product::Pay, &[("password", "eyJhbGci.eyJz.c2ln")]), Suspicion::Nothing);
    }
}
