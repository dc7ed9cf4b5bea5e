//! Pay's state, except its session tokens, which are in the ledger.

use std::time::Duration;

use serde_json::Value;

use crate::bounded_map::BoundedMap;
use crate::config::{Party, PayConfig};

#[derive(Default)]
pub(crate) struct PayState {
    /// The sessions, keyed by `sessionId`.
    pub(crate) sessions: BoundedMap<Session>,
    /// The payment requests, keyed by `requestId`.
    pub(crate) payment_requests: BoundedMap<PaymentRequest>,
}

pub(crate) struct Session {
    pub(crate) party: Party,
    pub(crate) reference_id: String,
    pub(crate) amount: Value,
    /// The `requestId` of the newest payment request for this session. The payer can pay only if
    /// there is a payment request.
    pub(crate) request_id: Option<String>,
}

pub(crate) struct PaymentRequest {
    pub(crate) session_id: String,
    pub(crate) created_at: Duration,
    /// Whether the payer has opened the application.
    pub(crate) is_open: bool,
    pub(crate) decision: Option<Decision>,
    /// The time when the client last received the state.
    pub(crate) read_at: Option<Duration>,
}

/// The payer's decision. The first one is final.
#[derive(Clone, Copy)]
pub(crate) enum Decision {
    Approved { at: Duration },
    Cancelled,
}

/// The state of a payment request. The names of the variants are those that Flinks documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaymentStatus {
    Initiated,
    /// The payer has opened the application.
    Processing,
    Accepted,
    Settled,
    Cancelled,
    Expired,
}

impl PaymentStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Initiated => "Initiated",
            Self::Processing => "Processing",
            Self::Accepted => "Accepted",
            Self::Settled => "Settled",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
        }
    }

    /// Returns whether the payer can still approve or cancel the payment.
    pub(crate) const fn is_undecided(self) -> bool {
        matches!(self, Self::Initiated | Self::Processing)
    }
}

impl PaymentRequest {
    pub(crate) fn new(session_id: String, created_at: Duration) -> Self {
        Self { session_id, created_at, is_open: false, decision: None, read_at: None }
    }

    pub(crate) fn status(&self, now: Duration, config: &PayConfig) -> PaymentStatus {
        match self.decision {
            Some(Decision::Cancelled) => PaymentStatus::Cancelled,
            Some(Decision::Approved { at }) if has_passed(at, config.settlement_seconds, now) => PaymentStatus::Settled,
            Some(Decision::Approved { .. }) => PaymentStatus::Accepted,
            None if has_passed(self.created_at, config.payment_request_seconds, now) => PaymentStatus::Expired,
            None if self.is_open => PaymentStatus::Processing,
            None => PaymentStatus::Initiated,
        }
    }

    /// Returns whether the client must wait before it requests the state again.
    pub(crate) fn is_read_too_early(&self, now: Duration, config: &PayConfig) -> bool {
        self.read_at.is_some_and(|read_at| !has_passed(read_at, config.status_interval_seconds, now))
    }
}

fn has_passed(start: Duration, seconds: u64, now: Duration) -> bool {
    now >= start.saturating_add(Duration::from_secs(seconds))
}
