//! Failures that a test schedules for its requests.
//!
//! A fault bypasses hyper and writes directly to the socket, so a client can receive bytes that
//! only a broken server or network would send.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;

use crate::http::Reply;
use crate::operation::Operation;
use crate::wire::Wire;

/// A failure that a test schedules for an operation. See
/// [`Emulator::fail_next`](crate::Emulator::fail_next).
///
/// In the control API, a fault is a JSON object whose `kind` field is the name of the variant in
/// snake case: `{"kind": "delay", "when": "before", "milliseconds": 50}`.
///
/// The `Debug` output contains only the kind of the fault.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Sends this response without processing the request.
    ///
    /// The emulator sends the headers and the body as they are, even if they are not valid HTTP. It
    /// adds `Connection: close`. It also adds `Content-Length` and, if there is a body,
    /// `Content-Type: application/json`, unless `headers` already contains them.
    Reply {
        /// The status.
        status: u16,
        /// The headers, in the order they are sent.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// Sends a redirect without processing the request.
    Redirect {
        /// The status, such as 307.
        status: u16,
        /// The value of the `Location` header.
        location: String,
    },
    /// Waits in real time. Advancing the emulator's clock does not shorten the wait.
    Delay {
        /// Whether the emulator waits before or after it processes the request.
        when: When,
        /// The duration of the wait, in milliseconds.
        milliseconds: u64,
    },
    /// Blocks the request until [`Emulator::release`](crate::Emulator::release) is called. Use this
    /// fault in tests that must not depend on timing.
    Hold {
        /// Whether the request is blocked before or after it is processed.
        when: When,
    },
    /// Closes the connection (FIN) without a response.
    Drop {
        /// Whether the connection is closed before or after the request is processed.
        when: When,
    },
    /// Resets the connection (RST) without a response.
    Reset {
        /// Whether the connection is reset before or after the request is processed.
        when: When,
    },
    /// Processes the request, sends the head and half of the body, and closes the connection. If
    /// the response has no body, the emulator sends half of the head.
    HalfBody,
    /// Sends these bytes instead of an HTTP response, without processing the request.
    Garbage {
        /// The bytes, which are base64-encoded in JSON.
        #[serde(rename = "base64", serialize_with = "to_base64", deserialize_with = "from_base64")]
        bytes: Vec<u8>,
    },
    /// Sends a 200 response with an endless body, without processing the request.
    EndlessBody,
    /// Processes the request and sends the response one byte at a time.
    SlowBytes {
        /// The wait before each byte, in milliseconds of real time.
        milliseconds: u64,
    },
    /// Processes the request, but returns the newest existing token of the same kind instead of a
    /// new one. If there is no such token, the emulator issues a new one. Refresh tokens are not
    /// affected.
    DuplicateToken,
}

/// The moment when a fault takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the request is processed, so no token has been spent or issued yet.
    Before,
    /// After the request is processed but before the response is sent, so the token in the request
    /// has been spent and new tokens have been issued.
    After,
}

use When::{After, Before};

impl Fault {
    /// Creates a [`Fault::Reply`] with this status and no body.
    pub fn status(status: u16) -> Self {
        Self::Reply { status, headers: Vec::new(), body: String::new() }
    }

    /// Creates a [`Fault::Reply`] with this status and body. The content type is
    /// `application/json`.
    pub fn reply(status: u16, body: impl Into<String>) -> Self {
        Self::Reply { status, headers: Vec::new(), body: body.into() }
    }

    /// Returns the value of the `kind` field in the control API, such as `half_body`.
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

