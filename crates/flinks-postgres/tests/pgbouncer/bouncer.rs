//! PgBouncer in front of PostgreSQL.

use std::io::BufReader;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use flinks_consents::ConsentId;
use flinks_postgres::PostgresStore;
use flinks_store_tests::{Backend, Protocol, Request};

use crate::backend::Postgres;
use crate::server::{SUPERUSER, free_port};

/// A database that stores reach only through PgBouncer.
pub(crate) struct Pooled {
    bouncer: Bouncer,
    database: Postgres,
}

/// A PgBouncer process. Dropping this value kills the process.
struct Bouncer {
    child: Child,
    port: u16,
}

/// The number of connections to the server, which is less than the number of processes in the tests.
const SERVER_CONNECTIONS: usize = 3;

impl Bouncer {
    fn is_installed() -> bool {
        static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| {
            let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        });
        *IS_INSTALLED
    }

    fn start(database: &Postgres) -> Self {
        // If another process takes the port first, the next attempt uses another port.
        (0..10).find_map(|_| Self::start_on(free_port(), database)).unwrap()
    }

    fn start_on(port: u16, database: &Postgres) -> Option<Self> {
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={SUPERUSER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 1000\nserver_login_retry = 0\n",
            database.server().port()
        );
        let file = database.server().write_file(&format!("pgbouncer-{port}.ini"), configuration.as_bytes());
        let mut command = Command::new(PROGRAM);
        // PgBouncer refuses to run as root, so it then needs the name of another user.
        if is_root() {
            command.args(["--user", SUPERUSER]);
        }
        let child = command.arg("--quiet").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut bouncer = Self { child, port };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if bouncer.child.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(bouncer);
            }
            std::thread::yield_now();
        }
        None
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// The path to the program.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooled {
    fn of(database: Postgres) -> Self {
        Self { bouncer: Bouncer::start(&database), database }
    }
}

impl Backend for Pooled {
    type Store = PostgresStore;

    const NOT_INSTALLED: &'static str = "PostgreSQL or PgBouncer is not installed";

    const ERROR_RESPONSES: &'static [(&'static str, &'static str)] = Postgres::ERROR_RESPONSES;

    const SURVIVED_FAULTS: &'static [&'static str] = Postgres::SURVIVED_FAULTS;

    fn is_installed() -> bool {
        Postgres::is_installed() && Bouncer::is_installed()
    }

    fn start() -> Self {
        Self::of(Postgres::start())
    }

    fn start_durable() -> Self {
        Self::of(Postgres::start_durable())
    }

    fn port(&self) -> u16 {
        self.bouncer.port
    }

    fn address_through(&self, port: u16) -> String {
        self.database.address_through(port)
    }

    fn store(address: &str, timeout: Duration) -> PostgresStore {
        Postgres::store(address, timeout)
    }

    fn kill(&mut self) {
        self.database.kill();
    }

    fn start_again(&mut self) {
        self.database.start_again();
    }

    fn remove_leases(&self) {
        self.database.remove_leases();
    }

    fn has_leases(&self) -> bool {
        self.database.has_leases()
    }

    fn damage_record(&self, id: &ConsentId) {
        self.database.damage_record(id);
    }

    fn delete_record(&self, id: &ConsentId) {
        self.database.delete_record(id);
    }

    fn is_empty(&self) -> bool {
        self.database.is_empty()
    }
}

impl Protocol for Pooled {
    fn read_request(client: &mut BufReader<&TcpStream>, number: usize) -> Option<Request> {
        Postgres::read_request(client, number)
    }

    fn read_response(server: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
        Postgres::read_response(server)
    }

    fn error_response(error: &str) -> Vec<u8> {
        Postgres::error_response(error)
    }
}
