//! The data of Pay.

use serde_json::Value;

use crate::bounded_map::BoundedMap;

#[derive(Default)]
pub(crate) struct PayState {
    /// By `sessionId`.
    pub(crate) sessions: BoundedMap<Session>,
    /// By `requestId`.
    pub(crate) payment_requests: BoundedMap<PaymentRequest>,
}

pub(crate) struct Session {
    pub(crate) reference_id: String,
    pub(crate) amount: Value,
}

pub(crate) struct PaymentRequest {
    pub(crate) session_id: String,
}
