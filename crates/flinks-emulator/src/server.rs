//! Sockets: from bytes to a [`Call`] and back, and the faults in between. No rule of Flinks is here.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::control;
use crate::fault::{Fault, Release};
use crate::http::{Call, Reply};
use crate::ledger::Request;
use crate::pages::ASSETS;
use crate::route::{Route, route};
use crate::rules;
use crate::shared::Shared;
use crate::start::{self, Reader};
use crate::state::EmulatorState;

/// A thread that accepts connections and holds them. Dropping this ends them and it.
pub(crate) struct Server {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
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

    /// Ends every connection, and returns when they have ended.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: the other side goes.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It is over in a moment: no connection can hold it up.
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
            // Out of file descriptors, perhaps: some will come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let wire = Arc::new(stream);
    let service = {
        let wire = Arc::clone(&wire);
        service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&wire), peer, request))
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(MAX_HEAD);
    // An error is what a client or a fault did to the connection, and ends nothing else.
    let _ = http.serve_connection(TokioIo::new(Wire(wire)), service).await;
}

/// The connection is over, and the HTTP library must write nothing more.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is over")
    }
}

impl std::error::Error for Broken {}

/// Bytes of a request's head, and of its body. No request of Flinks comes near either.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024;

async fn answer(
    shared: Arc<Shared>,
    wire: Arc<TcpStream>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Broken> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some((_, media_type, text)) = ASSETS.iter().find(|(asset, ..)| *asset == path && head.method == Method::GET)
    {
        let reply = Reply { body: Bytes::from_static(text.as_bytes()), ..Reply::empty(StatusCode::OK) };
        return Ok(reply.with(header::CONTENT_TYPE, media_type).into_hyper());
    }
    let (body, end) = read(body).await;
    if path.strip_prefix(control::PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return match end {
            End::Complete => Ok(control::answer(&shared, peer, &head, &body).await.into_hyper()),
            End::TooLarge => Ok(too_large().into_hyper()),
            End::Broken => Err(Broken),
        };
    }

    let mut reset = shared.on_reset();
    tokio::select! {
        outcome = answer_by_rules(&shared, &wire, peer, head, body, end) => outcome,
        // A request of before a reset leaves no trace after it.
        _ = reset.changed() => Err(Broken),
    }
}

async fn answer_by_rules(
    shared: &Shared,
    wire: &TcpStream,
    peer: SocketAddr,
    head: hyper::http::request::Parts,
    body: Bytes,
    end: End,
) -> Result<hyper::Response<Full<Bytes>>, Broken> {
    let route = route(&head.method, &head.uri);
    let Arrival { number, resets, fault, mut release } = receive(shared, &head, &body, &end, &route);
    let outcome = Finished { shared, number, fault: fault.as_ref() };
    match end {
        End::Complete => {}
        End::TooLarge => return Ok(outcome.finish(too_large())),
        End::Broken => {
            outcome.record(None);
            return Err(Broken);
        }
    }
    let (operation, parameter) = match route {
        Route::Operation(operation, parameter) => (operation, parameter.unwrap_or_default()),
        Route::Start => {
            let reader = Reader::of(&head, control::is_local(peer, &head));
            let reply = start::page(&shared.state().config, head.uri.query().unwrap_or_default(), &reader);
            return Ok(outcome.finish(reply));
        }
        Route::IframeDemo => {
            let reader = Reader::of(&head, control::is_local(peer, &head));
            let reply = start::iframe_demo(&mut shared.state(), number, &reader);
            return Ok(outcome.finish(reply));
        }
        Route::WrongMethod(allowed) => {
            let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "The path has another method: see Allow.");
            return Ok(outcome.finish(reply.with(header::ALLOW, &allowed)));
        }
        Route::NotFound => {
            return Ok(outcome.finish(Reply::problem(StatusCode::NOT_FOUND, "The emulator has no such path.")));
        }
    };

    if let Some(fault) = &fault
        && let ControlFlow::Break(status) = fault.before(wire, &mut release).await
    {
        outcome.record(status);
        return Err(Broken);
    }
    let call = Call {
        number,
        parameter,
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body,
    };
    let reply = {
        let mut state = shared.state();
        if state.resets != resets {
            return Err(Broken);
        }
        rules::process(&mut state, operation, &call, fault.as_ref())
    };
    if let Some(fault) = &fault
        && let ControlFlow::Break(status) = fault.after(wire, &mut release, &reply).await
    {
        outcome.record(status);
        return Err(Broken);
    }
    Ok(outcome.finish(reply))
}

/// How a body ended.
enum End {
    Complete,
    TooLarge,
    /// The client has gone, or sends what is not HTTP.
    Broken,
}

/// Reads a body, as far as it comes and is wanted.
async fn read(mut body: Incoming) -> (Bytes, End) {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if bytes.len().saturating_add(data.len()) > MAX_BODY => {
                return (bytes.freeze(), End::TooLarge);
            }
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            // Trailers: no endpoint has a use for them.
            Ok(Err(_)) => {}
            Err(_) => return (bytes.freeze(), End::Broken),
        }
    }
    (bytes.freeze(), End::Complete)
}

fn too_large() -> Reply {
    let reply = Reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB.");
    // The rest of it is not read.
    reply.with(header::CONNECTION, "close")
}

/// A request that was written down.
struct Arrival {
    number: u64,
    /// How often everything had been forgotten.
    resets: u64,
    fault: Option<Fault>,
    /// What is released from its arrival on is released for it.
    release: Release,
}

/// Writes a request down, and sees which fault it meets.
fn receive(shared: &Shared, head: &hyper::http::request::Parts, body: &Bytes, end: &End, route: &Route) -> Arrival {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let operation = match route {
        Route::Operation(operation, _) => Some(*operation),
        Route::Start | Route::IframeDemo | Route::WrongMethod(_) | Route::NotFound => None,
    };
    let mut state = shared.state();
    let is_complete = matches!(end, End::Complete);
    let fault = match operation {
        Some(operation) if is_complete => state.faults.next(operation),
        _ => None,
    };
    let request = Request {
        number: 0,
        at: state.now(),
        operation,
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.clone(),
        complete: is_complete,
        processed: false,
        status: None,
        fault: fault.clone(),
    };
    let EmulatorState { ledger, config, .. } = &mut *state;
    let number = ledger.receive(request, &config.limits);
    let arrival = Arrival { number, resets: state.resets, fault, release: shared.on_release() };
    drop(state);
    shared.announce_arrival();
    arrival
}

/// Writes down what became of a request, and logs it: which operation, which fault, which status, and no value.
struct Finished<'a> {
    shared: &'a Shared,
    number: u64,
    fault: Option<&'a Fault>,
}

impl Finished<'_> {
    fn finish(&self, reply: Reply) -> hyper::Response<Full<Bytes>> {
        self.record(Some(reply.status.as_u16()));
        reply.into_hyper()
    }

    fn record(&self, status: Option<u16>) {
        let mut state = self.shared.state();
        let request = state.ledger.request_mut(self.number);
        let operation = request.as_ref().and_then(|request| request.operation);
        if let Some(request) = request {
            request.status = status;
        }
        drop(state);
        let operation = operation.map_or_else(|| "unknown".to_owned(), |operation| operation.to_string());
        let fault = self.fault.map(Fault::kind);
        tracing::info!(number = self.number, operation, status, fault, "request");
    }
}

/// A socket that the HTTP library and a fault have in common. Only one of them uses it at a time.
struct Wire(Arc<TcpStream>);

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The last owner closes the socket.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
