//! Name resolution and connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::report::{Outcome, Step};
use crate::failure::Exit;

/// Why no address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResolutionFailure {
    NotFound,
    Timeout,
}

/// Why no connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionFailure {
    Refused,
    Timeout,
    Unreachable,
    Other(io::ErrorKind),
}

/// Resolves the name of a host. `instance` is the instance of Connect that the name contains.
pub(super) async fn resolve(host: &str, port: u16, instance: Option<&str>, limit: Duration) -> Step<Vec<SocketAddr>> {
    let found = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
        Ok(Err(_)) => Err(ResolutionFailure::NotFound),
        Err(_) => Err(ResolutionFailure::Timeout),
    };
    match found {
        Ok(addresses) if addresses.is_empty() => Err(resolution_outcome(ResolutionFailure::NotFound, host, instance)),
        Ok(addresses) if host.parse::<IpAddr>().is_ok() => {
            Ok((Outcome::passed("not needed: the host is an address"), addresses))
        }
        Ok(addresses) => {
            let texts: Vec<String> = addresses.iter().take(4).map(|address| address.ip().to_string()).collect();
            Ok((Outcome::passed(format!("{host} is {}", texts.join(", "))), addresses))
        }
        Err(failure) => Err(resolution_outcome(failure, host, instance)),
    }
}

fn resolution_outcome(failure: ResolutionFailure, host: &str, instance: Option<&str>) -> Outcome {
    match (failure, instance) {
        (ResolutionFailure::Timeout, _) => Outcome::failed(
            Exit::TryLater,
            format!("the name server did not resolve {host} in time"),
            "check the name servers of this machine, for example in /etc/resolv.conf, or try again later",
        ),
        (ResolutionFailure::NotFound, Some(instance)) => Outcome::failed(
            Exit::Configuration,
            format!("the host name {host} cannot be resolved"),
            format!(
                "there may be no instance `{instance}`: each country has its own; run `flinks config set \
                 connect.instance` with the name that Flinks gave you, and check that this machine resolves other names"
            ),
        )
        .guess(),
        (ResolutionFailure::NotFound, None) => Outcome::failed(
            Exit::Configuration,
            format!("the host name {host} cannot be resolved"),
            "check the spelling of the host, and that this machine resolves other names; inside a container, check \
             its DNS settings",
        ),
    }
}

/// Connects to the first address that accepts a connection.
pub(super) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Step<TcpStream> {
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    // Each address has its share, so that one that does not respond does not use up the time.
    let share = limit.checked_div(count).unwrap_or(limit);
    let mut last = Err((ConnectionFailure::Unreachable, None));
    for address in addresses {
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((Outcome::passed(format!("connected to {address}")), stream)),
            Ok(Err(error)) => Err((connection_failure(error.kind()), Some(*address))),
            Err(_) => Err((ConnectionFailure::Timeout, Some(*address))),
        };
    }
    let (failure, address) = match last {
        Ok(()) => (ConnectionFailure::Unreachable, None),
        Err(last) => last,
    };
    Err(connection_outcome(failure, address))
}

fn connection_failure(kind: io::ErrorKind) -> ConnectionFailure {
    match kind {
        io::ErrorKind::ConnectionRefused => ConnectionFailure::Refused,
        io::ErrorKind::TimedOut => ConnectionFailure::Timeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ConnectionFailure::Unreachable
        }
        kind => ConnectionFailure::Other(kind),
    }
}

fn connection_outcome(failure: ConnectionFailure, address: Option<SocketAddr>) -> Outcome {
    let place = address.map_or_else(|| "the server".to_owned(), |address| address.to_string());
    match failure {
        ConnectionFailure::Refused => Outcome::failed(
            Exit::TryLater,
            format!("{place} refused the connection"),
            "check the port in the base URL, and that the server runs; a local emulator is started with `flinks emulator`",
        ),
        ConnectionFailure::Timeout => Outcome::failed(
            Exit::TryLater,
            format!("{place} did not accept a connection in time"),
            "a firewall may drop the packets: allow outgoing connections to this address, or set HTTPS_PROXY if this \
             network requires a proxy",
        )
        .guess(),
        ConnectionFailure::Unreachable => Outcome::failed(
            Exit::TryLater,
            format!("{place} cannot be reached from this network"),
            "check the network connection, the routes and the VPN of this machine",
        ),
        ConnectionFailure::Other(kind) => Outcome::failed(
            Exit::TryLater,
            format!("failed to connect to {place}: {kind}"),
            "check the network connection and the firewall of this machine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(outcome: &Outcome) -> (&str, bool, Exit) {
        let Outcome::Failed { finding, exit } = outcome else { panic!("{outcome:?}") };
        (&finding.problem, finding.is_guess, *exit)
    }

    #[test]
    fn a_name_that_is_not_found_may_be_a_missing_instance() {
        let name = "toolbx-api.private.fin.ag";
        let outcome = resolution_outcome(ResolutionFailure::NotFound, name, Some("toolbx"));
        assert_eq!(
            problem(&outcome),
            ("the host name toolbx-api.private.fin.ag cannot be resolved", true, Exit::Configuration)
        );
        let outcome = resolution_outcome(ResolutionFailure::NotFound, "ob.example", None);
        assert_eq!(problem(&outcome), ("the host name ob.example cannot be resolved", false, Exit::Configuration));
        let outcome = resolution_outcome(ResolutionFailure::Timeout, "ob.example", None);
        assert_eq!(problem(&outcome), ("the name server did not resolve ob.example in time", false, Exit::TryLater));
    }

    #[test]
    fn each_failure_of_a_connection_has_its_problem() {
        let address = Some(SocketAddr::from(([192, 0, 2, 1], 443)));
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, "192.0.2.1:443 refused the connection"),
            (io::ErrorKind::TimedOut, "192.0.2.1:443 did not accept a connection in time"),
            (io::ErrorKind::NetworkUnreachable, "192.0.2.1:443 cannot be reached from this network"),
            (io::ErrorKind::PermissionDenied, "failed to connect to 192.0.2.1:443: permission denied"),
        ] {
            assert_eq!(problem(&connection_outcome(connection_failure(kind), address)).0, expected);
        }
    }
}
