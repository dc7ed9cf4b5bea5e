//! The server's address: a URL with a safe TLS mode.

use std::time::Duration;

use flinks_core::plain_http::{PlainHost, PlainHostProblem, is_loopback_host};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::InvalidConfiguration;

/// A parsed address.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) security: Security,
}

/// Whether connections use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// The connections use TLS and verify the server's certificate chain and host name.
    Tls,
    /// The connections do not leave this machine.
    Local,
    /// The connections use no TLS and go to the host that the configuration allows.
    PlainRemote,
}

/// The value of `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The address does not contain a mode.
    Unset,
    /// `disable`, `allow` or `prefer`: TLS is not required.
    Optional,
    /// `require`, `verify-ca` or `verify-full`.
    Required,
}

impl Address {
    /// Parses an address and checks that connections to other machines use TLS, unless the
    /// configuration allows connections without TLS. If the address contains several hosts and no
    /// `connect_timeout`, the time to connect to each host is limited to its share of `timeout`,
    /// the timeout for a call.
    pub(crate) fn parse(url: &str, plain_host: &PlainHost, timeout: Duration) -> Result<Self, InvalidConfiguration> {
        let (url, mode) = split_mode(url)?;
        let mut config: Config = url.parse().map_err(|_| NOT_A_URL)?;
        if config.get_options().is_some() {
            return Err(invalid("must not contain `options`: set them for the database user instead"));
        }
        if !config.get_hostaddrs().is_empty() {
            return Err(invalid("must not contain `hostaddr`"));
        }
        let security = security(config.get_hosts(), mode, plain_host)?;
        config.ssl_mode(match security {
            Security::Tls => SslMode::Require,
            Security::Local | Security::PlainRemote => SslMode::Disable,
        });
        if config.get_application_name().is_none() {
            config.application_name("flinks-postgres");
        }
        // A host that does not respond must not use up the time for the other hosts.
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
        if hosts > 1 && config.get_connect_timeout().is_none() {
            config.connect_timeout(timeout.checked_div(hosts).unwrap_or(timeout));
        }
        Ok(Self { config, security })
    }
}

/// Removes `sslmode` from a URL, because the parser does not support all of its values.
fn split_mode(url: &str) -> Result<(String, Mode), InvalidConfiguration> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(NOT_A_URL);
    }
    // The parser treats everything before the first `@` as the credentials, which may contain `?`.
    let after_credentials = url.find('@').unwrap_or(0);
    let (credentials, rest) = url.split_at_checked(after_credentials).ok_or(NOT_A_URL)?;
    let Some((hosts, query)) = rest.split_once('?') else { return Ok((url.to_owned(), Mode::Unset)) };
    let mut mode = Mode::Unset;
    let mut other_parameters = Vec::new();
    for parameter in query.split('&') {
        match parameter.strip_prefix("sslmode=") {
            None => other_parameters.push(parameter),
            Some("disable" | "allow" | "prefer") => mode = Mode::Optional,
            Some("require" | "verify-ca" | "verify-full") => mode = Mode::Required,
            Some(_) => return Err(invalid("must not contain an unknown `sslmode`: use `verify-full`")),
        }
    }
    let parameters = other_parameters.join("&");
    let separator = if parameters.is_empty() { "" } else { "?" };
    Ok((format!("{credentials}{hosts}{separator}{parameters}"), mode))
}

fn security(hosts: &[Host], mode: Mode, plain_host: &PlainHost) -> Result<Security, InvalidConfiguration> {
    if hosts.is_empty() {
        return Err(NOT_A_URL);
    }
    let remote_hosts = || hosts.iter().filter_map(remote_host);
    let has_socket = hosts.iter().any(|host| !matches!(host, Host::Tcp(_)));
    let is_local = remote_hosts().next().is_none();
    let problem = remote_hosts().find_map(|host| plain_host.find_problem(host));
    match (mode, is_local, problem) {
        (Mode::Unset | Mode::Optional, true, _) => Ok(Security::Local),
        (Mode::Unset | Mode::Optional, false, None) => Ok(Security::PlainRemote),
        // If a plain host is allowed, an address that has another host but no mode is treated as a
        // mistake.
        (Mode::Optional, false, Some(problem)) => Err(plain_error(problem)),
        (Mode::Unset, false, Some(problem)) if problem != PlainHostProblem::NoneAllowed => Err(plain_error(problem)),
        (Mode::Required | Mode::Unset, _, _) if has_socket => Err(invalid("must not require TLS on a Unix socket")),
        (Mode::Required | Mode::Unset, _, _) => {
            if cfg!(feature = "rustls") {
                Ok(Security::Tls)
            } else {
                Err(invalid("requires TLS, and therefore the `rustls` feature of flinks-postgres"))
            }
        }
    }
}

/// Returns the name of the host if it is on another machine, or `None` if it is local.
fn remote_host(host: &Host) -> Option<&str> {
    match host {
        Host::Tcp(name) if !is_loopback_host(name) => Some(name),
        _ => None,
    }
}

