//! A fault-injecting proxy between a store and its server.

use std::io::{BufReader, Write as _};
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::backend::{Backend, Request};

/// A proxy between a store and its server that injects the faults scheduled by a test.
pub struct Proxy<B> {
    address: String,
    shared: Arc<ProxyState>,
    backend: PhantomData<fn() -> B>,
}

struct ProxyState {
    server: AtomicU16,
    planned_fault: Mutex<Option<PlannedFault>>,
    holds_responses: AtomicBool,
    /// The index of the first connection that still receives responses.
    first_live_connection: AtomicUsize,
    connections: AtomicUsize,
}

/// A fault and the number of requests that the proxy forwards before it injects the fault.
struct PlannedFault {
    requests_before: usize,
    fault: Fault,
}

/// A fault that affects a single request.
#[derive(Clone)]
pub enum Fault {
    /// The proxy closes the connection before the request reaches the server.
    CutBefore,
    /// The proxy closes the connection after the server has processed the request.
    CutAfter,
    /// The proxy drops the response but keeps the connection open.
    Silence,
    /// The proxy responds with this error instead of forwarding the request.
    ErrorResponse(&'static str),
    /// The proxy runs this function and then closes the connection.
    Run(Arc<dyn Fn() + Send + Sync>),
}

impl<B: Backend> Proxy<B> {
    /// Starts a proxy for a server.
    pub fn to(server: &B) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.address_through(listener.local_addr().unwrap().port());
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
                std::thread::spawn(move || state.serve::<B>(&client.unwrap()));
            }
        });
        Self { address, shared, backend: PhantomData }
    }

    /// Returns the address for a store that connects to the proxy.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Schedules a fault for a later request. `position` is the number of requests that the proxy
    /// forwards before it injects the fault. Only [requests about a
    /// record](Request::is_about_a_record) are counted.
    pub fn inject(&self, position: usize, fault: Fault) {
        *self.shared.planned_fault.lock().unwrap() = Some(PlannedFault { requests_before: position, fault });
    }

    /// Returns whether the proxy has injected the scheduled fault.
    pub fn has_injected(&self) -> bool {
        self.shared.planned_fault.lock().unwrap().is_none()
    }

    /// Redirects new connections to another server.
    pub fn redirect_to(&self, server: &B) {
        self.shared.server.store(server.port(), Ordering::SeqCst);
    }

    /// Sets whether the proxy holds back responses.
    pub fn hold(&self, holds: bool) {
        self.shared.holds_responses.store(holds, Ordering::SeqCst);
    }

    /// Stops sending responses on the current connections but keeps the connections open.
    pub fn silence_connections(&self) {
        let connections = self.shared.connections.load(Ordering::SeqCst);
        self.shared.first_live_connection.store(connections, Ordering::SeqCst);
    }
}

impl ProxyState {
    /// Forwards requests one by one. Returns when the connection is closed.
    fn serve<B: Backend>(&self, client: &TcpStream) -> Option<()> {
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        // Connecting fails if the server has stopped.
        let server = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::SeqCst))).ok()?;
        // Without this, Nagle's algorithm would delay consecutive small responses.
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let mut requests = BufReader::new(client);
        let mut responses = BufReader::new(&server);
        let mut to_client = client;
        let mut to_server = &server;
        for number in 0.. {
            let request = B::read_request(&mut requests, number)?;
            let fault = self.fault(&request);
            match &fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::Run(function)) => {
                    function();
                    return None;
                }
                Some(Fault::ErrorResponse(error)) => {
                    to_client.write_all(&B::error_response(error)).ok()?;
                    continue;
                }
                Some(Fault::CutAfter | Fault::Silence) | None => {}
            }
            to_server.write_all(&request.bytes).ok()?;
            let response = B::read_response(&mut responses)?;
            if let Some(Fault::CutAfter) = fault {
                return None;
            }
            while self.holds_responses.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            if fault.is_none() && connection >= self.first_live_connection.load(Ordering::SeqCst) {
                to_client.write_all(&response).ok()?;
            }
        }
        None
    }

    /// Returns the scheduled fault if it applies to this request.
    fn fault(&self, request: &Request) -> Option<Fault> {
        if !request.is_about_a_record {
            return None;
        }
        let mut planned = self.planned_fault.lock().unwrap();
        let fault = planned.as_mut()?;
        if fault.requests_before > 0 {
            fault.requests_before -= 1;
            return None;
        }
        planned.take().map(|planned| planned.fault)
    }
}
