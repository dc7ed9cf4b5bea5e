//! The order of the checks for a product.

use std::time::{Duration, SystemTime};

use super::configuration::{self, Product, Subject};
use super::network::{self, Peer, Role};
use super::proxy::{self, Route};
use super::report::{Outcome, Report, Section};
use super::tls::{self, Tls};
use super::{credentials, http};
use crate::profile::{Login, Profile};

/// The checks for Outbound. The last check applies only to Outbound, because the other products
/// have no redirect URL.
const CHECKS: &[&str] = &[
    "configuration",
    "proxy",
    "name resolution",
    "connection",
    "tunnel",
    "TLS",
    "reachability",
    "clock",
    "credentials",
    "redirect URL",
];

/// Checks a product.
pub(super) async fn check(product: Product, profile: &Profile, limit: Duration, report: &mut Report) {
    let checks = match CHECKS.split_last() {
        Some((_, common)) if product != Product::Outbound => common,
        _ => CHECKS,
    };
    let mut section = report.section(product.section().name(), checks);
    if check_steps(product, profile, limit, &mut section).await.is_some() && product == Product::Outbound {
        section.record(redirect_url(profile.login()));
    }
    section.finish();
}

/// Runs the checks in order. Returns `None` if a check failed.
async fn check_steps(product: Product, profile: &Profile, limit: Duration, section: &mut Section<'_>) -> Option<()> {
    let subject = section.take(configuration::check(product, profile, limit))?;
    let tls = check_network(&subject, limit, section).await?;
    let response = http::request(&subject.target, &tls, limit).await;
    let now = SystemTime::now();
    section.record(http::reachability(&response, product, &subject.target, now))?;
    if let Ok(response) = &response {
        section.record(http::clock(response, now))?;
    }
    section.record(credentials::check(&subject).await)
}

/// Checks everything up to TLS, and returns the TLS configuration for requests.
async fn check_network(subject: &Subject, limit: Duration, section: &mut Section<'_>) -> Option<Tls> {
    let target = &subject.target;
    let route = section.take(proxy::check(target))?;
    let peer = match (&route, &target.instance) {
        (Route::Through(proxy), _) => Peer { host: &proxy.host, port: proxy.port, role: Role::Proxy },
        (Route::Direct, Some(instance)) => {
            Peer { host: &target.host, port: target.port, role: Role::Instance(instance) }
        }
        (Route::Direct, None) => Peer { host: &target.host, port: target.port, role: Role::Server },
    };
    let addresses = section.take(network::resolve(peer, limit).await)?;
    let mut stream = section.take(network::connect(&addresses, peer.role, limit).await)?;
    let is_inspectable = match &route {
        Route::Direct => {
            section.record(Outcome::skipped("no proxy is used"))?;
            true
        }
        Route::Through(proxy) if proxy.is_tls => {
            section.record(Outcome::skipped("the connection to the proxy uses TLS"))?;
            false
        }
        Route::Through(proxy) => {
            section.record(proxy::open_tunnel(&mut stream, proxy, target, limit).await)?;
            true
        }
    };
    let tls = match Tls::new(&subject.certificates) {
        Ok(tls) => tls,
        Err(outcome) if target.is_https => {
            section.record(outcome)?;
            return None;
        }
        // Plain HTTP needs no authorities, but the HTTP client still needs a TLS configuration.
        Err(_) => Tls::without_authorities()?,
    };
    if !target.is_https {
        section.record(Outcome::skipped("the base URL uses plain HTTP"))?;
    } else if is_inspectable {
        section.take(tls::check(stream, target, &tls, limit).await)?;
    } else {
        section.record(Outcome::skipped("the certificate was not inspected; the next check verifies it"))?;
    }
    Some(tls)
}

/// Describes the redirect URL. Only a login in the browser shows whether Flinks accepts it.
fn redirect_url(login: &Login) -> Outcome {
    match &login.redirect_url {
        Some(url) => Outcome::passed(format!(
            "{} must be registered with Flinks; if the browser shows an error page instead of the bank's page, it may \
             not be registered",
            super::bounded(url)
        )),
        None => Outcome::skipped("login.redirect_url is not set"),
    }
}
