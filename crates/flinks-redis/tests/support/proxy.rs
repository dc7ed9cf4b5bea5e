//! A proxy between a store and its server, which injects faults.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::resp::{command, length};
use super::server::Server;

/// Something between a store and its server that does to commands what a test says.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Between>,
}

struct Between {
    server: AtomicU16,
    plan: Mutex<Option<(usize, Fault)>>,
    holds: AtomicBool,
    /// Connections with a smaller number get no more replies.
    forgotten: AtomicUsize,
    connections: AtomicUsize,
}

/// A fault that happens to a command.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection ends before the command arrives.
    CutBefore,
    /// The connection ends instead of the reply.
    CutAfter,
    /// The reply does not come, and the connection stays.
    Silence,
    /// It does not arrive, and this is the reply.
    Answer(&'static str),
    /// This is done to the server, and the connection ends.
    Do(Arc<dyn Fn() + Send + Sync>),
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

    /// Of the reads and the scripts that come from now on, without those of leases, that with this number meets a fault.
    pub(crate) fn at(&self, number: usize, fault: Fault) {
        *self.shared.plan.lock().unwrap() = Some((number, fault));
    }

    /// Whether it met one.
    pub(crate) fn is_done(&self) -> bool {
        self.shared.plan.lock().unwrap().is_none()
    }

    /// From now on, connections go elsewhere.
    pub(crate) fn switch_to(&self, server: &Server) {
        self.shared.server.store(server.port(), Ordering::SeqCst);
    }

    /// Keeps replies to itself, until it no longer does.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// The connections that there are stay open, and get no more replies.
    pub(crate) fn forget_connections(&self) {
        self.shared.forgotten.store(self.shared.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Between {
    /// One command after the other. The end of it is the end of the connection.
    fn serve(&self, client: &TcpStream) -> Option<()> {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        // The server may have gone.
        let server = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::SeqCst))).ok()?;
        // Several small replies in a row would wait for each other.
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let (mut commands, mut replies) = (BufReader::new(client), Replies { server: &server, rest: Vec::new() });
        let (mut to_client, mut to_server) = (client, &server);
        loop {
            let words = command(&mut commands)?;
            let fault = self.fault(&words);
            match &fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::Do(act)) => {
                    act();
                    return None;
                }
                Some(Fault::Answer(text)) => {
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
