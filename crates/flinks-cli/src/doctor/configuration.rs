//! Checks the profile's values for a product, and builds the client from them.

use std::time::Duration;

use flinks_consents::flinks::{self, BaseUrl, ClientBuilder, Settings, connect, outbound, pay};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use toml::{Table, Value};
use url::Url;

use super::report::{Outcome, Step};
use crate::failure::{Exit, Failure};
use crate::profile::{Profile, Section};

/// A Flinks product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    Pay,
    Connect,
    Outbound,
}

impl Product {
    pub(super) fn section(self) -> Section {
        match self {
            Self::Pay => Section::Pay,
            Self::Connect => Section::Connect,
            Self::Outbound => Section::Outbound,
        }
    }

    /// Returns the key of the secret, as `flinks config set-secret` expects it.
    pub(super) fn secret(self) -> &'static str {
        match self {
            Self::Pay => "pay.password",
            Self::Connect => "connect.secret_key",
            Self::Outbound => "outbound.client_secret",
        }
    }
}

/// The client for a product.
pub(super) enum Client {
    Pay(pay::Client),
    Connect(connect::Client),
    Outbound(outbound::Client),
}

impl Client {
    pub(super) fn base_url(&self) -> &BaseUrl {
        match self {
            Self::Pay(client) => client.base_url(),
            Self::Connect(client) => client.base_url(),
            Self::Outbound(client) => client.base_url(),
        }
    }
}

/// The server for a product.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_https: bool,
    pub(super) is_loopback: bool,
    /// The Connect instance, which is part of the host name.
    pub(super) instance: Option<String>,
}

/// A product, and the client, server and values that the checks for it use.
pub(super) struct Subject {
    pub(super) product: Product,
    pub(super) client: Client,
    pub(super) target: Target,
    /// The values of the section. They contain secrets.
    pub(super) values: Table,
    pub(super) certificates: Certificates,
}

/// The certificates that the section specifies.
#[derive(Default)]
pub(super) struct Certificates {
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Describes the profile and where its secrets are stored.
pub(super) fn describe(profile: &Profile) -> String {
    match profile.selected_name() {
        Some(name) => format!("profile `{name}`, secrets in {}", profile.secrets().description()),
        None => "no profile; all values come from environment variables".to_owned(),
    }
}

/// The fields that all products share. These fields alone do not configure a product.
const SHARED_FIELDS: [&str; 5] =
    ["root_certificates", "client_certificate", "client_key", "crypto_provider", "dangerous_plain_http_host"];

/// Returns whether the profile has values for the product. If the values cannot be read, the checks
/// for the product report the reason.
pub(super) fn is_configured(profile: &Profile, product: Product) -> bool {
    match profile.values(product.section()) {
        Ok(values) => values.keys().any(|field| !SHARED_FIELDS.contains(&field.as_str())),
        Err(_) => true,
    }
}

/// Builds the client for a product. The client makes a single attempt, so that the check requests
/// at most one token.
pub(super) fn check(product: Product, profile: &Profile, timeout: Duration) -> Step<Subject> {
    let invalid = |failure: &Failure| Outcome::of_failure(failure);
    let values = profile.values(product.section()).map_err(|failure| invalid(&failure))?;
    let client = client(product, profile, timeout).map_err(|failure| invalid(&failure))?;
    let target = Target::new(client.base_url().as_str(), client.base_url().is_loopback(), &values)
        .ok_or_else(|| Outcome::failed(Exit::Configuration, "the base URL has no host", "correct the base URL"))?;
    let certificates = Certificates::read(&values)?;
    let mut detail = target.url.as_str().trim_end_matches('/').to_owned();
    let variables = profile.variables_in_use(product.section()).map_err(|failure| invalid(&failure))?;
    if let Some(instance) = &target.instance {
        detail = format!("instance `{instance}`, {detail}");
    }
    if !variables.is_empty() {
        detail = format!("{detail}; environment variables in use: {}", variables.join(", "));
    }
    Ok((Outcome::passed(detail), Subject { product, client, target, values, certificates }))
}

fn client(product: Product, profile: &Profile, timeout: Duration) -> Result<Client, Failure> {
    let settings = Settings::new().max_attempts(1).timeout(timeout).connect_timeout(timeout);
    let section = product.section();
    let built = match product {
        Product::Pay => {
            let builder: ClientBuilder<pay::Client> = profile.builder(section)?;
            builder.settings(&settings).build().map(Client::Pay)
        }
        Product::Connect => {
            let builder: ClientBuilder<connect::Client> = profile.builder(section)?;
            builder.settings(&settings).build().map(Client::Connect)
        }
        Product::Outbound => {
            let builder: ClientBuilder<outbound::Client> = profile.builder(section)?;
            builder.settings(&settings).build().map(Client::Outbound)
        }
    };
    built.map_err(|error| build_failure(section, &error))
}

fn build_failure(section: Section, error: &flinks::Error) -> Failure {
    let next = format!("correct the value in the section `{}`, for example with `flinks config set`", section.name());
    Failure::configuration(format!("section `{}`: {error}", section.name())).with_next(next)
}

impl Target {
    /// Returns the server that a base URL names, or `None` if the URL has no host.
    pub(super) fn new(base_url: &str, is_loopback: bool, values: &Table) -> Option<Self> {
        let url = Url::parse(base_url).ok()?;
        // The brackets around an IPv6 address are not part of the address.
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default()?;
        let is_https = url.scheme() == "https";
        let instance = values.get("instance").and_then(Value::as_str).map(str::to_owned);
        Some(Self { url, host, port, is_https, is_loopback, instance })
    }
}

impl Certificates {
    fn read(values: &Table) -> Result<Self, Outcome> {
        let read = |field: &str| -> Result<Option<Vec<u8>>, Outcome> {
            let Some(path) = values.get(field).and_then(Value::as_str) else { return Ok(None) };
            let path = std::path::PathBuf::from(path);
            std::fs::read(&path).map(Some).map_err(|error| {
                let problem = format!("failed to read {field} from `{}`: {error}", path.display());
                Outcome::failed(Exit::Configuration, problem, format!("correct the path in `{field}`"))
            })
        };
        let roots = read("root_certificates")?.map(|pem| certificates(&pem, "root_certificates")).transpose()?;
        let client = match (read("client_certificate")?, read("client_key")?) {
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| not_pem("client_key"))?;
                Some((certificates(&certificate, "client_certificate")?, key))
            }
            _ => None,
        };
        Ok(Self { roots: roots.unwrap_or_default(), client })
    }
}

fn certificates(pem: &[u8], field: &'static str) -> Result<Vec<CertificateDer<'static>>, Outcome> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| not_pem(field))
}

fn not_pem(field: &'static str) -> Outcome {
    let problem = format!("the file that `{field}` names is not in PEM format");
    Outcome::failed(Exit::Configuration, problem, format!("replace the file, or correct the path in `{field}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_host_and_port_of_the_base_url() {
        let values = Table::from_iter([("instance".to_owned(), Value::String("toolbox".to_owned()))]);
        for (base_url, host, port, is_https) in [
            ("https://toolbox-api.private.fin.ag", "toolbox-api.private.fin.ag", 443, true),
            ("http://127.0.0.1:8080/prefix", "127.0.0.1", 8080, false),
            ("http://[::1]:7", "::1", 7, false),
        ] {
            let target = Target::new(base_url, false, &values).unwrap();
            assert_eq!((target.host.as_str(), target.port, target.is_https), (host, port, is_https));
            assert_eq!(target.instance.as_deref(), Some("toolbox"));
        }
    }
}
