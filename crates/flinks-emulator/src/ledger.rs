//! What was received, and what became of what was issued.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounded_map::BoundedMap;
use crate::config::Limits;
use crate::fault::Fault;
use crate::operation::Operation;

/// A request as it was received. Its headers and its body may hold secrets, so `Debug` shows neither.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// When it had arrived, since the Unix epoch, on the emulator's clock.
    pub at: Duration,
    /// What it asked for, where the emulator has that.
    pub operation: Option<Operation>,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its headers, with names in lower case. Values that are not UTF-8 have replacement characters.
    pub headers: Vec<(String, String)>,
    /// Its body, as far as it came.
    pub body: Bytes,
    /// Whether all of it came. If not, its client gave up in the middle, or it is larger than 64 KiB.
    pub complete: bool,
    /// Whether the rules saw it; a fault may have come first.
    pub processed: bool,
    /// The status of the answer, where one was sent. While the request is under way there is none.
    pub status: Option<u16>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

impl Request {
    /// All values of a header, whose name is given in lower case.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether a text is anywhere in it: in its path, query, headers or body, as it stands or percent-encoded, in JSON, or
    /// in HTTP Basic.
    pub fn carries(&self, text: &str) -> bool {
        let Self { target, headers, body, .. } = self;
        let body = String::from_utf8_lossy(body);
        let is_in = |raw: &str| raw.contains(text) || (raw.contains(['%', '+']) && decoded(raw).contains(text));
        is_in(target)
            || headers.iter().any(|(_, value)| is_in(value) || basic(value).is_some_and(|pair| is_in(&pair)))
            || is_in(&body)
            || self.json_texts().iter().any(|found| found.contains(text))
    }

    /// The texts in a body of JSON, names included.
    fn json_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut left = Vec::from_iter(serde_json::from_slice::<Value>(&self.body));
        while let Some(value) = left.pop() {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(values) => left.extend(values),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        texts.push(name);
                        left.push(value);
                    }
                }
                _ => {}
            }
        }
        texts
    }

    /// The values that stand alone in it, each once: what a token that is counted is looked up in.
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

/// Of a percent-encoded text.
fn decoded(encoded: &str) -> String {
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The pair in a header value of HTTP Basic.
fn basic(value: &str) -> Option<String> {
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

/// What kind of token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Pay's access token, which starts one session (P3).
    SessionToken,
    /// Connect's authorize token (C3).
    AuthorizeToken,
    /// Outbound's authorization code (O9).
    Code,
    /// Outbound's access token (O4). It is spent by nothing.
    AccessToken,
    /// Outbound's refresh token (O5). Where it is rotated, the exchange spends it.
    RefreshToken,
}

/// A token that was issued, and what became of it. `Debug` does not show the token.
#[derive(Clone)]
#[non_exhaustive]
pub struct Issued {
    /// What it is.
    pub kind: Kind,
    /// The token.
    pub value: String,
    /// When it was issued, since the Unix epoch, on the emulator's clock.
    pub issued_at: Duration,
    /// The [`Request::number`] that it answered, or none where the emulator or its user made it.
    pub issued_by: Option<u64>,
    /// From when on it is refused. An exchange moves that of a refresh token (O5).
    pub expires_at: Duration,
    /// When it was spent, and by which request.
    pub spent: Option<Usage>,
    /// When it was revoked, and by which request.
    pub revoked: Option<Usage>,
    /// Whose it is: `sub` of an access token (O8), or none where no end user is concerned.
    pub subject: Option<String>,
    /// The redirect URI that a code is bound to (O9).
    pub(crate) redirect_uri: Option<String>,
}

/// When something happened to a token, and by which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Since the Unix epoch, on the emulator's clock.
    pub at: Duration,
    /// The [`Request::number`].
    pub by: u64,
}

impl Issued {
    pub(crate) fn is_expired(&self, now: Duration) -> bool {
        now >= self.expires_at
    }

    /// Not spent, expired or revoked.
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

/// The book of an emulator.
#[derive(Default)]
pub(crate) struct Ledger {
    requests: VecDeque<Request>,
    newest_number: u64,
    received: u64,
    /// Of the requests that are kept.
    bytes: usize,
    per_operation: BTreeMap<Operation, u64>,
    issued: BTreeMap<Kind, BoundedMap<Issued>>,
    /// The newest token of each kind, for the fault that hands it out again.
    newest: BTreeMap<Kind, String>,
}

impl Ledger {
    /// Writes a request down, gives it its number, and forgets the oldest beyond the limits.
    pub(crate) fn receive(&mut self, mut request: Request, limits: &Limits) -> u64 {
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

    /// The request of a number, to write down what became of it.
    pub(crate) fn request_mut(&mut self, number: u64) -> Option<&mut Request> {
        let age = usize::try_from(self.newest_number.checked_sub(number)?).ok()?;
        self.requests.iter_mut().rev().nth(age)
    }

    pub(crate) fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter()
    }

    /// How many requests arrived, forgotten ones included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn newest_number(&self) -> u64 {
        self.newest_number
    }

    /// Gives the next request the number that follows `newest`.
    pub(crate) fn continue_numbering(&mut self, newest: u64) {
        self.newest_number = newest;
    }

    /// In how many of the kept requests a text is.
    pub(crate) fn count_carrying(&self, text: &str) -> u64 {
        self.requests.iter().filter(|request| request.carries(text)).fold(0, |count, _| count.saturating_add(1))
    }

    /// How many requests asked for `operation`, forgotten ones included.
    pub(crate) fn count(&self, operation: Operation) -> u64 {
        self.per_operation.get(&operation).copied().unwrap_or_default()
    }

    /// In how many of the kept requests each value stands alone.
    pub(crate) fn carried(&self) -> HashMap<String, u64> {
        let mut carried = HashMap::<String, u64>::new();
        for value in self.requests.iter().flat_map(Request::values) {
            let count = carried.entry(value).or_default();
            *count = count.saturating_add(1);
        }
        carried
    }

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

    /// All tokens that are known, by kind and then from the oldest to the newest.
    pub(crate) fn all_issued(&self) -> impl Iterator<Item = &Issued> {
        self.issued.values().flat_map(BoundedMap::values)
    }

    /// The token of this value, whatever its kind.
    pub(crate) fn find(&self, value: &str) -> Option<&Issued> {
        self.issued.values().find_map(|tokens| tokens.get(value))
    }

    /// Ends every token of an end user (O10).
    pub(crate) fn revoke(&mut self, subject: &str, revoked: Usage) {
        for issued in self.issued.values_mut().flat_map(BoundedMap::values_mut) {
            if issued.subject.as_deref() == Some(subject) {
                issued.revoked.get_or_insert(revoked);
            }
        }
    }
}
