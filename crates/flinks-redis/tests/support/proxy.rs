//! A proxy between a store and its server, which injects faults.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::resp::{command, length};
use super::server::Server;

/// A proxy between a store and its server that injects the faults of a test.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Between>,
}

struct Between {
    server: AtomicU16,
    plan: Mutex<Option<(usize, Fault)>>,
    holds: AtomicBool,
    /// Connections with a smaller number receive no more responses.
    forgotten: AtomicUsize,
    connections: AtomicUsize,
}

/// The fault of a command.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection is closed before the command reaches the server.
    CutBefore,
    /// The connection is closed after the server has run the command.
    CutAfter,
    /// The response is dropped, and the connection stays open.
    Silence,
    /// The command does not reach the server, and this is the response.
    ErrorResponse(&'static str),
    /// The function runs, and then the connection is closed.
    Run(Arc<dyn Fn() + Send + Sync>),
}

impl Proxy {
    pub(crate) fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Between {
            server: AtomicU16::new(server.port()),
            plan: Mutex::new(None),
            holds: AtomicBool::new(false),
            forgotten: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let between = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let between = Arc::clone(&between);
                std::thread::spawn(move || between.serve(&client.unwrap()));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Injects a fault into a command: the one with this number among the reads and scripts that follow,
    /// not counting those of worker leases.
    pub(crate) fn inject(&self, number: usize, fault: Fault) {
        *self.shared.plan.lock().unwrap() = Some((number, fault));
    }

    /// Returns whether the fault was injected.
    pub(crate) fn has_injected(&self) -> bool {
        self.shared.plan.lock().unwrap().is_none()
    }

    /// Sends new connections to another server.
    pub(crate) fn redirect_to(&self, server: &Server) {
        self.shared.server.store(server.port(), Ordering::SeqCst);
    }

    /// Sets whether responses are held back.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// Keeps the current connections open, but sends no more responses to them.
    pub(crate) fn silence_connections(&self) {
        self.shared.forgotten.store(self.shared.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Between {
    /// Forwards commands one by one. Returns when the connection is closed.
    fn serve(&self, client: &TcpStream) -> Option<()> {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        // The server may have stopped.
        let server = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::SeqCst))).ok()?;
        // Without this, several small responses in a row would delay each other.
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let mut commands = BufReader::new(client);
        let mut replies = Replies { server: &server, rest: Vec::new() };
        let mut to_client = client;
        let mut to_server = &server;
        loop {
            let words = command(&mut commands)?;
            let fault = self.fault(&words);
            match &fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::Run(act)) => {
                    act();
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
            let reply = replies.next()?;
            if let Some(Fault::CutAfter) = fault {
                return None;
            }
            while self.holds.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            if fault.is_none() && number >= self.forgotten.load(Ordering::SeqCst) {
                to_client.write_all(&reply).ok()?;
            }
        }
    }

    fn fault(&self, words: &[Vec<u8>]) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        let is_of_a_consent = match words {
            [name, key, ..] if name == b"GET" => !key.ends_with(b":names"),
            [name, _, _, key, ..] if name == b"EVALSHA" => !key.ends_with(b":worker"),
            _ => false,
        };
        let (number, _) = plan.as_mut().filter(|_| is_of_a_consent)?;
        match number.checked_sub(1) {
            Some(fewer) => {
                *number = fewer;
                None
            }
            None => plan.take().map(|(_, fault)| fault),
        }
    }
}

struct Replies<'a> {
    server: &'a TcpStream,
    rest: Vec<u8>,
}

impl Replies<'_> {
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
