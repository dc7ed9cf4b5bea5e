//! A store's server, and the protocol between the two.

use std::io::BufReader;
use std::net::TcpStream;
use std::time::Duration;

use flinks_consents::ConsentId;
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::store::ScanRecords;

/// A server that keeps consents. A test starts the server, and dropping this value stops the
/// server.
pub trait Backend: Protocol + Sized + Send + Sync + 'static {
    /// The store that connects to this server.
    type Store: WorkLeases + ScanRecords + Clone;

    /// Why the tests are ignored if [`is_installed`](Self::is_installed) returns `false`.
    const NOT_INSTALLED: &'static str;

    /// The errors that the server can return instead of running a statement, each with its name.
    /// The proxy sends each as [`Fault::ErrorResponse`](crate::Fault::ErrorResponse). The first
    /// error means that the server is starting.
    const ERROR_RESPONSES: &'static [(&'static str, &'static str)];

    /// The faults that a store call survives, for example because the store connects again and
    /// checks whether its write was stored. Any other fault makes the call fail.
    const SURVIVED_FAULTS: &'static [&'static str];

    /// Returns whether the programs that the tests need are installed.
    fn is_installed() -> bool;

    /// Starts an empty server on a free port of the loopback address.
    fn start() -> Self;

    /// Starts an empty server that keeps its data if it is killed.
    fn start_durable() -> Self {
        Self::start()
    }

    /// Returns the port on which the server accepts connections.
    fn port(&self) -> u16;

    /// Returns the address for a store whose connections are forwarded through `port`.
    fn address_through(&self, port: u16) -> String;

    /// Returns the address for a store that connects directly.
    fn address(&self) -> String {
        self.address_through(self.port())
    }

    /// Creates a store with the keys from [`keys`](crate::keys).
    fn store(address: &str, timeout: Duration) -> Self::Store;

    /// Stops the server without a clean shutdown.
    fn kill(&mut self);

    /// Starts a killed server again with its data and on the same port.
    fn start_again(&mut self);

    /// Removes the leases of all workers, as if the leases had expired.
    fn remove_leases(&self);

    /// Returns whether a worker holds a lease.
    fn has_leases(&self) -> bool;

    /// Replaces a consent's stored value with a value that is not a record.
    fn damage_record(&self, id: &ConsentId);

    /// Removes a consent's record, as another process would.
    fn delete_record(&self, id: &ConsentId);

    /// Returns whether the server stores no data about any consent, except for index entries that
    /// the store removes later.
    fn is_empty(&self) -> bool;
}

/// The protocol between a store and its server, to the extent that a [`Proxy`](crate::Proxy) needs
/// it.
pub trait Protocol {
    /// Reads one request from a store. `number` counts the connection's requests from 0. Returns
    /// `None` if the connection was closed.
    fn read_request(client: &mut BufReader<&TcpStream>, number: usize) -> Option<Request>;

    /// Reads the server's complete response to one request. Returns `None` if the connection was
    /// closed.
    fn read_response(server: &mut BufReader<&TcpStream>) -> Option<Vec<u8>>;

    /// Encodes an error from [`Backend::ERROR_RESPONSES`].
    fn error_response(error: &str) -> Vec<u8>;
}

/// A request that a proxy forwards.
pub struct Request {
    /// The bytes to forward.
    pub bytes: Vec<u8>,
    /// Whether the request reads or writes a consent's record. Only such requests count towards the
    /// position of a scheduled fault.
    pub is_about_a_record: bool,
}
