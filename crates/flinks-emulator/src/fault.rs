//! What can go wrong on demand. What the wire does is done on the socket itself, past the HTTP library, so that a client
//! meets what a broken server or network would send.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http::Reply;
use crate::operation::Operation;

/// A fault for one operation: see [`Emulator::fail_next`](crate::Emulator::fail_next).
///
/// As JSON, for the control API, it is an object whose `kind` is the name in snake case:
/// `{"kind": "delay", "when": "before", "milliseconds": 50}`. `Debug` shows the kind only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// This answer, byte for byte, and nothing processed. Where no header says so, `Content-Length` and, for a body,
    /// `Content-Type: application/json` are added. Nothing is checked: a header may hold what no header may hold.
    Reply {
        /// The status.
        status: u16,
        /// The headers, in this order.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// A redirect, and nothing processed (A2).
    Redirect {
        /// The status, such as 307.
        status: u16,
        /// Where to.
        location: String,
    },
    /// A wait, in real time: the emulator's clock does not shorten it.
    Delay {
        /// Before or after the request is processed.
        when: When,
        /// How long.
        milliseconds: u64,
    },
    /// A wait until [`Emulator::release`](crate::Emulator::release): for tests that do not trust timing.
    Hold {
        /// Before or after the request is processed.
        when: When,
    },
    /// The connection ends (FIN) without an answer.
    Drop {
        /// Before or after the request is processed.
        when: When,
    },
    /// The connection is reset (RST) without an answer.
    Reset {
        /// Before or after the request is processed.
        when: When,
    },
    /// Processed; then the head and half of the body, or half of the head where there is no body, and the connection ends.
    HalfBody,
    /// These bytes instead of HTTP, and nothing processed.
    Garbage {
        /// The bytes; as JSON, in base64.
        #[serde(rename = "base64", serialize_with = "to_base64", deserialize_with = "from_base64")]
        bytes: Vec<u8>,
    },
    /// A 200 whose body never ends, and nothing processed.
    EndlessBody,
    /// Processed; then the answer, one byte at a time.
    SlowBytes {
        /// The wait before each byte.
        milliseconds: u64,
    },
    /// Processed, but the token that is handed out is the newest that there was before; the first has none before it.
    DuplicateToken,
}

/// Before or after a request is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The rules have not seen it: nothing is spent.
    Before,
    /// The rules have seen it: what it spends is spent, and what it issues is issued.
    After,
}

use When::{After, Before};

impl Fault {
    /// This status, without a body.
    pub fn status(status: u16) -> Self {
        Self::Reply { status, headers: Vec::new(), body: String::new() }
    }

    /// This status with a body, which is labelled as JSON.
    pub fn reply(status: u16, body: impl Into<String>) -> Self {
        Self::Reply { status, headers: Vec::new(), body: body.into() }
    }

