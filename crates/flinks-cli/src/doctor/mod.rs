//! `flinks doctor`: checks each part of a profile, one after the other.
//!
//! ```text
//! profile    configuration
//! pay        configuration > proxy > name resolution > connection > tunnel > TLS > reachability > clock > credentials
//! connect    the same
//! outbound   the same, and redirect URL
//! store      configuration > connection > server settings > writes > records > consents
//! ```
//!
//! If a check fails, the later checks in its section are skipped. The credentials are therefore
//! sent only if the server's certificate has been verified or the configuration allows plain HTTP
//! to the host. They are sent only to the endpoint that issues tokens.
//!
//! | file | content |
//! | --- | --- |
//! | `report.rs` | the outcomes and how they are printed |
//! | `configuration.rs` | the profile, and the client for a product |
//! | `proxy.rs` | the proxy variables, and a tunnel through a proxy |
//! | `network.rs` | name resolution and connections |
//! | `tls.rs` | the handshake, which records the server's certificates |
//! | `certificate.rs` | problems with a certificate, and how to fix them |
//! | `http.rs` | an unauthenticated request, and the clock |
//! | `credentials.rs` | a request for a token, which is not used |
//! | `product.rs` | the order of the checks for a product |
//! | `store.rs` | the order of the checks for a store |
//! | `store_error.rs` | how to fix store errors |
//! | `records.rs` | the records and consents in a store |

mod certificate;
mod configuration;
mod credentials;
mod http;
mod network;
mod product;
mod proxy;
mod records;
mod report;
mod store;
mod store_error;
mod tls;

use std::time::Duration;

use clap::{Args, ValueEnum};

use self::configuration::Product;
use self::report::{Outcome, Report};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::profile::Profile;

/// Find out what is wrong, and what to do about it
///
/// The command checks the configuration, the proxy, name resolution, TLS, the clock, the credentials
/// and the store. It sends credentials only if it has verified TLS or the configuration allows
/// plain HTTP to the host. For each product, it requests one token and does not use the token. The
/// report contains no secrets, so you can share it.
///
/// The exit code is 0 if no check failed, and otherwise that of the first check that failed.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to check; default: everything for which the profile has values
    #[arg(value_enum, value_name = "SECTION")]
    areas: Vec<Area>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The time limit for each step, such as 10s
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// A part of a profile that can be checked on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Area {
    Pay,
    Connect,
    Outbound,
    Store,
}

/// Runs the checks and prints the report.
///
/// # Errors
///
/// Returns a failure if a check failed, or if the report could not be printed.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let mut report = Report::default();
    // Boxed, so that the program's future stays small.
    Box::pin(check(arguments, context, &mut report)).await;
    report.print(arguments.json)?;
    report.verdict()
}

async fn check(arguments: &Arguments, context: &Context, report: &mut Report) {
    let profile = match context.profile() {
        Ok(profile) => profile,
        Err(failure) => return report.add("profile", "configuration", Outcome::of_failure(&failure)),
    };
    report.add("profile", "configuration", Outcome::passed(configuration::describe(profile)));
    let areas = if arguments.areas.is_empty() { configured_areas(profile) } else { arguments.areas.clone() };
    if areas.is_empty() {
        let problem = "the profile has no values for Pay, Connect or Outbound";
        let cure =
            "run `flinks init` to create a profile, or set the environment variables that `flinks env --all` lists";
        return report.add("profile", "products", Outcome::failed(Exit::Configuration, problem, cure));
    }
    for area in areas {
        match area {
            Area::Pay => product::check(Product::Pay, profile, arguments.timeout, report).await,
            Area::Connect => product::check(Product::Connect, profile, arguments.timeout, report).await,
            Area::Outbound => product::check(Product::Outbound, profile, arguments.timeout, report).await,
            Area::Store => store::check(profile, arguments.timeout, report).await,
        }
    }
}

/// Returns the products that the profile has values for, and the store if Outbound is one of them.
fn configured_areas(profile: &Profile) -> Vec<Area> {
    let products = [(Product::Pay, Area::Pay), (Product::Connect, Area::Connect), (Product::Outbound, Area::Outbound)];
    let is_configured = |product: Product| configuration::is_configured(profile, product);
    let mut areas: Vec<Area> =
        products.into_iter().filter(|(product, _)| is_configured(*product)).map(|(_, area)| area).collect();
    if areas.contains(&Area::Outbound) {
        areas.push(Area::Store);
    }
    areas
}

/// Returns text from the network in a form that is safe to print: escaped, and limited to 100
/// characters.
fn bounded(text: &str) -> String {
    const MAX_CHARACTERS: usize = 100;
    let mut escaped: String = text.escape_debug().take(MAX_CHARACTERS).collect();
    if text.escape_debug().nth(MAX_CHARACTERS).is_some() {
        escaped.push('…');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_network_is_escaped_and_bounded() {
        assert_eq!(bounded("CN=example"), "CN=example");
        assert_eq!(bounded("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(bounded(&"a".repeat(101)).chars().count(), 101);
        assert_eq!(bounded(&"a".repeat(100)).chars().count(), 100);
    }
}
