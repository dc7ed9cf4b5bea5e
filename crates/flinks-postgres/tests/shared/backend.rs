//! PostgreSQL as a server for the tests in `flinks-store-tests`.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use flinks_consents::ConsentId;
use flinks_postgres::PostgresStore;
use flinks_store_tests::{Backend, Protocol, Request};

use crate::protocol;
use crate::server::{SUPERUSER, Server};

/// A database on a server.
pub(crate) struct Postgres {
    server: Host,
    database: String,
}

enum Host {
    /// A server that several tests use, each with its own database.
    Shared(Arc<Server>),
    /// A server that the test may stop.
    Own(Server),
}

impl Postgres {
    /// Creates a database with the store's tables on a server that only this test uses.
    pub(crate) fn on(server: Server) -> Self {
        Self::with_tables(Host::Own(server))
    }

    /// Connects to a standby, which already has the tables.
    pub(crate) fn on_standby(standby: Server, primary: &Self) -> Self {
        Self { server: Host::Own(standby), database: primary.database.clone() }
    }

    fn with_tables(host: Host) -> Self {
        let server = host.server();
        let database = server.create_database();
        for migration in PostgresStore::migrations("flinks").unwrap() {
            server.sql(&database, &migration.sql);
        }
        Self { server: host, database }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.server()
    }

    pub(crate) fn own_server(&mut self) -> &mut Server {
        let Host::Own(server) = &mut self.server else { panic!("other tests use this server") };
        server
    }

    /// Runs SQL statements in the database and returns the output.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server().sql(&self.database, sql)
    }
}

impl Host {
    fn server(&self) -> &Server {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

/// Returns the server that the tests share. It stops once no test uses it.
fn shared_server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Server::start(&[]));
    *shared = Arc::downgrade(&server);
    server
}

impl Backend for Postgres {
    type Store = PostgresStore;

    const NOT_INSTALLED: &'static str = "PostgreSQL is not installed";

    const ERROR_RESPONSES: &'static [(&'static str, &'static str)] = &[
        ("cannot_connect_now", "57P03"),
        ("too_many_connections", "53300"),
        ("disk_full", "53100"),
        ("out_of_memory", "53200"),
        ("read_only", "25006"),
        ("statement_timeout", "57014"),
        ("lock_timeout", "55P03"),
        ("serialization_failure", "40001"),
        ("deadlock", "40P01"),
        ("statement_completion_unknown", "40003"),
        ("transaction_resolution_unknown", "08007"),
        ("connection_failure", "08006"),
        ("shutdown", "57P01"),
        ("crash_shutdown", "57P02"),
    ];

    const SURVIVED_FAULTS: &'static [&'static str] = &[
        "cut_off_before",
        "cut_off_after",
        "serialization_failure",
        "deadlock",
        "statement_completion_unknown",
        "transaction_resolution_unknown",
        "connection_failure",
        "shutdown",
        "crash_shutdown",
    ];

    fn is_installed() -> bool {
        Server::is_installed()
    }

    fn start() -> Self {
        Self::with_tables(Host::Shared(shared_server()))
    }

    fn start_durable() -> Self {
        Self::on(Server::start(&[]))
    }

    fn port(&self) -> u16 {
        self.server().port()
    }

    fn address_through(&self, port: u16) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{port}/{}", self.database)
    }

    fn store(address: &str, timeout: Duration) -> PostgresStore {
        PostgresStore::builder(address, flinks_store_tests::keys()).timeout(timeout).build().unwrap()
    }

    fn kill(&mut self) {
        self.own_server().stop("immediate");
    }

    fn start_again(&mut self) {
        self.own_server().start_again();
    }

    fn remove_leases(&self) {
        self.sql("DELETE FROM flinks.work_leases");
    }

    fn has_leases(&self) -> bool {
        self.sql("SELECT count(*) FROM flinks.work_leases") != "0"
    }

    fn damage_record(&self, id: &ConsentId) {
        // With the old generation, a pending write would replace the damaged value.
        let sql = format!("UPDATE flinks.consents SET value = 'garbage', generation = -1 WHERE {}", has_name(id));
        self.sql(&sql);
    }

    fn delete_record(&self, id: &ConsentId) {
        self.sql(&format!("DELETE FROM flinks.consents WHERE {}", has_name(id)));
    }

    fn is_empty(&self) -> bool {
        self.sql("SELECT count(*) FROM flinks.consents") == "0"
    }
}

/// Returns the condition for the row of a consent.
fn has_name(id: &ConsentId) -> String {
    format!("name = '\\x{}'", flinks_store_tests::keys().hidden_name(id))
}

impl Protocol for Postgres {
    fn read_request(client: &mut BufReader<&TcpStream>, number: usize) -> Option<Request> {
        protocol::read_request(client, number)
    }

    fn read_response(server: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
        protocol::read_response(server)
    }

    fn error_response(error: &str) -> Vec<u8> {
        protocol::error_response(error)
    }
}
