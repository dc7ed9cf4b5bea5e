//! A server that sends the same response to every request, at minimal cost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The number of requests that the server has received, and the time of its first response.
#[derive(Default)]
pub struct Seen {
    pub requests: AtomicU64,
    pub first_reply: Mutex<Option<Instant>>,
}

/// The token in every response.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJlbmQtdXNlci03In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";

/// The start of a request from azure_identity, which requires an additional field in the response.
const AZURE_REQUEST: &[u8] = b"POST /tenant/";

#[derive(Clone, Copy)]
pub struct Manner {
    pub status: u16,
    pub lifetime: u64,
    pub delay: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self { status: 200, lifetime: 1800, delay: Duration::ZERO }
    }
}

/// Starts the server on a new thread.
pub fn start(manner: Manner) -> anyhow::Result<(SocketAddr, Arc<Seen>)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let (address, seen) = (listener.local_addr()?, Arc::new(Seen::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn({
        let seen = Arc::clone(&seen);
        move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, manner, Arc::clone(&seen)));
                }
            })
        }
    });
    Ok((address, seen))
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: Arc<Seen>) {
    let _ = stream.set_nodelay(true);
    let replies = [reply(manner, ""), reply(manner, r#""ext_expires_in":1800,"#)];
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    while let Ok(more @ 1..) = stream.read(&mut buffer[length..]).await {
        length += more;
        if !is_whole(&buffer[..length]) {
            continue;
        }
        let [plain, azure] = &replies;
        let reply = if buffer.starts_with(AZURE_REQUEST) { azure } else { plain };
        length = 0;
        seen.requests.fetch_add(1, Ordering::Relaxed);
        if !manner.delay.is_zero() {
            tokio::time::sleep(manner.delay).await;
        }
        seen.first_reply.lock().unwrap().get_or_insert_with(Instant::now);
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Returns a response whose body starts with `fields`.
fn reply(manner: Manner, fields: &str) -> String {
    let body = format!(
        r#"{{{fields}"access_token":"{TOKEN}","token_type":"Bearer","expires_in":{},"HttpStatusCode":200,"Token":"{TOKEN}"}}"#,
        manner.lifetime
    );
    format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        manner.status,
        body.len()
    )
}

/// Returns whether a request is complete. Every contender sends `Content-Length` or no body.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    request.len() >= end + 4 + length
}

/// A server in another process. Dropping this value stops the process.
pub struct Child(std::process::Child);

impl Child {
    /// Starts the server in a new process. Returns the process and the URL of the server.
    pub fn start() -> anyhow::Result<(Self, String)> {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(output) = child.stdout.take() {
            std::io::BufReader::new(output).read_line(&mut url)?;
        }
        Ok((Self(child), url.trim().to_owned()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves until standard input is closed, which happens when the parent process exits.
pub fn serve_until_closed() -> anyhow::Result<()> {
    use std::io::Read as _;
    let (address, _) = start(Manner::default())?;
    println!("http://{address}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
