//! A proxy between the simulated machines and their Redis server.
//!
//! The proxy counts the commands and prevents virtual time from advancing while a response is
//! outstanding, because the Redis server runs in real time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::meter::Meter;
use crate::support::length;

/// A proxy to a Redis server.
#[derive(Clone)]
pub(crate) struct Gate {
    /// The proxy's URL.
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    meter: Arc<Meter>,
    is_blocked: AtomicBool,
    /// The number of commands whose responses are outstanding.
    in_flight: AtomicUsize,
    /// Wakes [`hold_time`].
    wakes: Notify,
}

impl Gate {
    /// Starts a proxy to the server at `redis://HOST:PORT`.
    pub(crate) async fn to(server: &str, meter: Arc<Meter>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("redis://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            server: server.trim_start_matches("redis://").to_owned(),
            meter,
            is_blocked: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            wakes: Notify::new(),
        });
        tokio::spawn(hold_time(Arc::clone(&shared)));
        let gate = Self { address, shared };
        tokio::spawn({
            let gate = gate.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, Arc::clone(&gate.shared)));
                }
            }
        });
        Ok(gate)
    }

    /// Blocks or unblocks the proxy. A blocked proxy closes a connection when the next command
    /// arrives on it.
    pub(crate) fn set_blocked(&self, is_blocked: bool) {
        self.shared.is_blocked.store(is_blocked, Ordering::Relaxed);
    }
}

/// Keeps the runtime busy while responses are outstanding, because a runtime with paused time
/// advances to the next timer whenever it is idle.
async fn hold_time(shared: Arc<Shared>) {
    loop {
        shared.wakes.notified().await;
        while shared.in_flight.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    if shared.is_blocked.load(Ordering::Relaxed) {
        return Ok(());
    }
    // Virtual time does not advance while the proxy connects to the server.
    shared.in_flight.fetch_add(1, Ordering::Relaxed);
    shared.wakes.notify_one();
    let server = TcpStream::connect(&shared.server).await;
    shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    let server = server?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let unanswered = AtomicUsize::new(0);
    let on_commands = |count: usize| {
        if shared.is_blocked.load(Ordering::Relaxed) {
            return false;
        }
        (0..count).for_each(|_| shared.meter.count());
        unanswered.fetch_add(count, Ordering::Relaxed);
        shared.in_flight.fetch_add(count, Ordering::Relaxed);
        shared.wakes.notify_one();
        true
    };
    let on_responses = |count: usize| {
        unanswered.fetch_sub(count, Ordering::Relaxed);
        shared.in_flight.fetch_sub(count, Ordering::Relaxed);
    };
    tokio::select! {
        _ = forward(from_client, to_server, on_commands, |_| {}) => {}
        _ = forward(from_server, to_client, |_| true, on_responses) => {}
    }
    // The remaining commands will never receive a response.
    shared.in_flight.fetch_sub(unanswered.into_inner(), Ordering::Relaxed);
    Ok(())
}

/// Forwards bytes as they arrive. For each read, counts the RESP values that the read completes.
/// Passes this count to `before`, sends the bytes, and then passes the count to `after`. Stops if
/// `before` returns `false`.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    before: impl Fn(usize) -> bool,
    after: impl Fn(usize),
) -> io::Result<()> {
    let mut bytes = vec![0; 65_536];
    let mut rest = Vec::new();
    loop {
        let count = from.read(&mut bytes).await?;
        let Some(read) = bytes.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
        rest.extend_from_slice(read);
        let mut values = 0;
        let mut done = 0;
        while let Some(length) = rest.get(done..).and_then(length) {
            values += 1;
            done += length;
        }
        rest.drain(..done);
        if !before(values) {
            return Ok(());
        }
        to.write_all(read).await?;
        after(values);
    }
}
