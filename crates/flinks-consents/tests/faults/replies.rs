//! The type of a row, and helpers for the rows about responses and connections.

use flinks_consents::flinks::Cause;
use flinks_emulator::{Fault, When};

use crate::case::{Case, FailureClass, Operation, TokenFate, expected_requests};
use crate::prelude::*;
use crate::{fields, statuses, successes};

/// A fault, its description and the expected outcome.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) section: &'static str,
    pub(crate) given: &'static str,
    faults: Vec<Fault>,
    class: FailureClass,
    expected: Expected,
    concerns: fn(Operation) -> bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Expected {
    Success,
    /// The condition that the error must satisfy, and the expected state of the token or code.
    Error(fn(&ConsentError) -> bool, TokenFate),
}

impl Row {
    pub(crate) fn concerns(&self, operation: Operation) -> bool {
        (self.concerns)(operation)
    }
}

pub(crate) async fn check(case: &mut Case, row: &Row, operation: Operation) {
    for fault in &row.faults {
        let outcome = case.call(operation, fault).await;
        match (row.expected, &outcome.error) {
            (Expected::Success, error) => assert!(error.is_none(), "{error:?} for {fault:?}"),
            (Expected::Error(..), None) => panic!("the call succeeded with {fault:?}"),
            (Expected::Error(holds, fate), Some(error)) => {
                assert!(holds(error), "{error} for {fault:?}");
                let is_spent = !matches!(outcome.fate, TokenFate::None);
                assert!(!is_spent || outcome.fate == fate, "{:?} for {fault:?}", outcome.fate);
                assert!(error.may_have_been_sent());
            }
        }
        assert_eq!(outcome.requests, expected_requests(operation.kind(), row.class), "requests for {fault:?}");
    }
}

/// Returns whether a successful response to the operation has a body. The response to a revocation
/// has no body.
pub(crate) fn has_body(operation: Operation) -> bool {
    operation != Operation::Revoke
}

pub(crate) fn returns_a_token(operation: Operation) -> bool {
    has_body(operation) && !matches!(operation, Operation::PayInitiateSession | Operation::ConnectAuthorize)
}

pub(crate) fn has_token_type(operation: Operation) -> bool {
    returns_a_token(operation) && operation != Operation::ConnectGenerate
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Reply { status, headers, body: body.into() }
}

pub(crate) fn html(status: u16) -> Fault {
    reply(status, &[("content-type", "text/html")], "<html>CANARY</html>")
}

pub(crate) fn garbage(bytes: &str) -> Fault {
    Fault::Garbage { bytes: bytes.as_bytes().to_vec() }
}

/// Returns a successful response body that fits every operation. `tokens` is the value of every
/// token field, and `more` contains additional JSON members.
pub(crate) fn success(tokens: &str, more: &str) -> String {
    format!(
        r#"{{{more}"access_token":{tokens},"refresh_token":"emu_r","Token":{tokens},"sessionId":"s","referenceId":"r","RequestId":"q","Login":{{"Id":"l"}}}}"#
    )
}

/// A security challenge with one question.
pub(crate) const CHALLENGE: &str = r#""SecurityChallenges":[{"Prompt":"p"}],"#;

/// The expected error if a token field or the body does not match the schema.
pub(crate) const MALFORMED: Expected =
    Expected::Error(|error| error.cause() == Some(Cause::Malformed), TokenFate::Unknown);

pub(crate) fn all(_: Operation) -> bool {
    true
}

pub(crate) fn ok(body: String) -> Fault {
    reply(200, &[], body)
}

/// Returns a JSON array with 2,000 levels of nesting.
pub(crate) fn deep() -> String {
    format!("{}{}", "[".repeat(2_000), "]".repeat(2_000))
}

pub(crate) fn replies(
    given: &'static str,
    class: FailureClass,
    faults: Vec<Fault>,
    expected: Expected,
    concerns: fn(Operation) -> bool,
) -> Row {
    Row { section: "Responses", given, faults, class, expected, concerns }
}

pub(crate) fn rows() -> Vec<Row> {
    let connections = Row {
        section: "Connections",
        given: "reset after the whole request; FIN after the headers; half a body; bad chunk",
        faults: vec![
            Fault::Reset { when: When::Before },
            garbage("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
            garbage("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":"),
            garbage("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            Fault::Drop { when: When::Before },
        ],
        class: FailureClass::MayHaveBeenSent,
        expected: Expected::Error(ConsentError::is_transient, TokenFate::Unknown),
        concerns: all,
    };
    [successes::rows(), statuses::rows(), fields::rows(), vec![connections]].concat()
}
