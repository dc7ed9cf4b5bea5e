//! Flinks' rules. Each operation has one function, which takes the state and a [`Call`] and returns
//! a [`Reply`]. Nothing in this module uses a socket.

mod connect;
mod outbound;
mod pay;
mod rate_limit;

use crate::fault::Fault;
use crate::http::{Call, Reply};
use crate::operation::{Operation, operations};
use crate::state::EmulatorState;

type Handler = fn(&mut EmulatorState, &Call) -> Reply;

macro_rules! define_handler {
    ($(
        #[doc = $purpose:literal]
        $operation:ident = $name:literal, [$($route:literal),+], $product:ident::$handler:ident;
    )+) => {
        fn handler(operation: Operation) -> Handler {
            match operation { $(Operation::$operation => $product::$handler,)+ }
        }
    };
}
operations!(define_handler);

/// Processes a request according to the rules for `operation`.
pub(crate) fn process(state: &mut EmulatorState, operation: Operation, call: &Call, fault: Option<&Fault>) -> Reply {
    if let Some(request) = state.ledger.request_mut(call.number) {
        request.processed = true;
    }
    if let Some(reply) = rate_limit::refuse(state, operation) {
        return reply;
    }
    state.repeats_token = fault == Some(&Fault::DuplicateToken);
    let reply = handler(operation)(state, call);
    state.repeats_token = false;
    reply
}
