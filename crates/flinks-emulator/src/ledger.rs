//! The ledger, which records every request that arrived and every code and token that was issued.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounded_map::BoundedMap;
use crate::config::{Limits, Party};
use crate::fault::Fault;
use crate::http::form_decoded;
use crate::operation::Operation;
use crate::pkce::CodeChallenge;

/// A request as it was received.
///
/// The path, the headers and the body may contain secrets, so `Debug` does not show them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The number of the request. Requests are numbered from 1, in the order they arrive.
    pub number: u64,
    /// The time on the emulator's clock at which the request arrived, as a duration since the Unix
    /// epoch.
    pub at: Duration,
    /// The requested operation, or `None` if the method and path do not match any operation.
    pub operation: Option<Operation>,
    /// The HTTP method.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The headers, with names in lower case. Invalid UTF-8 in a value is replaced with U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The part of the body that arrived.
    pub body: Bytes,
    /// Whether the whole body arrived. `false` if the client disconnected or sent invalid HTTP
    /// before the end of the body, or if the body is larger than 64 KiB.
    pub complete: bool,
    /// Whether the client presented a certificate in the TLS handshake.
    pub client_certificate: bool,
    /// Whether the emulator processed the request. `false` if, for example, a fault closed the
    /// connection first.
    pub processed: bool,
    /// The status of the response, or `None` if the request is in progress or no response was sent.
    pub status: Option<u16>,
    /// The fault that was applied to the request, if any.
    pub fault: Option<Fault>,
}

impl Request {
    /// Returns all values of a header. `name` must be in lower case.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether the path, the query, a header or the body contains `text`.
    ///
    /// The search covers plain text, percent-encoded text, JSON strings and HTTP Basic credentials.
    pub fn carries(&self, text: &str) -> bool {
        let Self { target, headers, body, .. } = self;
        let body = String::from_utf8_lossy(body);
        let is_in = |raw: &str| raw.contains(text) || (raw.contains(['%', '+']) && form_decoded(raw).contains(text));
        is_in(target)
            || headers
                .iter()
                .any(|(_, value)| is_in(value) || basic_credentials(value).is_some_and(|pair| is_in(&pair)))
            || is_in(&body)
            || self.json_texts().iter().any(|found| found.contains(text))
    }

    /// Returns the strings in a JSON body, including field names.
    fn json_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut pending = Vec::from_iter(serde_json::from_slice::<Value>(&self.body));
        while let Some(value) = pending.pop() {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(values) => pending.extend(values),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        texts.push(name);
                        pending.push(value);
                    }
                }
                _ => {}
            }
        }
        texts
    }

    /// Returns the distinct values in this request: header values, path segments, parameters and
    /// JSON strings. For each value, [`Ledger::request_counts`] counts the requests that contain
    /// it.
    fn values(&self) -> BTreeSet<String> {
        let mut values = BTreeSet::from_iter(self.json_texts());
        for (_, value) in &self.headers {
            values.extend(value.split_once(' ').map(|(_, token)| token.trim_start_matches(' ').to_owned()));
            values.insert(value.clone());
        }
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        values.extend(path.split('/').map(str::to_owned));
        for encoded in [query.as_bytes(), &self.body] {
            values.extend(url::form_urlencoded::parse(encoded).map(|(_, value)| value.into_owned()));
        }
        values
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        headers.sum::<usize>().saturating_add(self.target.len()).saturating_add(self.body.len())
    }
}

/// Decodes HTTP Basic credentials and returns them as `user:password`.
fn basic_credentials(value: &str) -> Option<String> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at, operation, processed, status, fault, .. } = self;
        f.debug_struct("Request")
            .field("number", number)
            .field("at", at)
            .field("operation", operation)
            .field("processed", processed)
            .field("status", status)
            .field("fault", fault)
            .finish_non_exhaustive()
    }
}

