//! Rows for unusable responses that are sent instead of a success: a redirect, an empty body, an
//! error code, an endless body, and bytes that are not HTTP.

use flinks_consents::flinks::Cause;
use flinks_emulator::Fault;

use crate::case::{FailureClass, Kind, Operation, TokenFate};
use crate::prelude::*;
use crate::replies::*;

pub(crate) fn rows() -> Vec<Row> {
    let headers: Vec<(String, String)> = (0..200).map(|index| (format!("x-{index}"), "y".to_owned())).collect();
    let bad_http = Expected::Error(ConsentError::is_transient, TokenFate::Unknown);
    vec![
        replies(
            "301, 302, 303, 307, 308 to another host, port or scheme",
            FailureClass::Final,
            [301, 302, 303, 307, 308]
                .map(|status| Fault::Redirect { status, location: "http://127.0.0.1:9/elsewhere".to_owned() })
                .to_vec(),
            Expected::Error(|error| error.cause() == Some(Cause::Redirect), TokenFate::Unknown),
            all,
        ),
        replies(
            "200 or 204 without a body",
            FailureClass::Final,
            vec![Fault::status(200), Fault::status(204)],
            MALFORMED,
            has_body,
        ),
        replies(
            "200 with {\"error\":\"invalid_grant\"}",
            FailureClass::Final,
            vec![reply(200, &[], r#"{"error":"invalid_grant","error_description":"CANARY"}"#)],
            Expected::Error(
                |error| error.oauth_error().is_some() && error.cause() != Some(Cause::Malformed),
                TokenFate::Spent,
            ),
            Operation::is_outbound,
        ),
        replies(
            "Connect 200 with HttpStatusCode 401 in the body",
            FailureClass::Final,
            vec![reply(200, &[], r#"{"HttpStatusCode":401,"Message":"CANARY","FlinksCode":"UNAUTHORIZED"}"#)],
            Expected::Error(
                |error| error.flinks_code().is_some() && error.cause() != Some(Cause::Malformed),
                TokenFate::Spent,
            ),
            |operation| operation == Operation::ConnectGenerate,
        ),
        replies(
            "a token and an error code in a 200",
            FailureClass::Final,
            [200, 203]
                .map(|status| {
                    let codes = r#""error":"invalid_grant","FlinksCode":"UNAUTHORIZED","HttpStatusCode":401,"#;
                    reply(status, &[], success("\"CANARY\"", codes))
                })
                .to_vec(),
            Expected::Error(|error| error.status().is_some_and(|status| status < 400), TokenFate::Spent),
            has_body,
        ),
        replies(
            "a token and an error code in a 200: the error has the code",
            FailureClass::Final,
            [200, 203]
                .map(|status| {
                    let more =
                        r#""SecurityChallenges":[{"Prompt":"p"}],"error":"invalid_grant","FlinksCode":"UNAUTHORIZED","#;
                    reply(status, &[], success("\"CANARY\"", more))
                })
                .to_vec(),
            Expected::Error(
                |error| {
                    (error.oauth_error().is_some() || error.flinks_code().is_some())
                        && error.cause() != Some(Cause::Malformed)
                },
                TokenFate::Spent,
            ),
            |operation| {
                has_body(operation) && !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession)
            },
        ),
        replies(
            "a token and an error code that is not text or belongs to another product",
            FailureClass::Final,
            [
                r#""error":{"code":"CANARY"},"FlinksCode":{"code":"CANARY"},"#,
                r#""error":["CANARY"],"FlinksCode":["CANARY"],"#,
                r#""error":401,"FlinksCode":401,"#,
                r#""error":1e400,"FlinksCode":1e400,"#,
                r#""error":true,"FlinksCode":true,"#,
                r#""error":null,"error":"CANARY","FlinksCode":"","FlinksCode":"CANARY","#,
                r#""error":"CANARY","#,
                r#""FlinksCode":"CANARY","#,
            ]
            .map(|more| ok(success("\"emu_a\"", more)))
            .to_vec(),
            Expected::Error(|error| error.status() == Some(200) && !error.is_transient(), TokenFate::Unknown),
            |operation| has_body(operation) && operation.kind() != Kind::Code && operation.kind() != Kind::Spend,
        ),
        replies(
            "a token with an empty error code, or with only a Message",
            FailureClass::Final,
            [
                r#""error":null,"FlinksCode":null,"#,
                r#""error":"","FlinksCode":"","#,
                r#""error":"  ","FlinksCode":"  ","#,
                r#""error":false,"FlinksCode":false,"#,
                r#""error":[],"FlinksCode":{},"#,
                r#""Message":"CANARY","message":"CANARY","error_description":"CANARY","#,
            ]
            .map(|more| ok(success("\"emu_a\"", more)))
            .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "Connect 200 or 203 with HttpStatusCode 401 in the body",
            FailureClass::Final,
            [200, 203]
                .map(|status| {
                    let more = r#""HttpStatusCode":401,"SecurityChallenges":[{"Prompt":"CANARY"}],"#;
                    reply(status, &[], success("\"CANARY\"", more))
                })
                .to_vec(),
            Expected::Error(
                |error| error.cause() == Some(Cause::Malformed) && error.field() == Some("HttpStatusCode"),
                TokenFate::Unknown,
            ),
            |operation| matches!(operation, Operation::ConnectGenerate | Operation::ConnectAuthorize),
        ),
        replies("200 with HTML (portal, firewall)", FailureClass::Final, vec![html(200)], MALFORMED, all),
        replies(
            "200 with a body, 202 or 203 on revoke",
            FailureClass::Final,
            vec![
                ok(success("\"CANARY\"", "")),
                ok("{}".to_owned()),
                ok("\r\n".to_owned()),
                ok(r#"{"revoked":true}"#.to_owned()),
                reply(201, &[], ""),
                reply(202, &[], ""),
                reply(202, &[], r#"{"status":"CANARY"}"#),
                reply(203, &[], ""),
                reply(203, &[("content-type", "text/html")], "<html>CANARY</html>"),
                reply(205, &[], ""),
                reply(206, &[], ""),
                reply(226, &[], ""),
            ],
            MALFORMED,
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "202 or 203 with {\"error\":\"server_error\"} on revoke",
            FailureClass::Failed,
            [202, 203].map(|status| reply(status, &[], r#"{"error":"server_error"}"#)).to_vec(),
            Expected::Error(
                |error| error.oauth_error().is_some() && error.cause() != Some(Cause::Malformed),
                TokenFate::None,
            ),
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "200 or 204 without a body on revoke",
            FailureClass::Final,
            vec![Fault::status(200), Fault::status(204)],
            Expected::Success,
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "valid JSON with the content type text/plain, an empty one, or one with a charset",
            FailureClass::Final,
            ["text/plain", "", "application/json; charset=utf-8"]
                .map(|label| reply(200, &[("content-type", label)], success("\"emu_a\"", "")))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "an endless body; a Content-Length of 10 GB and no more data; 200 000 nested [",
            FailureClass::Final,
            vec![
                Fault::EndlessBody,
                reply(200, &[("content-length", "10000000000")], "{"),
                // This body exceeds the size limit. A row in `fields.rs` has a nested body within
                // the limit.
                ok("[".repeat(200_000)),
            ],
            Expected::Error(
                |error| !error.is_transient() && error.to_string().contains("larger than its limit"),
                TokenFate::Unknown,
            ),
            all,
        ),
        replies(
            "100+ headers, a header of 1 MiB, a garbage status line, two Content-Lengths, an SSH banner",
            FailureClass::MayHaveBeenSent,
            vec![
                Fault::Reply { status: 200, headers, body: "{}".to_owned() },
                reply(200, &[("x", &"CANARY".repeat(1 << 15))], "{}"),
                garbage("HTTP/1.1 CANARY\r\n\r\n"),
                reply(200, &[("content-length", "2"), ("content-length", "3")], "{}"),
                garbage("SSH-2.0-CANARY\r\n"),
            ],
            bad_http,
            all,
        ),
    ]
}
