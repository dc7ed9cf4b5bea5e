//! A `redis-server` process.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// A `redis-server` process for one test. Dropping this value kills the process.
pub(crate) struct Server {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn is_installed() -> bool {
        static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| {
            let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        });
        *IS_INSTALLED
    }

    /// Starts a server that also accepts TLS connections.
    pub(crate) fn start_with_tls(arguments: &[&str]) -> Self {
        // A cluster node also listens on this port plus 10,000.
        let port = (0..).map(|_| free_port()).find(|port| *port < 55_536).unwrap();
        Self::start(&[&["--tls-port", &port.to_string()], arguments].concat())
    }

    pub(crate) fn tls_address(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.arguments[1])
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "--cluster-enabled")
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // If another process takes the port first, the next attempt uses another port.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &arguments, &folder) {
                return Self { child, port, arguments, folder };
            }
        }
        panic!("redis-server did not start");
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        // Retries because another process may be using the port briefly.
        let started = (0..100).find_map(|_| spawn(self.port, &self.arguments, &self.folder));
        self.child = started.unwrap();
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.address()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec(&mut self.connection()).unwrap();
    }

    /// Runs a command and returns its response.
    pub(crate) fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection()).unwrap()
    }

    pub(crate) fn info(&self) -> String {
        redis::cmd("INFO").arg("errorstats").query(&mut self.connection()).unwrap()
    }

    /// Returns the server's memory usage in bytes.
    pub(crate) fn used_memory(&self) -> u64 {
        let info: String = redis::cmd("INFO").arg("memory").query(&mut self.connection()).unwrap();
        info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap()
    }

    pub(crate) fn command_as(&self, password: &str, words: &[&str]) {
        let address = self.address().replace("redis://", &format!("redis://:{password}@"));
        let mut connection = redis::Client::open(address).unwrap().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec(&mut connection).unwrap();
    }

    /// Returns all Redis keys except the key that stores the fingerprint of the name key.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection()).unwrap();
        keys.retain(|key| !key.ends_with(":names"));
        keys.sort();
        keys
    }

    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        redis::cmd("GET").arg(key).query(&mut self.connection()).unwrap()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) {
        self.set_bytes(key.as_bytes(), value);
    }

    pub(crate) fn set_bytes(&self, key: &[u8], value: &[u8]) {
        redis::cmd("SET").arg(key).arg(value).exec(&mut self.connection()).unwrap();
    }

    /// Removes the leases of all workers, as if the leases had expired.
    pub(crate) fn remove_leases(&self) {
        for lease in self.keys().into_iter().filter(|key| key.ends_with(":worker")) {
            self.command(&["DEL", &lease]);
        }
    }

    /// Returns the number of stored deadlines.
    pub(crate) fn deadlines(&self) -> usize {
        let sets = self.keys().into_iter().filter(|key| key.ends_with(":due"));
        sets.map(|key| redis::cmd("ZCARD").arg(key).query::<usize>(&mut self.connection()).unwrap()).sum()
    }

    /// Returns all keys with their values.
    pub(crate) fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let dump = |key: String| {
            let mut connection = self.connection();
            let value = redis::cmd("GET").arg(&key).query(&mut connection).unwrap_or_else(|_| {
                let members: Vec<String> =
                    redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(&mut connection).unwrap();
                members.join(" ").into_bytes()
            });
            (key, value)
        };
        self.keys().into_iter().map(dump).collect()
    }

    /// Turns this server into a single-node cluster.
    pub(crate) fn own_all_slots(&self) {
        join(std::slice::from_ref(self));
    }
}

/// Forms a cluster from empty servers and waits until each node knows all other nodes.
pub(crate) fn join(servers: &[Server]) {
    let slots_per_server = 16_384 / servers.len() + 1;
    for (number, server) in servers.iter().enumerate() {
        let first = number * slots_per_server;
        let last = ((number + 1) * slots_per_server).min(16_384) - 1;
        server.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
    }
    for other in &servers[1..] {
        servers[0].command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
    }
    let nodes = format!("cluster_known_nodes:{}\r", servers.len());
    let start = std::time::Instant::now();
    for server in servers {
        loop {
            assert!(start.elapsed() < Duration::from_secs(40), "the servers did not form a cluster");
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut server.connection()).unwrap();
            if ["cluster_state:ok", "cluster_slots_assigned:16384", &nodes].iter().all(|line| info.contains(line)) {
                break;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts `redis-server` and waits until it is ready. Returns `None` if the server exits before it
/// is ready.
fn spawn(port: u16, arguments: &[String], folder: &tempfile::TempDir) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder.path());
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
    if is_ready {
        return Some(child);
    }
    child.wait().unwrap();
    None
}