/// The kind of a code or token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A Pay access token, which can start one session.
    SessionToken,
    /// A Connect authorize token.
    AuthorizeToken,
    /// An Outbound authorization code.
    Code,
    /// An Outbound access token. It can be used repeatedly, so it is never marked as spent.
    AccessToken,
    /// An Outbound refresh token. It is marked as spent only if refresh tokens rotate; see
    /// [`OutboundConfig::rotate_refresh_tokens`](crate::OutboundConfig::rotate_refresh_tokens).
    RefreshToken,
}

/// The record of an issued code or token. The `Debug` output does not contain the code or token
/// itself.
#[derive(Clone)]
#[non_exhaustive]
pub struct Issued {
    /// The kind.
    pub kind: Kind,
    /// The code or token itself.
    pub value: String,
    /// The time on the emulator's clock at which the code or token was issued, as a duration since
    /// the Unix epoch.
    pub issued_at: Duration,
    /// The [`Request::number`] of the request that caused the emulator to issue the code or token,
    /// or `None` if it was issued at startup, through
    /// [`Emulator::issue_code`](crate::Emulator::issue_code) or through the control API.
    pub issued_by: Option<u64>,
    /// The time on the emulator's clock at which the code or token expires, as a duration since the
    /// Unix epoch. Each use of a refresh token postpones its expiry.
    pub expires_at: Duration,
    /// The time at which the code or token was spent, and the request that spent it, or `None` if
    /// it is unspent.
    pub spent: Option<Usage>,
    /// The time at which the code or token was revoked, and the request that revoked it, or `None`
    /// if it is not revoked.
    pub revoked: Option<Usage>,
    /// The id of the end user that the code or token belongs to, if any. In an access token, this
    /// id is the `sub` claim.
    pub subject: Option<String>,
    /// The redirect URI that a code is bound to, or `None` for a token (O9).
    pub(crate) redirect_uri: Option<String>,
    /// The PKCE challenge that a code is bound to, if any.
    pub(crate) code_challenge: Option<CodeChallenge>,
    /// The user, customer or client to which the code or token was issued. Nobody else can use it.
    pub(crate) party: Party,
}

/// The time at which a code or token was spent or revoked, and the request that spent or revoked
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The time on the emulator's clock, as a duration since the Unix epoch.
    pub at: Duration,
    /// The [`Request::number`] of the request that spent or revoked the code or token, or 0 if the
    /// end user revoked the consent at the bank, as simulated with
    /// [`Emulator::revoke_connection`](crate::Emulator::revoke_connection), the control API or a
    /// [`Scenario`](crate::Scenario).
    pub by: u64,
}

impl Usage {
    /// The value of [`by`](Self::by) if no request was involved. Requests are numbered from 1.
    pub(crate) const NO_REQUEST: u64 = 0;
}

impl Issued {
    pub(crate) fn is_expired(&self, now: Duration) -> bool {
        now >= self.expires_at
    }

    /// Returns whether the token is valid: not spent, not revoked and not expired.
    pub(crate) fn is_valid(&self, now: Duration) -> bool {
        self.spent.is_none() && self.revoked.is_none() && !self.is_expired(now)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, issued_at, issued_by, expires_at, spent, revoked, .. } = self;
        f.debug_struct("Issued")
            .field("kind", kind)
            .field("issued_at", issued_at)
            .field("issued_by", issued_by)
            .field("expires_at", expires_at)
            .field("spent", spent)
            .field("revoked", revoked)
            .finish_non_exhaustive()
    }
}

/// An emulator's requests and tokens. [`Limits`] bounds the number of each.
#[derive(Default)]
pub(crate) struct Ledger {
    requests: VecDeque<Request>,
    newest_number: u64,
    received: u64,
    /// The total size of `requests`, in bytes.
    bytes: usize,
    per_operation: BTreeMap<Operation, u64>,
    issued: BTreeMap<Kind, BoundedMap<Issued>>,
    /// The newest token of each kind, which is issued again if the `duplicate_token` fault applies.
    newest: BTreeMap<Kind, String>,
}

