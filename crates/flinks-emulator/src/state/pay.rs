//! Pay's state, except its session tokens, which are in the ledger.

use serde_json::Value;

use crate::bounded_map::BoundedMap;

#[derive(Default)]
pub(crate) struct PayState {
    /// The sessions, by `sessionId`.
    pub(crate) sessions: BoundedMap<Session>,
    /// The payment requests, by `requestId`.
    pub(crate) payment_requests: BoundedMap<PaymentRequest>,
}

pub(crate) struct Session {
    pub(crate) reference_id: String,
    pub(crate) amount: Value,
}

pub(crate) struct PaymentRequest {
    pub(crate) session_id: String,
}
