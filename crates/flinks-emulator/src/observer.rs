//! Observes the requests and their outcomes for the dashboard and for recording.
//!
//! The rules do not use this module. The state is locked before the outcomes and before the
//! recorder. The outcomes and the recorder are never locked at the same time. No lock is held
//! across an `await`.

use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashlink::LinkedHashMap;
use hyper::header::CONTENT_TYPE;
use tokio::sync::watch;

use crate::access::Access;
use crate::config::Limits;
use crate::http::Reply;
use crate::ledger::Request;
use crate::record::{Entry, Recorder};
use crate::redaction::{Redactor, Reveal, text};
use crate::state::EmulatorState;

/// The maximum size of a stored response body, in bytes.
const MAX_STORED_BODY: usize = 16 * 1024;

pub(crate) struct Observer {
    pub(crate) access: Access,
    /// The key for hashing unknown values.
    key: RandomState,
    /// Whether unknown values are replaced when a request arrives.
    hides_unknown: AtomicBool,
    outcomes: Mutex<Outcomes>,
    recorder: Mutex<Option<Recorder>>,
    /// The signal that something on the dashboard has changed.
    changed: watch::Sender<()>,
}

/// The outcome of a request.
#[derive(Clone)]
pub(crate) struct Outcome {
    /// The time from the arrival of the request to its outcome.
    pub(crate) elapsed: Duration,
    /// The response that the rules created, or `None` if a fault or a disconnect kept it from being
    /// sent.
    pub(crate) reply: Option<StoredReply>,
}

#[derive(Clone)]
pub(crate) struct StoredReply {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) media_type: String,
    pub(crate) body: StoredBody,
}

#[derive(Clone)]
pub(crate) enum StoredBody {
    Complete(Bytes),
    /// A page for the end user, or a large body. Only its size in bytes is stored.
    Omitted(usize),
}

impl StoredReply {
    fn new(reply: &Reply) -> Self {
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let media_type = headers.iter().find(|(name, _)| name == CONTENT_TYPE.as_str());
        let media_type = media_type.map(|(_, value)| value.clone()).unwrap_or_default();
        let is_omitted = media_type.starts_with("text/html") || reply.body.len() > MAX_STORED_BODY;
        let body =
            if is_omitted { StoredBody::Omitted(reply.body.len()) } else { StoredBody::Complete(reply.body.clone()) };
        Self { headers, media_type, body }
    }

    /// Replaces unknown values that the response repeats from its request.
    fn hide_unknown(&mut self, redactor: Redactor<'_>) {
        let stored = |pieces: &[_]| text(pieces, Reveal::Values);
        for (name, value) in &mut self.headers {
            *value = stored(&redactor.reply_header(name, value));
        }
        if let StoredBody::Complete(body) = &mut self.body {
            *body = stored(&redactor.reply_body(&self.media_type, body)).into();
        }
    }
}

/// The stored outcomes. The limits on the ledger's requests also apply to the outcomes, which are
/// counted separately.
#[derive(Default)]
struct Outcomes {
    by_number: LinkedHashMap<u64, Outcome>,
    /// The total size of the stored headers and bodies, in bytes.
    bytes: usize,
}

impl Outcomes {
    /// Adds an outcome, and removes the oldest outcomes while a limit is exceeded.
    fn insert(&mut self, number: u64, outcome: Outcome, limits: &Limits) {
        self.bytes = self.bytes.saturating_add(outcome.bytes());
        self.by_number.insert(number, outcome);
        while self.by_number.len() > limits.requests || self.bytes > limits.request_bytes {
            let Some((_, oldest)) = self.by_number.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }
}

impl Outcome {
    /// Returns the size of the stored headers and body, in bytes.
    fn bytes(&self) -> usize {
        let Some(reply) = &self.reply else { return 0 };
        let headers = reply.headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        let body = match &reply.body {
            StoredBody::Complete(body) => body.len(),
            _ => 0,
        };
        headers.fold(body, usize::saturating_add)
    }
}

/// An outcome that the server reports.
pub(crate) struct Completion<'a> {
    pub(crate) number: u64,
    pub(crate) started: Instant,
    pub(crate) reply: Option<&'a Reply>,
}