impl Ledger {
    /// Adds a request and returns its number. If a limit is exceeded, the ledger removes the oldest
    /// requests.
    pub(crate) fn add_request(&mut self, mut request: Request, limits: &Limits) -> u64 {
        self.newest_number = self.newest_number.saturating_add(1);
        self.received = self.received.saturating_add(1);
        if let Some(operation) = request.operation {
            let count = self.per_operation.entry(operation).or_default();
            *count = count.saturating_add(1);
        }
        request.number = self.newest_number;
        self.bytes = self.bytes.saturating_add(request.bytes());
        self.requests.push_back(request);
        while self.requests.len() > limits.requests || self.bytes > limits.request_bytes {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
        self.newest_number
    }

    /// Returns the request with this number, so that its outcome can be recorded.
    pub(crate) fn request_mut(&mut self, number: u64) -> Option<&mut Request> {
        let age = usize::try_from(self.newest_number.checked_sub(number)?).ok()?;
        self.requests.iter_mut().rev().nth(age)
    }

    pub(crate) fn request(&self, number: u64) -> Option<&Request> {
        let age = usize::try_from(self.newest_number.checked_sub(number)?).ok()?;
        self.requests.iter().rev().nth(age)
    }

    pub(crate) fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter()
    }

    /// Returns how many requests have arrived, including those that were removed.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn newest_number(&self) -> u64 {
        self.newest_number
    }

    /// Continues numbering requests after `newest`.
    pub(crate) fn continue_numbering(&mut self, newest: u64) {
        self.newest_number = newest;
    }

    /// Returns how many of the stored requests [carry](Request::carries) `text`.
    pub(crate) fn count_carrying(&self, text: &str) -> u64 {
        self.requests.iter().filter(|request| request.carries(text)).fold(0, |count, _| count.saturating_add(1))
    }

    /// Returns how many requests for `operation` have arrived, including those that were removed.
    pub(crate) fn count(&self, operation: Operation) -> u64 {
        self.per_operation.get(&operation).copied().unwrap_or_default()
    }

    /// Returns the values in the stored requests, each mapped to the number of requests that
    /// contain it.
    pub(crate) fn request_counts(&self) -> HashMap<String, u64> {
        let mut counts = HashMap::<String, u64>::new();
        for value in self.requests.iter().flat_map(Request::values) {
            let count = counts.entry(value).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }

    /// Adds a token and returns its value. If the ledger contains more than `limit` tokens of the
    /// same kind, it removes the oldest.
    pub(crate) fn issue(&mut self, issued: Issued, limit: usize) -> String {
        let value = issued.value.clone();
        self.newest.insert(issued.kind, value.clone());
        self.issued.entry(issued.kind).or_default().insert(value.clone(), issued, limit);
        value
    }

    pub(crate) fn newest(&self, kind: Kind) -> Option<&String> {
        self.newest.get(&kind)
    }

    pub(crate) fn issued(&self, kind: Kind, value: &str) -> Option<&Issued> {
        self.issued.get(&kind)?.get(value)
    }

    pub(crate) fn issued_mut(&mut self, kind: Kind, value: &str) -> Option<&mut Issued> {
        self.issued.get_mut(&kind)?.get_mut(value)
    }

    /// Returns the stored tokens, ordered by kind and then from oldest to newest.
    pub(crate) fn all_issued(&self) -> impl Iterator<Item = &Issued> {
        self.issued.values().flat_map(BoundedMap::values)
    }

    /// Returns the stored tokens of a kind, newest first.
    pub(crate) fn newest_issued(&self, kind: Kind) -> impl Iterator<Item = &Issued> {
        self.issued.get(&kind).into_iter().flat_map(|issued| issued.values().rev())
    }

    /// Returns the code or token with this value, regardless of its kind.
    pub(crate) fn find(&self, value: &str) -> Option<&Issued> {
        self.issued.values().find_map(|tokens| tokens.get(value))
    }

    /// Revokes every token of an end user (O10). Returns whether the ledger contains such a token.
    pub(crate) fn revoke(&mut self, subject: &str, revoked: Usage) -> bool {
        let mut is_known = false;
        for issued in self.issued.values_mut().flat_map(BoundedMap::values_mut) {
            if issued.subject.as_deref() == Some(subject) {
                issued.revoked.get_or_insert(revoked);
                is_known = true;
            }
        }
        is_known
    }
}
