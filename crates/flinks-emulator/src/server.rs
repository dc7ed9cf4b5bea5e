//! The sockets. This module reads a request into a [`Call`], applies any fault scheduled for it and
//! writes the response. Flinks' rules are in the `rules` module.
//!
//! hyper parses requests and writes ordinary responses. A fault bypasses hyper and writes directly
//! to the [`Wire`], which hyper uses through [`SharedWire`]. The service then returns
//! [`ConnectionClosed`], so that hyper writes nothing more.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::access;
use crate::control;
use crate::dashboard;
use crate::fault::{Fault, Release};
use crate::http::{Body, Call, Reply};
use crate::ledger::Request;
use crate::observer::Completion;
use crate::pages::ASSETS;
use crate::route::{Route, route};
use crate::rules;
use crate::shared::Shared;
use crate::start::{self, Viewer};
use crate::state::EmulatorState;
use crate::wire::{SharedWire, Wire};

/// The server thread, which accepts connections and serves them. Dropping a `Server` closes the
/// connections and stops the thread.
pub(crate) struct Server {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    /// A channel that closes when the thread has closed every connection.
    ended: oneshot::Receiver<()>,
}

impl Server {
    pub(crate) fn start(listener: &std::net::TcpListener, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::clone(shared);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("flinks-emulator".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, shared, stopped));
            drop(end);
        })?;
        Ok(Self { thread: Some(thread), stop: Some(stop), ended })
    }

    /// Closes every connection, and returns once all are closed.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent on this channel. When the thread drops its end, the result is an
        // error.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread stops promptly, because `serve` aborts the connections.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(connection(stream, peer, shared));
            }
            // The process may be out of file descriptors. Try again later, when some of them may
            // have been closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let wire = match shared.transport.accept(stream).await {
        Ok(wire) => Arc::new(wire),
        Err(error) => {
            tracing::info!(error = %error, "TLS handshake failed");
            return;
        }
    };
    let service = {
        let wire = Arc::clone(&wire);
        service_fn(move |request| respond(Arc::clone(&shared), Arc::clone(&wire), peer, request))
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(MAX_HEAD);
    // An error means that a client or a fault broke this connection. The error does not affect
    // other connections.
    let _ = http.serve_connection(TokioIo::new(SharedWire(wire)), service).await;
}

/// An error that makes hyper close the connection without writing anything else.
#[derive(Debug)]
struct ConnectionClosed;

impl std::fmt::Display for ConnectionClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was closed")
    }
}

impl std::error::Error for ConnectionClosed {}

/// The maximum sizes of a request's head and body, in bytes. Requests to Flinks are much smaller.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024;

async fn respond(
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, ConnectionClosed> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some((_, media_type, text)) = ASSETS.iter().find(|(asset, ..)| *asset == path && head.method == Method::GET)
    {
        let reply = Reply { body: Bytes::from_static(text.as_bytes()), ..Reply::empty(StatusCode::OK) };
        return Ok(reply.with(header::CONTENT_TYPE, media_type).into_hyper());
    }
    let (body, body_end) = read_body(body).await;
    if path.strip_prefix(control::PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return match body_end {
            BodyEnd::Complete if dashboard::owns(path) => Ok(dashboard::respond(&shared, peer, &head, &body)),
            BodyEnd::Complete => {
                let reply = control::respond(&shared, peer, &head, &body).await;
                shared.observer.announce_change();
                Ok(reply.into_hyper())
            }
            BodyEnd::TooLarge => Ok(body_too_large().into_hyper()),
            BodyEnd::Broken => Err(ConnectionClosed),
        };
    }

    let mut reset = shared.on_reset();
    tokio::select! {
        outcome = respond_by_rules(&shared, &wire, peer, head, body, body_end) => outcome,
        // A request that arrived before a reset must not change the state after the reset.
        _ = reset.changed() => Err(ConnectionClosed),
    }
}

async fn respond_by_rules(
    shared: &Shared,
    wire: &Wire,
    peer: SocketAddr,
    head: hyper::http::request::Parts,
    body: Bytes,
    body_end: BodyEnd,
) -> Result<hyper::Response<Body>, ConnectionClosed> {
    let route = route(&head.method, &head.uri);
    let Arrival { number, at, resets, fault, mut release } =
        record_arrival(shared, wire, &head, &body, &body_end, &route);
    let outcome = OutcomeRecorder { shared, number, fault: fault.as_ref(), started: Instant::now() };
    match body_end {
        BodyEnd::Complete => {}
        BodyEnd::TooLarge => return Ok(outcome.finish(body_too_large())),
        BodyEnd::Broken => {
            outcome.record(None, None);
            return Err(ConnectionClosed);
        }
    }
    let (operation, parameters) = match route {
        Route::Operation(operation, parameters) => (operation, parameters),
        Route::Start => {
            let viewer = Viewer::from_request(&head, shared.transport.scheme(), access::is_local(peer, &head));
            let reply = start::page(&shared.state().config, head.uri.query().unwrap_or_default(), &viewer);
            return Ok(outcome.finish(reply));
        }
        Route::IframeDemo => {
            let viewer = Viewer::from_request(&head, shared.transport.scheme(), access::is_local(peer, &head));
            let reply = start::iframe_demo(&mut shared.state(), number, &viewer);
            return Ok(outcome.finish(reply));
        }
        Route::WrongMethod(allowed) => {
            let reply = Reply::problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not support the request's method. The Allow header lists the supported methods.",
            );
            return Ok(outcome.finish(reply.with(header::ALLOW, &allowed)));
        }
        Route::NotFound => {
            return Ok(
                outcome.finish(Reply::problem(StatusCode::NOT_FOUND, "The emulator has no endpoint at this path."))
            );
        }
    };

    if let Some(fault) = &fault
        && let ControlFlow::Break(status) = fault.before(wire, &mut release).await
    {
        outcome.record(status, None);
        return Err(ConnectionClosed);
    }
    let mut parameters = parameters.into_iter();
    let call = Call {
        number,
        parameter: parameters.next().unwrap_or_default(),
        second_parameter: parameters.next().unwrap_or_default(),
        path: head.uri.path().to_owned(),
        scheme: shared.transport.scheme(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body,
    };
    let reply = {
        let mut state = shared.state();
        if state.resets != resets {
            return Err(ConnectionClosed);
        }
        rules::process(&mut state, operation, &call, fault.as_ref())
    };
    if !reply.wait.is_zero() {
        shared.wait_until(at.saturating_add(reply.wait)).await;
    }
    if let Some(fault) = &fault
        && let ControlFlow::Break(status) = fault.after(wire, &mut release, &reply).await
    {
        outcome.record(status, None);
        return Err(ConnectionClosed);
    }
    Ok(outcome.finish(reply))
}

