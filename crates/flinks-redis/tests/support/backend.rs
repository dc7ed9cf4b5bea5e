//! `redis-server` as a server for the tests in `flinks-store-tests`.

use std::io::BufReader;
use std::net::TcpStream;
use std::time::Duration;

use flinks_consents::ConsentId;
use flinks_redis::RedisStore;
use flinks_store_tests::{Backend, Protocol, Request};

use super::resp::{command, response};
use super::server::Server;

impl Backend for Server {
    type Store = RedisStore;

    const NOT_INSTALLED: &'static str = "redis-server is not installed";

    const ERROR_RESPONSES: &'static [(&'static str, &'static str)] = &[
        ("loading", "LOADING Redis is loading the dataset in memory"),
        ("readonly", "READONLY You can't write against a read only replica."),
        ("out_of_memory", "OOM command not allowed when used memory > 'maxmemory'."),
        ("disk_full", "MISCONF Errors writing to the AOF file: No space left on device"),
        ("cluster_down", "CLUSTERDOWN The cluster is down"),
        ("master_down", "MASTERDOWN Link with MASTER is down"),
    ];

    const SURVIVED_FAULTS: &'static [&'static str] = &[];

    fn is_installed() -> bool {
        Self::is_installed()
    }

    fn start() -> Self {
        Self::start(&[])
    }

    fn start_durable() -> Self {
        Self::start(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    fn port(&self) -> u16 {
        self.port()
    }

    fn address_through(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}")
    }

    fn store(address: &str, timeout: Duration) -> RedisStore {
        RedisStore::builder(address, flinks_store_tests::keys()).timeout(timeout).build().unwrap()
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn start_again(&mut self) {
        self.start_again();
    }

    fn remove_leases(&self) {
        self.remove_leases();
    }

    fn has_leases(&self) -> bool {
        self.keys().iter().any(|key| key.ends_with(":worker"))
    }

    fn damage_record(&self, id: &ConsentId) {
        self.set(&record_key(id), b"garbage");
    }

    /// The consent's deadline remains, because only the store removes it.
    fn delete_record(&self, id: &ConsentId) {
        self.command(&["DEL", &record_key(id)]);
    }

    /// If a consent moves to another owner, its old entry in the owner index remains for an hour.
    fn is_empty(&self) -> bool {
        self.keys().iter().all(|key| key.contains(":owner:"))
    }
}

/// Returns the Redis key that a store in the default namespace uses for a record.
pub(crate) fn record_key(id: &ConsentId) -> String {
    let name = flinks_store_tests::keys().hidden_name(id);
    format!("{{flinks:{:03}}}:{name}", name.shard())
}

impl Protocol for Server {
    fn read_request(client: &mut BufReader<&TcpStream>, _: usize) -> Option<Request> {
        let words = command(client)?;
        let is_about_a_record = match words.as_slice() {
            [name, key, ..] if name == b"GET" => !key.ends_with(b":names"),
            [name, _, _, key, ..] if name == b"EVALSHA" => !key.ends_with(b":worker"),
            _ => false,
        };
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in &words {
            bytes.extend([format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat());
        }
        Some(Request { bytes, is_about_a_record })
    }

    fn read_response(server: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        response(server, &mut bytes)?;
        Some(bytes)
    }

    fn error_response(error: &str) -> Vec<u8> {
        format!("-{error}\r\n").into_bytes()
    }
}