    /// Its name in the control API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Redirect { .. } => "redirect",
            Self::Delay { .. } => "delay",
            Self::Hold { .. } => "hold",
            Self::Drop { .. } => "drop",
            Self::Reset { .. } => "reset",
            Self::HalfBody => "half_body",
            Self::Garbage { .. } => "garbage",
            Self::EndlessBody => "endless_body",
            Self::SlowBytes { .. } => "slow_bytes",
            Self::DuplicateToken => "duplicate_token",
        }
    }

    /// What happens before the request is processed. `Break` says that the connection is over, with the status that was
    /// sent, if one was.
    pub(crate) async fn before(&self, wire: &TcpStream, release: &mut Release) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { .. } | Self::Hold { .. } | Self::Drop { .. } | Self::Reset { .. } => {
                self.wait_or_cut(Before, wire, release).await
            }
            Self::Reply { status, headers, body } => {
                let _ = write(wire, &raw_reply(*status, headers, body)).await;
                ControlFlow::Break(Some(*status))
            }
            Self::Redirect { status, location } => {
                let _ = write(wire, &raw_reply(*status, &[("location".into(), location.clone())], "")).await;
                ControlFlow::Break(Some(*status))
            }
            Self::Garbage { bytes } => {
                let _ = write(wire, bytes).await;
                ControlFlow::Break(None)
            }
            Self::EndlessBody => {
                endless(wire).await;
                ControlFlow::Break(Some(200))
            }
            Self::HalfBody | Self::SlowBytes { .. } | Self::DuplicateToken => ControlFlow::Continue(()),
        }
    }

    /// What happens after it, and before the answer is sent.
    pub(crate) async fn after(
        &self,
        wire: &TcpStream,
        release: &mut Release,
        reply: &Reply,
    ) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { .. } | Self::Hold { .. } | Self::Drop { .. } | Self::Reset { .. } => {
                self.wait_or_cut(After, wire, release).await
            }
            Self::HalfBody => {
                let head = raw_head(reply);
                let half = match reply.body.len() {
                    // Without a body, half of the head.
                    0 => head.get(..head.len() / 2).unwrap_or_default().to_vec(),
                    length => [&head, reply.body.get(..length / 2).unwrap_or_default()].concat(),
                };
                let _ = write(wire, &half).await;
                ControlFlow::Break(Some(reply.status.as_u16()))
            }
            Self::SlowBytes { milliseconds } => {
                for byte in [&raw_head(reply), reply.body.as_ref()].concat() {
                    tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                    if write(wire, &[byte]).await.is_err() {
                        break;
                    }
                }
                ControlFlow::Break(Some(reply.status.as_u16()))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    async fn wait_or_cut(&self, now: When, wire: &TcpStream, release: &mut Release) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { when, milliseconds } if *when == now => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                ControlFlow::Continue(())
            }
            Self::Hold { when } if *when == now => {
                // An error says that the emulator is gone, and with it this connection.
                let _ = release.changed().await;
                ControlFlow::Continue(())
            }
            Self::Drop { when } if *when == now => ControlFlow::Break(None),
            Self::Reset { when } if *when == now => {
                // Closing with a linger of zero is what sends the RST.
                let _ = wire.set_zero_linger();
                ControlFlow::Break(None)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(|_| serde::de::Error::custom("base64 is not base64"))
}

/// Reports the next [`Emulator::release`](crate::Emulator::release).
pub(crate) type Release = watch::Receiver<()>;

fn raw_head(reply: &Reply) -> Vec<u8> {
    let mut head = status_line(reply.status.as_u16()).into_bytes();
    for (name, value) in &reply.headers {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if !has_no_length(reply.status.as_u16()) {
        head.extend(format!("content-length: {}\r\n", reply.body.len()).into_bytes());
    }
    head.extend(b"connection: close\r\n\r\n");
    head
}

fn raw_reply(status: u16, headers: &[(String, String)], body: &str) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
    let mut text = status_line(status);
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() && !has(CONTENT_TYPE.as_str()) {
        text.push_str("content-type: application/json\r\n");
    }
    if !(has("content-length") || has("transfer-encoding") || has_no_length(status)) {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("connection: close\r\n\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A 1xx and a 204 may not tell one (RFC 9110, 8.6).
fn has_no_length(status: u16) -> bool {
    status < 200 || status == 204
}

fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Fault");
    format!("HTTP/1.1 {status} {reason}\r\n")
}

/// Ends when the client has gone, or with the connection.
async fn endless(wire: &TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"access_token\": \"";
    let mut outcome = write(wire, head).await;
    while outcome.is_ok() {
        outcome = write(wire, &[b'x'; 4096]).await;
        // A client that reads as fast would otherwise keep the thread to itself.
        tokio::task::yield_now().await;
    }
}

async fn write(wire: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        wire.writable().await?;
        match wire.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The faults that are to come.
#[derive(Default)]
pub(crate) struct Plan(Vec<Planned>);

/// A fault, and how often it is still to come; always, where there is no number.
pub(crate) struct Planned {
    pub(crate) operation: Operation,
    pub(crate) fault: Fault,
    pub(crate) left: Option<u64>,
}

impl Plan {
    pub(crate) fn add(&mut self, planned: Planned) {
        if planned.left != Some(0) {
            self.0.push(planned);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Planned> {
        self.0.iter()
    }

    /// The next fault of an operation: those that were added first come first.
    pub(crate) fn next(&mut self, operation: Operation) -> Option<Fault> {
        let planned = self.0.iter_mut().find(|planned| planned.operation == operation)?;
        planned.left = planned.left.map(|left| left.saturating_sub(1));
        let fault = planned.fault.clone();
        self.0.retain(|planned| planned.left != Some(0));
        Some(fault)
    }
}