/// The outcome of reading a body.
enum BodyEnd {
    Complete,
    /// The body is larger than [`MAX_BODY`]. The rest was not read.
    TooLarge,
    /// The client disconnected or sent invalid HTTP.
    Broken,
}

/// Reads at most [`MAX_BODY`] bytes of a body. Returns the part that was read.
async fn read_body(mut body: Incoming) -> (Bytes, BodyEnd) {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if bytes.len().saturating_add(data.len()) > MAX_BODY => {
                return (bytes.freeze(), BodyEnd::TooLarge);
            }
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            // No endpoint uses trailers.
            Ok(Err(_)) => {}
            Err(_) => return (bytes.freeze(), BodyEnd::Broken),
        }
    }
    (bytes.freeze(), BodyEnd::Complete)
}

fn body_too_large() -> Reply {
    let reply = Reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB.");
    // The rest of the body is not read, so the connection cannot be reused.
    reply.with(header::CONNECTION, "close")
}

/// A request that is in the ledger but has not been processed yet.
struct Arrival {
    number: u64,
    at: Duration,
    /// The number of resets that happened before this request arrived.
    resets: u64,
    fault: Option<Fault>,
    /// Receives a notification if `Emulator::release` is called after this request has arrived.
    release: Release,
}

/// Adds a request to the ledger and takes the next fault scheduled for its operation.
fn record_arrival(
    shared: &Shared,
    wire: &Wire,
    head: &hyper::http::request::Parts,
    body: &Bytes,
    body_end: &BodyEnd,
    route: &Route,
) -> Arrival {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let operation = match route {
        Route::Operation(operation, _) => Some(*operation),
        Route::Start | Route::IframeDemo | Route::WrongMethod(_) | Route::NotFound => None,
    };
    let mut state = shared.state();
    let is_clock_changed = state.apply_due_steps();
    let is_complete = matches!(body_end, BodyEnd::Complete);
    let fault = match operation {
        Some(operation) if is_complete => state.faults.next(operation),
        _ => None,
    };
    let at = state.now();
    let mut request = Request {
        number: 0,
        at,
        operation,
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.clone(),
        complete: is_complete,
        client_certificate: wire.has_client_certificate(),
        processed: false,
        status: None,
        fault: fault.clone(),
    };
    shared.observer.arrived(&state, &mut request);
    let EmulatorState { ledger, config, .. } = &mut *state;
    let number = ledger.add_request(request, &config.limits);
    let arrival = Arrival { number, at, resets: state.resets, fault, release: shared.on_release() };
    drop(state);
    if is_clock_changed {
        shared.announce_clock_change();
    }
    shared.announce_arrival();
    shared.observer.announce_change();
    arrival
}

/// Records the outcome of a request in the ledger and in the log. The log line contains the
/// request's number, operation, fault and status, but no other values from the request or the
/// response.
struct OutcomeRecorder<'a> {
    shared: &'a Shared,
    number: u64,
    fault: Option<&'a Fault>,
    started: Instant,
}

impl OutcomeRecorder<'_> {
    fn finish(&self, reply: Reply) -> hyper::Response<Body> {
        self.record(Some(reply.status.as_u16()), Some(&reply));
        reply.into_hyper()
    }

    fn record(&self, status: Option<u16>, reply: Option<&Reply>) {
        let mut state = self.shared.state();
        let request = state.ledger.request_mut(self.number);
        let operation = request.as_ref().and_then(|request| request.operation);
        if let Some(request) = request {
            request.status = status;
        }
        self.shared.observer.completed(&state, &Completion { number: self.number, started: self.started, reply });
        let is_clock_changed = operation.is_some_and(|operation| state.complete_request(operation));
        drop(state);
        self.shared.observer.announce_change();
        if is_clock_changed {
            self.shared.announce_clock_change();
        }
        let operation = operation.map_or_else(|| "unknown".to_owned(), |operation| operation.to_string());
        let fault = self.fault.map(Fault::kind);
        tracing::info!(number = self.number, operation, status, fault, "request");
    }
}
