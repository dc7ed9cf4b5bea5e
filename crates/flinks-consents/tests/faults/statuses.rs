//! Statuses outside 2xx, with and without the body that is documented for them.

use flinks::Refusal;

use crate::case::{Class, Fate, Kind, Operation};
use crate::prelude::*;
use crate::replies::*;

pub(crate) fn rows() -> Vec<Row> {
    let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(15));
    vec![
        replies(
            "401 HTML, 403 HTML, 404",
            Class::Final,
            vec![
                html(401),
                html(403),
                html(404),
                reply(404, &[("ob-correlation-id", "CANARY"), ("set-cookie", "CANARY")], ""),
            ],
            Expected::Error(
                |error| matches!(error.status(), Some(401 | 403 | 404)) && !error.needs_consent(),
                Fate::Unknown,
            ),
            all,
        ),
        replies(
            "502 HTML",
            Class::Failed,
            vec![html(502)],
            Expected::Error(|error| error.status() == Some(502) && error.is_transient(), Fate::Unknown),
            all,
        ),
        replies(
            "408 with a JSON body",
            Class::MayHaveBeenSent,
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
            Expected::Error(|error| error.is_transient() && !error.needs_consent(), Fate::Unknown),
            all,
        ),
        replies(
            "400 or 500 with server_error or temporarily_unavailable",
            Class::Final,
            [(400, "server_error"), (400, "temporarily_unavailable"), (500, "server_error"), (200, "server_error")]
                .map(|(status, code)| reply(status, &[], format!(r#"{{"error":"{code}"}}"#)))
                .to_vec(),
            Expected::Error(|error| error.is_transient() && !error.needs_consent(), Fate::Unknown),
            |operation| operation == Operation::ExchangeCode,
        ),
        replies(
            "400 invalid_grant on refresh",
            Class::Final,
            vec![reply(400, &[], r#"{"error":"invalid_grant","error_description":"CANARY"}"#)],
            Expected::Error(ConsentError::needs_consent, Fate::Spent),
            |operation| matches!(operation.kind(), Kind::Refresh | Kind::Code),
        ),
        replies(
            "400, 401 or 403 on refresh with an empty body, {\"message\":\"Forbidden\"} or an unknown error (a gateway)",
            Class::Final,
            [400, 401, 403]
                .into_iter()
                .flat_map(|status| {
                    ["", r#"{"message":"CANARY"}"#, r#"{"error":"CANARY"}"#].map(|body| reply(status, &[], body))
                })
                .collect(),
            Expected::Error(
                |error| error.needs_consent() && matches!(error.refusal(), Some(Refusal::Suspected { .. })),
                Fate::Spent,
            ),
            |operation| operation.kind() == Kind::Refresh,
        ),
        replies(
            "invalid_client with 400 or 401",
            Class::Final,
            [400, 401]
                .map(|status| reply(status, &[], r#"{"error":"invalid_client","error_description":"CANARY"}"#))
                .to_vec(),
            Expected::Error(|error| error.is_credentials() && !error.needs_consent(), Fate::Spent),
            |operation| operation.is_outbound(),
        ),
        replies(
            "UNAUTHORIZED",
            Class::Final,
            vec![reply(401, &[], r#"{"HttpStatusCode":401,"Message":"CANARY","FlinksCode":"UNAUTHORIZED"}"#)],
            Expected::Error(ConsentError::is_credentials, Fate::Spent),
            |operation| operation == Operation::ConnectGenerate,
        ),
        replies(
            "401 with TOO_MANY_REQUESTS",
            Class::Busy,
            vec![reply(
                401,
                &[],
                r#"{"HttpStatusCode":401,"FlinksCode":"TOO_MANY_REQUESTS","error":"TOO_MANY_REQUESTS","Message":"CANARY"}"#,
            )],
            Expected::Error(ConsentError::is_rate_limited, Fate::Spent),
            |operation| operation.is_outbound() || matches!(operation, Operation::ConnectGenerate),
        ),
        replies(
            "a documented error with a code that nobody knows",
            Class::Final,
            vec![reply(
                418,
                &[("ob-trace-id", "CANARY")],
                r#"{"error":"CANARY","error_description":"CANARY","message":"CANARY","Message":"CANARY","FlinksCode":"CANARY"}"#,
            )],
            Expected::Error(|error| error.status() == Some(418) && error.message().is_some(), Fate::Spent),
            |operation| operation != Operation::PayAuthorize,
        ),
        replies(
            "429 and 503",
            Class::Busy,
            vec![html(429), html(503)],
            Expected::Error(ConsentError::is_transient, Fate::Unknown),
            all,
        ),
        replies(
            "Retry-After: 5, an HTTP date, a past date, -1, 0, 1.5, text",
            Class::Busy,
            ["5", &soon, "Sun, 06 Nov 1994 08:49:37 GMT", "-1", "0", "1.5", "soon"]
                .map(|text| reply(429, &[("retry-after", text), ("content-type", "text/html")], "<html>"))
                .to_vec(),
            Expected::Error(ConsentError::is_rate_limited, Fate::Unknown),
            all,
        ),
        replies(
            "Retry-After: 20 digits",
            Class::Final,
            ["99999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT"]
                .map(|text| reply(429, &[("retry-after", text), ("content-type", "text/html")], "<html>"))
                .to_vec(),
            Expected::Error(|error| error.is_rate_limited() && error.retry_after().is_some(), Fate::Unknown),
            |operation| operation.kind() != Kind::Spend && operation.kind() != Kind::Code,
        ),
    ]
}
