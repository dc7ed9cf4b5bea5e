//! A fault-injecting proxy between a store and its Redis server.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::resp::{command, length};
use super::server::Server;

/// A proxy between a store and its Redis server that injects the faults scheduled by a test.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<ProxyState>,
}

struct ProxyState {
    server: AtomicU16,
    planned_fault: Mutex<Option<PlannedFault>>,
    holds_responses: AtomicBool,
    /// The index of the first connection that still receives responses.
    first_live_connection: AtomicUsize,
    connections: AtomicUsize,
}

/// A fault and the number of commands that the proxy forwards before it injects the fault.
struct PlannedFault {
    commands_before: usize,
    fault: Fault,
}

/// A fault that affects a single command.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The proxy closes the connection before the command reaches the server.
    CutBefore,
    /// The proxy closes the connection after the server has run the command.
    CutAfter,
    /// The proxy drops the response but keeps the connection open.
    Silence,
    /// The proxy responds with this error instead of forwarding the command.
    ErrorResponse(&'static str),
    /// The proxy runs this function and then closes the connection.
    Run(Arc<dyn Fn() + Send + Sync>),
}

impl Proxy {
    pub(crate) fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(ProxyState {
            server: AtomicU16::new(server.port()),
            planned_fault: Mutex::new(None),
            holds_responses: AtomicBool::new(false),
            first_live_connection: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || state.serve(&client.unwrap()));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Schedules a fault for a later command. `position` is the number of commands that the proxy
    /// forwards before it injects the fault. Only reads and scripts are counted, except the scripts
    /// for worker leases.
    pub(crate) fn inject(&self, position: usize, fault: Fault) {
        *self.shared.planned_fault.lock().unwrap() = Some(PlannedFault { commands_before: position, fault });
    }

    /// Returns whether the proxy has injected the scheduled fault.
    pub(crate) fn has_injected(&self) -> bool {
        self.shared.planned_fault.lock().unwrap().is_none()
    }

    /// Redirects new connections to another server.
    pub(crate) fn redirect_to(&self, server: &Server) {
        self.shared.server.store(server.port(), Ordering::SeqCst);
    }

    /// Sets whether the proxy holds back responses.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds_responses.store(holds, Ordering::SeqCst);
    }

    /// Stops sending responses on the current connections but keeps the connections open.
    pub(crate) fn silence_connections(&self) {
        let connections = self.shared.connections.load(Ordering::SeqCst);
        self.shared.first_live_connection.store(connections, Ordering::SeqCst);
    }
}

impl ProxyState {
    /// Forwards commands one by one. Returns when the connection is closed.
    fn serve(&self, client: &TcpStream) -> Option<()> {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        // Connecting fails if the server has stopped.
        let server = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::SeqCst))).ok()?;
        // Without this, Nagle's algorithm would delay consecutive small responses.
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let mut commands = BufReader::new(client);
        let mut responses = Responses { server: &server, rest: Vec::new() };
        let mut to_client = client;
        let mut to_server = &server;
        loop {
            let words = command(&mut commands)?;
            let fault = self.fault(&words);
            match &fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::Run(function)) => {
                    function();
                    return None;
                }
                Some(Fault::ErrorResponse(text)) => {
                    to_client.write_all(format!("-{text}\r\n").as_bytes()).ok()?;
                    continue;
                }
                Some(Fault::CutAfter | Fault::Silence) | None => {}
            }
            let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
            for word in &words {
                bytes.extend([format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat());
            }
            to_server.write_all(&bytes).ok()?;
            let response = responses.next()?;
            if let Some(Fault::CutAfter) = fault {
                return None;
            }
            while self.holds_responses.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            if fault.is_none() && number >= self.first_live_connection.load(Ordering::SeqCst) {
                to_client.write_all(&response).ok()?;
            }
        }
    }

    /// Returns the scheduled fault if it applies to this command.
    fn fault(&self, words: &[Vec<u8>]) -> Option<Fault> {
        let is_of_a_consent = match words {
            [name, key, ..] if name == b"GET" => !key.ends_with(b":names"),
            [name, _, _, key, ..] if name == b"EVALSHA" => !key.ends_with(b":worker"),
            _ => false,
        };
        if !is_of_a_consent {
            return None;
        }
        let mut planned = self.planned_fault.lock().unwrap();
        let fault = planned.as_mut()?;
        if fault.commands_before > 0 {
            fault.commands_before -= 1;
            return None;
        }
        planned.take().map(|planned| planned.fault)
    }
}

/// Reads the responses of the Redis server one by one.
struct Responses<'a> {
    server: &'a TcpStream,
    rest: Vec<u8>,
}

impl Responses<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = [0; 65_536];
        loop {
            if let Some(length) = length(&self.rest) {
                return Some(self.rest.drain(..length).collect());
            }
            let count = self.server.read(&mut bytes).ok().filter(|count| *count > 0)?;
            self.rest.extend_from_slice(&bytes[..count]);
        }
    }
}