    /// Applies the part of the fault that takes effect before the request is processed.
    ///
    /// [`ControlFlow::Break`] means that the connection must be closed, and contains the status
    /// that was sent, if any.
    pub(crate) async fn before(&self, wire: &Wire, release: &mut Release) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { .. } | Self::Hold { .. } | Self::Drop { .. } | Self::Reset { .. } => {
                self.wait_or_cut(Before, wire, release).await
            }
            Self::Reply { status, headers, body } => {
                let _ = wire.write(&raw_reply(*status, headers, body)).await;
                ControlFlow::Break(Some(*status))
            }
            Self::Redirect { status, location } => {
                let _ = wire.write(&raw_reply(*status, &[("location".into(), location.clone())], "")).await;
                ControlFlow::Break(Some(*status))
            }
            Self::Garbage { bytes } => {
                let _ = wire.write(bytes).await;
                ControlFlow::Break(None)
            }
            Self::EndlessBody => {
                write_endless_body(wire).await;
                ControlFlow::Break(Some(200))
            }
            Self::HalfBody | Self::SlowBytes { .. } | Self::DuplicateToken => ControlFlow::Continue(()),
        }
    }

    /// Applies the part of the fault that takes effect after the request is processed but before
    /// the response is sent. The return value has the same meaning as that of
    /// [`before`](Self::before).
    pub(crate) async fn after(&self, wire: &Wire, release: &mut Release, reply: &Reply) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { .. } | Self::Hold { .. } | Self::Drop { .. } | Self::Reset { .. } => {
                self.wait_or_cut(After, wire, release).await
            }
            Self::HalfBody => {
                let head = raw_head(reply);
                let half = match reply.body.len() {
                    // If there is no body, send half of the head.
                    0 => head.get(..head.len() / 2).unwrap_or_default().to_vec(),
                    length => [&head, reply.body.get(..length / 2).unwrap_or_default()].concat(),
                };
                let _ = wire.write(&half).await;
                ControlFlow::Break(Some(reply.status.as_u16()))
            }
            Self::SlowBytes { milliseconds } => {
                for byte in [&raw_head(reply), reply.body.as_ref()].concat() {
                    tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                    if wire.write(&[byte]).await.is_err() {
                        break;
                    }
                }
                ControlFlow::Break(Some(reply.status.as_u16()))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    async fn wait_or_cut(&self, now: When, wire: &Wire, release: &mut Release) -> ControlFlow<Option<u16>> {
        match self {
            Self::Delay { when, milliseconds } if *when == now => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                ControlFlow::Continue(())
            }
            Self::Hold { when } if *when == now => {
                // An error means that the emulator was dropped. Dropping the emulator also closes
                // this connection.
                let _ = release.changed().await;
                ControlFlow::Continue(())
            }
            Self::Drop { when } if *when == now => ControlFlow::Break(None),
            Self::Reset { when } if *when == now => {
                // Closing a socket whose linger time is zero sends the RST.
                wire.set_zero_linger();
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
    STANDARD.decode(text).map_err(|_| serde::de::Error::custom("the `base64` field does not contain valid base64"))
}

/// Receives a notification when [`Emulator::release`](crate::Emulator::release) is called.
pub(crate) type Release = watch::Receiver<()>;

fn raw_head(reply: &Reply) -> Vec<u8> {
    let mut head = status_line(reply.status.as_u16()).into_bytes();
    for (name, value) in &reply.headers {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if !forbids_content_length(reply.status.as_u16()) {
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
    if !(has("content-length") || has("transfer-encoding") || forbids_content_length(status)) {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("connection: close\r\n\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Returns whether RFC 9110, section 8.6, forbids `Content-Length` in a response with this status.
fn forbids_content_length(status: u16) -> bool {
    status < 200 || status == 204
}

fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Fault");
    format!("HTTP/1.1 {status} {reason}\r\n")
}

/// Keeps writing a response body until the client disconnects or the emulator closes the
/// connection.
async fn write_endless_body(wire: &Wire) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"access_token\": \"";
    let mut outcome = wire.write(head).await;
    while outcome.is_ok() {
        outcome = wire.write(&[b'x'; 4096]).await;
        // If the client reads as fast as this loop writes, the loop never waits, so let other tasks
        // run.
        tokio::task::yield_now().await;
    }
}

/// The scheduled faults, in the order they were added.
#[derive(Default)]
pub(crate) struct FaultPlan(Vec<ScheduledFault>);

pub(crate) struct ScheduledFault {
    pub(crate) operation: Operation,
    pub(crate) fault: Fault,
    /// The number of requests that the fault still applies to, or `None` if it applies to every
    /// request.
    pub(crate) remaining: Option<u64>,
}

/// Returns the number of requests that a fault applies to, or `None` for every request. If neither
/// `times` nor `always` is set, the fault applies to one request.
pub(crate) fn repetitions(times: Option<u64>, always: bool) -> Result<Option<u64>, &'static str> {
    match (times, always) {
        (Some(0), _) => Err("`times` must be greater than 0"),
        (Some(_), true) => Err("`times` and `always` cannot be used together"),
        (None, true) => Ok(None),
        (times, false) => Ok(Some(times.unwrap_or(1))),
    }
}

impl FaultPlan {
    pub(crate) fn add(&mut self, scheduled: ScheduledFault) {
        if scheduled.remaining != Some(0) {
            self.0.push(scheduled);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ScheduledFault> {
        self.0.iter()
    }

    /// Returns the next fault scheduled for an operation, and decrements that fault's number of
    /// remaining requests.
    pub(crate) fn next(&mut self, operation: Operation) -> Option<Fault> {
        let scheduled = self.0.iter_mut().find(|scheduled| scheduled.operation == operation)?;
        scheduled.remaining = scheduled.remaining.map(|remaining| remaining.saturating_sub(1));
        let fault = scheduled.fault.clone();
        self.0.retain(|scheduled| scheduled.remaining != Some(0));
        Some(fault)
    }
}