/// Returns the error for a host to which a connection without TLS is not allowed.
fn plain_error(problem: PlainHostProblem) -> InvalidConfiguration {
    InvalidConfiguration::new(
        ADDRESS,
        match problem {
            PlainHostProblem::NoneAllowed => {
                "must use `sslmode=verify-full`, unless its host is a loopback address or a Unix socket"
            }
            PlainHostProblem::OfFlinks => "must not be a Flinks host, even with dangerous_plain_postgres_host",
            PlainHostProblem::OtherAllowed => {
                "must use `sslmode=verify-full`, unless its host is the one that dangerous_plain_postgres_host allows"
            }
            PlainHostProblem::PublicAddress => "must use `sslmode=verify-full`, because its host is a public address",
        },
    )
}

/// The name for the address in errors.
const ADDRESS: &str = "PostgreSQL address";

const fn invalid(problem: &'static str) -> InvalidConfiguration {
    InvalidConfiguration::new(ADDRESS, problem)
}

const NOT_A_URL: InvalidConfiguration = invalid(
    "must be a URL such as postgres://app@db.internal/app?sslmode=verify-full, without other options than the documented ones",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, plain_host: Option<&str>) -> Result<Security, InvalidConfiguration> {
        let plain_host = plain_host.map_or_else(PlainHost::default, |host| PlainHost::new(host.to_owned()));
        Address::parse(url, &plain_host, Duration::from_secs(3)).map(|address| address.security)
    }

    #[test]
    fn a1_connections_to_other_machines_require_tls() {
        for mode in ["", "?sslmode=require", "?sslmode=verify-ca", "?connect_timeout=3&sslmode=verify-full"] {
            assert_eq!(parse(&format!("postgres://app:p@db.internal/app{mode}"), None), Ok(Security::Tls), "{mode}");
        }
        for mode in ["disable", "allow", "prefer", "canary"] {
            assert!(parse(&format!("postgres://app@db.internal/app?sslmode={mode}"), None).is_err(), "{mode}");
        }
        for url in [
            "postgres://127.0.0.1/app",
            "postgresql://app@localhost:7/app?sslmode=prefer",
            "postgres://[::1]:7/app",
            "postgres://app@%2Frun%2Fpostgresql/app",
            "postgres:///app?host=/run/postgresql",
            "postgres://app@127.0.0.1:7,127.0.0.1:8/app?target_session_attrs=read-write",
        ] {
            assert_eq!(parse(url, None), Ok(Security::Local), "{url}");
        }
        assert_eq!(parse("postgres://127.0.0.1/app?sslmode=verify-full", None), Ok(Security::Tls));
        // The second host is on another machine.
        assert_eq!(parse("postgres://127.0.0.1,db.internal/app", None), Ok(Security::Tls));
        assert!(parse("postgres://127.0.0.1,db.internal/app?sslmode=disable", None).is_err());
        assert!(parse("postgres://app@%2Frun%2Fpostgresql/app?sslmode=require", None).is_err());
    }

    #[test]
    fn a1_plain_connections_are_allowed_to_the_configured_host() {
        assert_eq!(parse("postgres://app@db/app", Some("db")), Ok(Security::PlainRemote));
        assert_eq!(parse("postgres://app@db/app?sslmode=disable", Some("DB.")), Ok(Security::PlainRemote));
        assert_eq!(parse("postgres://app@10.0.0.7/app", Some("10.0.0.7")), Ok(Security::PlainRemote));
        assert_eq!(parse("postgres://app@db/app?sslmode=require", Some("db")), Ok(Security::Tls));
        for (url, host) in [
            ("postgres://app@other/app", "db"),
            ("postgres://app@8.8.8.8/app", "8.8.8.8"),
            ("postgres://app@api.flinks.io/app", "api.flinks.io"),
        ] {
            assert!(parse(url, Some(host)).is_err(), "{url}");
        }
    }

    #[test]
    fn a3_error_for_an_address_does_not_contain_it() {
        for url in [
            "",
            "canary",
            "http://app:canary@db.internal/app",
            "host=canary",
            "postgres://",
            "postgres://app:canary@127.0.0.1:canary/app",
            "postgres://app@127.0.0.1/app?canary=canary",
            "postgres://app@127.0.0.1/app?options=-c%20canary",
            "postgres://app@127.0.0.1/app?hostaddr=127.0.0.1",
            "postgres://app@127.0.0.1/app?sslmode=canary",
        ] {
            let error = parse(url, None).unwrap_err();
            assert_eq!(error.field(), "PostgreSQL address");
            assert!(!error.to_string().contains("canary"), "{url}: {error}");
        }
    }

    #[test]
    fn credentials_may_contain_a_question_mark() {
        let (url, mode) = split_mode("postgres://app:p?sslmode=x@db.internal/app?sslmode=require").unwrap();
        assert_eq!(url, "postgres://app:p?sslmode=x@db.internal/app");
        assert_eq!(mode, Mode::Required);
    }
}
