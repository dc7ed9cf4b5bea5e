//! What stands between the machines of the fleet and their Redis: it counts commands, and holds the time still while an answer is
//! on its way, for that server lives in real time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::meter::Meter;
use crate::support::length;

#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    meter: Arc<Meter>,
    is_shut: AtomicBool,
    on_their_way: AtomicUsize,
    wakes: Notify,
}

impl Gate {
    /// To the server at `redis://HOST:PORT`.
    pub(crate) async fn to(server: &str, meter: Arc<Meter>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("redis://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            server: server.trim_start_matches("redis://").to_owned(),
            meter,
            is_shut: AtomicBool::new(false),
            on_their_way: AtomicUsize::new(0),
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

    /// From now on, connections end with their next command.
    pub(crate) fn shut(&self, is_shut: bool) {
        self.shared.is_shut.store(is_shut, Ordering::Relaxed);
    }
}

/// A runtime whose time is paused lets it jump to the next timer when it has nothing to do: so it has something to do.
async fn hold_time(shared: Arc<Shared>) {
    loop {
        shared.wakes.notified().await;
        while shared.on_their_way.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    if shared.is_shut.load(Ordering::Relaxed) {
        return Ok(());
    }
    // Held from before it is asked.
    shared.on_their_way.fetch_add(1, Ordering::Relaxed);
    shared.wakes.notify_one();
    let server = TcpStream::connect(&shared.server).await;
    shared.on_their_way.fetch_sub(1, Ordering::Relaxed);
    let server = server?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let open = AtomicUsize::new(0);
    let asked = |count: usize| {
        if shared.is_shut.load(Ordering::Relaxed) {
            return false;
        }
        (0..count).for_each(|_| shared.meter.count());
        open.fetch_add(count, Ordering::Relaxed);
        shared.on_their_way.fetch_add(count, Ordering::Relaxed);
        shared.wakes.notify_one();
        true
    };
    let answered = |count: usize| {
        open.fetch_sub(count, Ordering::Relaxed);
        shared.on_their_way.fetch_sub(count, Ordering::Relaxed);
    };
    tokio::select! {
        _ = pump(from_client, to_server, asked, |_| {}) => {}
        _ = pump(from_server, to_client, |_| true, answered) => {}
    }
    // These never get one.
    shared.on_their_way.fetch_sub(open.into_inner(), Ordering::Relaxed);
    Ok(())
}

/// Carries bytes, and tells how many values they end, before and after they are sent on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    before: impl Fn(usize) -> bool,
    after: impl Fn(usize),
) -> io::Result<()> {
    let (mut bytes, mut rest) = (vec![0; 65_536], Vec::new());
    loop {
        let count = from.read(&mut bytes).await?;
        let Some(read) = bytes.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
        rest.extend_from_slice(read);
        let mut values = 0;
        let mut done = 0;
        while let Some(length) = rest.get(done..).and_then(length) {
            (values, done) = (values + 1, done + length);
        }
        rest.drain(..done);
        if !before(values) {
            return Ok(());
        }
        to.write_all(read).await?;
        after(values);
    }
}