impl Observer {
    pub(crate) fn new() -> Self {
        Self {
            access: Access::new(),
            key: RandomState::new(),
            hides_unknown: AtomicBool::new(false),
            outcomes: Mutex::default(),
            recorder: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn redactor<'a>(&'a self, state: &'a EmulatorState) -> Redactor<'a> {
        Redactor::new(state, &self.key)
    }

    pub(crate) fn hide_unknown_values(&self) {
        self.hides_unknown.store(true, Ordering::Relaxed);
    }

    pub(crate) fn record(&self, recorder: Recorder) {
        *lock(&self.recorder) = Some(recorder);
    }

    /// Prepares a request for the ledger.
    pub(crate) fn arrived(&self, state: &EmulatorState, request: &mut Request) {
        if self.hides_unknown.load(Ordering::Relaxed) {
            self.redactor(state).hide_unknown(request);
        }
    }

    /// Stores the outcome of a request and appends it to the recording, if there is one.
    pub(crate) fn completed(&self, state: &EmulatorState, completion: &Completion<'_>) {
        let Completion { number, started, reply } = *completion;
        let redactor = self.redactor(state);
        let mut reply = reply.map(StoredReply::new);
        if let Some(reply) = &mut reply
            && self.hides_unknown.load(Ordering::Relaxed)
        {
            reply.hide_unknown(redactor);
        }
        let outcome = Outcome { elapsed: started.elapsed(), reply };
        if let Some(recorder) = lock(&self.recorder).as_mut()
            && let Some(request) = state.ledger.request(number)
        {
            recorder.append(&Entry { redactor, request, outcome: &outcome });
        }
        lock(&self.outcomes).insert(number, outcome, &state.config.limits);
    }

    pub(crate) fn outcome(&self, number: u64) -> Option<Outcome> {
        lock(&self.outcomes).by_number.get(&number).cloned()
    }

    pub(crate) fn clear(&self) {
        *lock(&self.outcomes) = Outcomes::default();
    }

    /// Notifies the open dashboards.
    pub(crate) fn announce_change(&self) {
        if self.changed.receiver_count() > 0 {
            self.changed.send_replace(());
        }
    }

    pub(crate) fn on_change(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_response_does_not_keep_the_unknown_values_that_it_repeats() {
        let observer = Observer::new();
        observer.hide_unknown_values();
        let state = EmulatorState::new(crate::config::Config::default());
        let reply = Reply::json(hyper::StatusCode::OK, &serde_json::json!({"referenceId": "canary"}))
            .with(hyper::header::LOCATION, "https://app.example/?state=canary");
        observer.completed(&state, &Completion { number: 1, started: Instant::now(), reply: Some(&reply) });
        let stored = observer.outcome(1).unwrap().reply.unwrap();
        let StoredBody::Complete(body) = &stored.body else { panic!() };
        let text = format!("{:?} {}", stored.headers, String::from_utf8_lossy(body));
        assert!(text.contains("referenceId"), "{text}");
        assert!(text.contains("https://app.example/?state=[hidden "), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn the_limits_bound_the_stored_outcomes() {
        let outcome = |bytes: usize| {
            let body = StoredBody::Complete(vec![b'x'; bytes].into());
            let reply = StoredReply { headers: Vec::new(), media_type: String::new(), body };
            Outcome { elapsed: Duration::ZERO, reply: Some(reply) }
        };
        let limits = Limits { requests: 3, request_bytes: 100, ..Limits::default() };
        let mut outcomes = Outcomes::default();
        for number in 1..=4 {
            outcomes.insert(number, outcome(10), &limits);
        }
        assert_eq!(outcomes.by_number.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
        outcomes.insert(5, outcome(85), &limits);
        assert_eq!(outcomes.by_number.keys().copied().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(outcomes.bytes, 95);
        outcomes.insert(6, outcome(101), &limits);
        assert!(outcomes.by_number.is_empty());
        assert_eq!(outcomes.bytes, 0);
    }
}
