//! Name resolution and connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::report::{Outcome, Step};
use crate::failure::Exit;

/// The server or the proxy to which a connection is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) role: Role<'a>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role<'a> {
    Server,
    /// A Connect server, whose host name contains the instance.
    Instance(&'a str),
    Proxy,
}

/// The reason no address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResolutionFailure {
    NotFound,
    Timeout,
}

/// The reason no connection was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionFailure {
    Refused,
    Timeout,
    Unreachable,
    Other(io::ErrorKind),
}

/// Resolves a host name.
pub(super) async fn resolve(peer: Peer<'_>, limit: Duration) -> Step<Vec<SocketAddr>> {
    let host = peer.host;
    let addresses: Vec<SocketAddr> = match timeout(limit, lookup_host((host, peer.port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => return Err(resolution_outcome(ResolutionFailure::Timeout, peer)),
    };
    if addresses.is_empty() {
        return Err(resolution_outcome(ResolutionFailure::NotFound, peer));
    }
    if host.parse::<IpAddr>().is_ok() {
        return Ok((Outcome::passed("not needed: the host is an IP address"), addresses));
    }
    let texts: Vec<String> = addresses.iter().take(4).map(|address| address.ip().to_string()).collect();
    Ok((Outcome::passed(format!("{host} resolves to {}", texts.join(", "))), addresses))
}

fn resolution_outcome(failure: ResolutionFailure, peer: Peer<'_>) -> Outcome {
    let host = peer.host;
    if failure == ResolutionFailure::Timeout {
        let problem = format!("the name server did not resolve {host} in time");
        let cure = "check the name servers of this machine, for example in /etc/resolv.conf, or try again later";
        return Outcome::failed(Exit::TryLater, problem, cure);
    }
    let problem = format!("the host name {host} cannot be resolved");
    match peer.role {
        Role::Instance(instance) => {
            let cure = format!(
                "there may be no instance `{instance}`: each country has its own; run `flinks config set \
                 connect.instance` with the name that Flinks gave you, and check that this machine resolves other names"
            );
            Outcome::failed(Exit::Configuration, problem, cure).guess()
        }
        Role::Server => Outcome::failed(
            Exit::Configuration,
            problem,
            "check the spelling of the host, and that this machine resolves other names; inside a container, check \
             its DNS settings",
        ),
        Role::Proxy => Outcome::failed(
            Exit::Configuration,
            problem,
            "check the spelling of the proxy in HTTPS_PROXY or ALL_PROXY, and the VPN of this machine",
        ),
    }
}

/// Connects to the first address that accepts a connection.
pub(super) async fn connect(addresses: &[SocketAddr], role: Role<'_>, limit: Duration) -> Step<TcpStream> {
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    // Each address gets an equal share of the time, so that an unresponsive one cannot use all of it.
    let share = limit.checked_div(count).unwrap_or(limit);
    let mut failed = connection_outcome(ConnectionFailure::Unreachable, None, role);
    for address in addresses {
        let failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((Outcome::passed(format!("connected to {address}")), stream)),
            Ok(Err(error)) => connection_failure(error.kind()),
            Err(_) => ConnectionFailure::Timeout,
        };
        failed = connection_outcome(failure, Some(*address), role);
    }
    Err(failed)
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

fn connection_outcome(failure: ConnectionFailure, address: Option<SocketAddr>, role: Role<'_>) -> Outcome {
    let address = address.map_or_else(|| "the host".to_owned(), |address| address.to_string());
    let place = if role == Role::Proxy { format!("the proxy {address}") } else { address };
    match failure {
        ConnectionFailure::Refused | ConnectionFailure::Timeout if role == Role::Proxy => Outcome::failed(
            Exit::TryLater,
            format!("{place} did not accept a connection"),
            "check the host and the port in HTTPS_PROXY or ALL_PROXY, or remove the variable if this network requires no \
             proxy",
        ),
        ConnectionFailure::Refused => Outcome::failed(
            Exit::TryLater,
            format!("{place} refused the connection"),
            "check the port in the base URL, and that the server is running; to start a local emulator, run `flinks \
             emulator`",
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
        let peer = |host, role| Peer { host, port: 443, role };
        let outcome = resolution_outcome(ResolutionFailure::NotFound, peer(name, Role::Instance("toolbx")));
        assert_eq!(
            problem(&outcome),
            ("the host name toolbx-api.private.fin.ag cannot be resolved", true, Exit::Configuration)
        );
        let outcome = resolution_outcome(ResolutionFailure::NotFound, peer("ob.example", Role::Server));
        assert_eq!(problem(&outcome), ("the host name ob.example cannot be resolved", false, Exit::Configuration));
        let outcome = resolution_outcome(ResolutionFailure::Timeout, peer("ob.example", Role::Server));
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
            assert_eq!(problem(&connection_outcome(connection_failure(kind), address, Role::Server)).0, expected);
        }
    }
}
