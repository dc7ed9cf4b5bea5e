//! Rows for statuses outside 2xx, with and without the documented body.

use flinks::Refusal;

use crate::case::{FailureClass, Kind, Operation, TokenFate};
use crate::prelude::*;
use crate::replies::*;

pub(crate) fn rows() -> Vec<Row> {
    let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(15));
    vec![
        replies(
            "401 HTML, 403 HTML, 404",
            FailureClass::Final,
            vec![
                html(401),
                html(403),
                html(404),
                reply(404, &[("ob-correlation-id", "CANARY"), ("set-cookie", "CANARY")], ""),
            ],
            Expected::Error(
                |error| matches!(error.status(), Some(401 | 403 | 404)) && !error.needs_consent(),
                TokenFate::Unknown,
            ),
            all,
        ),
        replies(
            "502 HTML",
            FailureClass::Failed,
            vec![html(502)],
            Expected::Error(|error| error.status() == Some(502) && error.is_transient(), TokenFate::Unknown),
            all,
        ),
        replies(
            "408 with a JSON body",
            FailureClass::MayHaveBeenSent,
            [
                r#"{"message":"CANARY"}"#,
                r#"{"error":"CANARY"}"#,
                r#"{"error":"invalid_grant"}"#,
                r#"{"error":"TOO_MANY_REQUESTS"}"#,
                r#"{"HttpStatusCode":408,"FlinksCode":"UNAUTHORIZED"}"#,
                "",
            ]
            .map(|body| reply(408, &[], body))
            .to_vec(),
            Expected::Error(|error| error.is_transient() && !error.needs_consent(), TokenFate::Unknown),
            all,
        ),
        replies(
            "400 or 500 with server_error or temporarily_unavailable",
            FailureClass::Final,
            [(400, "server_error"), (400, "temporarily_unavailable"), (500, "server_error"), (200, "server_error")]
                .map(|(status, code)| reply(status, &[], format!(r#"{{"error":"{code}"}}"#)))
                .to_vec(),
            Expected::Error(|error| error.is_transient() && !error.needs_consent(), TokenFate::Unknown),
            |operation| operation == Operation::ExchangeCode,
        ),
        replies(
            "400 invalid_grant on refresh",
            FailureClass::Final,
            vec![reply(400, &[], r#"{"error":"invalid_grant","error_description":"CANARY"}"#)],
            Expected::Error(ConsentError::needs_consent, TokenFate::Spent),
            |operation| matches!(operation.kind(), Kind::Refresh | Kind::Code),
        ),
        replies(
            "400, 401 or 403 on refresh with an empty body, {\"message\":\"Forbidden\"} or an unknown error (a gateway)",
            FailureClass::Final,
            [400, 401, 403]
                .into_iter()
                .flat_map(|status| {
                    ["", r#"{"message":"CANARY"}"#, r#"{"error":"CANARY"}"#].map(|body| reply(status, &[], body))
                })
                .collect(),
            Expected::Error(
                |error| error.needs_consent() && matches!(error.refusal(), Some(Refusal::Suspected { .. })),
                TokenFate::Spent,
            ),
            |operation| operation.kind() == Kind::Refresh,
        ),
        replies(
            "invalid_client with 400 or 401",
            FailureClass::Final,
            [400, 401]
                .map(|status| reply(status, &[], r#"{"error":"invalid_client","error_description":"CANARY"}"#))
                .to_vec(),
            Expected::Error(|error| error.is_credentials() && !error.needs_consent(), TokenFate::Spent),
            super::case::Operation::is_outbound,
        ),
        replies(
            "UNAUTHORIZED",
            FailureClass::Final,
            vec![reply(401, &[], r#"{"HttpStatusCode":401,"Message":"CANARY","FlinksCode":"UNAUTHORIZED"}"#)],
            Expected::Error(ConsentError::is_credentials, TokenFate::Spent),
            |operation| operation == Operation::ConnectGenerate,
        ),
        replies(
            "401 with TOO_MANY_REQUESTS",
            FailureClass::Busy,
            vec![reply(
                401,
                &[],
                r#"{"HttpStatusCode":401,"FlinksCode":"TOO_MANY_REQUESTS","error":"TOO_MANY_REQUESTS","Message":"CANARY"}"#,
            )],
            Expected::Error(ConsentError::is_rate_limited, TokenFate::Spent),
            |operation| operation.is_outbound() || matches!(operation, Operation::ConnectGenerate),
        ),
        replies(
            "a documented error with an unknown code",
            FailureClass::Final,
            vec![reply(
                418,
                &[("ob-trace-id", "CANARY")],
                r#"{"error":"CANARY","error_description":"CANARY","message":"CANARY","Message":"CANARY","FlinksCode":"CANARY"}"#,
            )],
            Expected::Error(|error| error.status() == Some(418) && error.message().is_some(), TokenFate::Spent),
            |operation| operation != Operation::PayAuthorize,
        ),
        replies(
            "429 and 503",
            FailureClass::Busy,
            vec![html(429), html(503)],
            Expected::Error(ConsentError::is_transient, TokenFate::Unknown),
            all,
        ),
        replies(
            "Retry-After: 5, an HTTP date, a past date, -1, 0, 1.5, text",
            FailureClass::Busy,
            ["5", &soon, "Sun, 06 Nov 1994 08:49:37 GMT", "-1", "0", "1.5", "soon"]
                .map(|text| reply(429, &[("retry-after", text), ("content-type", "text/html")], "<html>"))
                .to_vec(),
            Expected::Error(ConsentError::is_rate_limited, TokenFate::Unknown),
            all,
        ),
        replies(
            "Retry-After: 20 digits",
            FailureClass::Final,
            ["99999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT"]
                .map(|text| reply(429, &[("retry-after", text), ("content-type", "text/html")], "<html>"))
                .to_vec(),
            Expected::Error(|error| error.is_rate_limited() && error.retry_after().is_some(), TokenFate::Unknown),
            |operation| operation.kind() != Kind::Spend && operation.kind() != Kind::Code,
        ),
    ]
}
