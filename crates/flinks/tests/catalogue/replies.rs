//! The rows of "Replies" and "Connections".

use std::fmt::Write as _;

use flinks::{Error, Refusal};
use flinks_emulator::{Fault, When};

use crate::case::{Case, Class, Fate, Kind, Operation, tries};

/// What the server does, in the words of the list of faults, and what is expected.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) section: &'static str,
    pub(crate) given: &'static str,
    faults: Vec<Fault>,
    class: Class,
    expected: Expected,
    concerns: fn(Operation) -> bool,
}

#[derive(Clone, Copy)]
enum Expected {
    Success,
    /// An error for which this holds; and what became of what is spent.
    Error(fn(&Error) -> bool, Fate),
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
            (Expected::Error(..), None) => panic!("a success for {fault:?}"),
            (Expected::Error(holds, fate), Some(error)) => {
                assert!(holds(error), "{error} for {fault:?}");
                let is_spent = !matches!(outcome.fate, Fate::None);
                assert!(!is_spent || outcome.fate == fate, "{:?} for {fault:?}", outcome.fate);
                assert!(error.may_have_been_sent());
            }
        }
        assert_eq!(outcome.requests, tries(operation.kind(), row.class), "requests for {fault:?}");
    }
}

/// Whether a success has a body: that of a revocation has none.
fn has_body(operation: Operation) -> bool {
    operation != Operation::Revoke
}

fn gives_a_token(operation: Operation) -> bool {
    has_body(operation) && !matches!(operation, Operation::PayInitiateSession | Operation::ConnectAuthorize)
}

fn has_token_type(operation: Operation) -> bool {
    gives_a_token(operation) && operation != Operation::ConnectGenerate
}

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Reply { status, headers, body: body.into() }
}

fn html(status: u16) -> Fault {
    reply(status, &[("content-type", "text/html")], "<html>CANARY</html>")
}

fn garbage(bytes: &str) -> Fault {
    Fault::Garbage { bytes: bytes.as_bytes().to_vec() }
}

/// A success of every operation, with `more` in it, and `tokens` as each of its tokens.
fn success(tokens: &str, more: &str) -> String {
    format!(
        r#"{{{more}"access_token":{tokens},"refresh_token":"emu_r","Token":{tokens},"sessionId":"s","referenceId":"r","RequestId":"q","Login":{{"Id":"l"}}}}"#
    )
}

/// The question of a bank.
const CHALLENGE: &str = r#""SecurityChallenges":[{"Prompt":"p"}],"#;

pub(crate) fn rows() -> Vec<Row> {
    let replies = |given, class, faults: Vec<Fault>, expected, concerns: fn(Operation) -> bool| Row {
        section: "Replies",
        given,
        faults,
        class,
        expected,
        concerns,
    };
    let connections = |given, faults| Row {
        section: "Connections",
        given,
        faults,
        class: Class::MayHaveBeenSent,
        expected: Expected::Error(Error::is_transient, Fate::Unknown),
        concerns: |_| true,
    };
    let all: fn(Operation) -> bool = |_| true;
    let malformed = Expected::Error(Error::is_malformed, Fate::Unknown);
    let ok = |body: String| reply(200, &[], body);
    let mut nested = "[".repeat(60_000);
    nested.insert_str(0, "{\"access_token\":");
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(15));
    let mut many = String::new();
    for index in 0..4000 {
        write!(many, "\"x{index}\":{index},").unwrap();
    }
    let headers: Vec<(String, String)> = (0..200).map(|index| (format!("x-{index}"), "y".to_owned())).collect();
    let bad_http = Expected::Error(Error::is_transient, Fate::Unknown);
    vec![
        replies(
            "301, 302, 303, 307, 308 to another host, port or scheme",
            Class::Final,
            [301, 302, 303, 307, 308]
                .map(|status| Fault::Redirect { status, location: "http://127.0.0.1:9/elsewhere".to_owned() })
                .to_vec(),
            Expected::Error(Error::is_redirect, Fate::Unknown),
            all,
        ),
        replies(
            "200 or 204 without a body",
            Class::Final,
            vec![Fault::status(200), Fault::status(204)],
            malformed,
            has_body,
        ),
        replies(
            "200 with {\"error\":\"invalid_grant\"}",
            Class::Final,
            vec![reply(200, &[], r#"{"error":"invalid_grant","error_description":"CANARY"}"#)],
            Expected::Error(|error| error.oauth_error().is_some() && !error.is_malformed(), Fate::Spent),
            Operation::is_outbound,
        ),
        replies(
            "Connect 200 whose body says 401",
            Class::Final,
            vec![reply(200, &[], r#"{"HttpStatusCode":401,"Message":"CANARY","FlinksCode":"UNAUTHORIZED"}"#)],
            Expected::Error(|error| error.flinks_code().is_some() && !error.is_malformed(), Fate::Spent),
            |operation| operation == Operation::ConnectGenerate,
        ),
        replies(
            "a token and an error code in one 200",
            Class::Final,
            [200, 203]
                .map(|status| {
                    let codes = r#""error":"invalid_grant","FlinksCode":"UNAUTHORIZED","HttpStatusCode":401,"#;
                    reply(status, &[], success("\"CANARY\"", codes))
                })
                .to_vec(),
            Expected::Error(|error| error.status().is_some_and(|status| status < 400), Fate::Spent),
            has_body,
        ),
        replies(
            "a token and an error code in one 200: the error has the code",
            Class::Final,
            [200, 203]
                .map(|status| {
                    let more =
                        r#""SecurityChallenges":[{"Prompt":"p"}],"error":"invalid_grant","FlinksCode":"UNAUTHORIZED","#;
                    reply(status, &[], success("\"CANARY\"", more))
                })
                .to_vec(),
            Expected::Error(
                |error| (error.oauth_error().is_some() || error.flinks_code().is_some()) && !error.is_malformed(),
                Fate::Spent,
            ),
            |operation| {
                has_body(operation) && !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession)
            },
        ),
        replies(
            "a token and an error code that is not text, or of another product",
            Class::Final,
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
            Expected::Error(|error| error.status() == Some(200) && !error.is_transient(), Fate::Unknown),
            |operation| has_body(operation) && operation.kind() != Kind::Code && operation.kind() != Kind::Spend,
        ),
        replies(
            "an empty error code, or a Message alone, beside a token",
            Class::Final,
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
            "Connect 203 whose body says 401",
            Class::Final,
            [200, 203]
                .map(|status| {
                    let more = r#""HttpStatusCode":401,"SecurityChallenges":[{"Prompt":"CANARY"}],"#;
                    reply(status, &[], success("\"CANARY\"", more))
                })
                .to_vec(),
            Expected::Error(|error| error.is_malformed() && error.field() == Some("HttpStatusCode"), Fate::Unknown),
            |operation| matches!(operation, Operation::ConnectGenerate | Operation::ConnectAuthorize),
        ),
        replies("200 with HTML (portal, firewall)", Class::Final, vec![html(200)], malformed, all),
        replies(
            "200 with a body, 202 or 203 on revoke",
            Class::Final,
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
            malformed,
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "202 or 203 with {\"error\":\"server_error\"} on revoke",
            Class::Failed,
            [202, 203].map(|status| reply(status, &[], r#"{"error":"server_error"}"#)).to_vec(),
            Expected::Error(|error| error.oauth_error().is_some() && !error.is_malformed(), Fate::None),
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "200 or 204 without a body on revoke",
            Class::Final,
            vec![Fault::status(200), Fault::status(204)],
            Expected::Success,
            |operation| operation == Operation::Revoke,
        ),
        replies(
            "right JSON labelled text/plain, without a label, with a charset",
            Class::Final,
            ["text/plain", "", "application/json; charset=utf-8"]
                .map(|label| reply(200, &[("content-type", label)], success("\"emu_a\"", "")))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "endless body; 10 GB announced, then silence",
            Class::Final,
            vec![
                Fault::EndlessBody,
                reply(200, &[("content-length", "10000000000")], "{"),
                // The one below is as deep as the limit allows.
                ok("[".repeat(200_000)),
            ],
            Expected::Error(|error| !error.is_transient() && error.to_string().contains("too large"), Fate::Unknown),
            all,
        ),
        replies(
            "100+ headers, a header of 1 MiB, a garbage status line, two Content-Lengths, an SSH banner",
            Class::MayHaveBeenSent,
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
            Expected::Error(Error::needs_consent, Fate::Spent),
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
            Expected::Error(Error::is_credentials, Fate::Spent),
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
            Expected::Error(Error::is_rate_limited, Fate::Spent),
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
            Expected::Error(Error::is_transient, Fate::Unknown),
            all,
        ),
        replies(
            "Retry-After: 5, an HTTP date, a past date, -1, 0, 1.5, text",
            Class::Busy,
            ["5", &soon, "Sun, 06 Nov 1994 08:49:37 GMT", "-1", "0", "1.5", "soon"]
                .map(|text| reply(429, &[("retry-after", text), ("content-type", "text/html")], "<html>"))
                .to_vec(),
            Expected::Error(Error::is_rate_limited, Fate::Unknown),
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
        replies(
            "truncated JSON, trailing garbage, NaN, 200 000 nested [",
            Class::Final,
            vec![
                ok(success("\"CANARY\"", "").trim_end_matches('}').to_owned()),
                ok(format!("{} CANARY", success("\"CANARY\"", ""))),
                ok(success("\"CANARY\"", "\"x\":NaN,")),
                ok(nested),
            ],
            malformed,
            all,
        ),
        replies(
            "top-level array, null, {}; token for Token",
            Class::Final,
            ["[]", "null", "{}", r#"{"token":"CANARY"}"#, "7", "\"CANARY\""].map(|body| ok(body.to_owned())).to_vec(),
            malformed,
            all,
        ),
        replies(
            "10 000 unknown members within the limit",
            Class::Final,
            vec![ok(success("\"emu_a\"", &many)), ok(success("\"emu_a\"", &"\"x\":0,".repeat(10_000)))],
            Expected::Success,
            has_body,
        ),
        replies(
            "token null, empty, blank, with CR/LF/NUL/space",
            Class::Final,
            ["null", "\"\"", "\"  \"", r#""CANARY\r\n_a""#, r#""CANARY\u0000_a""#, "\"CANARY a\"", "7", "[\"CANARY\"]"]
                .map(|token| ok(success(token, "")))
                .to_vec(),
            malformed,
            gives_a_token,
        ),
        replies(
            "token_type bearer, BEARER, absent",
            Class::Final,
            ["\"token_type\":\"bearer\",", "\"token_type\":\"BEARER\",", ""]
                .map(|more| ok(success("\"emu_a\"", more)))
                .to_vec(),
            Expected::Success,
            has_token_type,
        ),
        replies(
            "token_type DPoP, 7",
            Class::Final,
            ["\"token_type\":\"DPoP\",", "\"token_type\":7,", "\"token_type\":\"CANARY\","]
                .map(|more| ok(success("\"emu_a\"", more)))
                .to_vec(),
            Expected::Error(|error| error.field() == Some("token_type"), Fate::Unknown),
            has_token_type,
        ),
        replies(
            "expires_in absent, 0, 299.0, \"299\", 18446744073709551615, 1e20, 1, 2, 10, 299, 599, 3600",
            Class::Final,
            ["", "0", "299.0", "\"299\"", "18446744073709551615", "1e20", "1", "2", "10", "299", "599", "3600"]
                .map(|value| {
                    let more = if value.is_empty() { String::new() } else { format!("\"expires_in\":{value},") };
                    ok(success("\"emu_a\"", &more))
                })
                .to_vec(),
            Expected::Success,
            has_token_type,
        ),
        replies(
            "expires_in 1e400, -1e400, a list, an object, a text, a deeply nested value",
            Class::Final,
            ["1e400", "-1e400", "[299]", "{\"a\":{}}", "\"CANARY\"", "true", &deep]
                .map(|value| ok(success("\"emu_a\"", &format!("\"expires_in\":{value},"))))
                .to_vec(),
            Expected::Success,
            has_token_type,
        ),
        replies(
            "fields that nothing depends on, of another type",
            Class::Final,
            ["7", "1e400", "[\"CANARY\"]", "{\"a\":\"CANARY\"}", "true", "\"CANARY\"", &deep]
                .map(|value| {
                    let names = ["scope", "Links", "InstitutionName", "InstitutionId", "Institution", "referenceId"];
                    let more = names.map(|name| format!("\"{name}\":{value},")).concat();
                    let login = ["IsScheduledRefresh", "LastRefresh", "Type", "Username"];
                    let login = login.map(|name| format!("\"{name}\":{value},")).concat();
                    ok(success("\"emu_a\"", &more)
                        .replacen("\"Login\":{", &format!("\"Login\":{{{login}"), 1)
                        .replace("\"referenceId\":\"r\",", ""))
                })
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "HttpStatusCode 200 as a text, 200.0, null or unreadable",
            Class::Final,
            ["\"200\"", "\" 200 \"", "200.0", "null", "\"CANARY\"", "[]", "1e400"]
                .map(|value| ok(success("\"emu_a\"", &format!("\"HttpStatusCode\":{value},"))))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "HttpStatusCode 401 as a text or 401.0",
            Class::Final,
            ["\"401\"", "401.0", "4.01e2"]
                .map(|value| ok(success("\"CANARY\"", &format!("\"HttpStatusCode\":{value},"))))
                .to_vec(),
            Expected::Error(|error| error.is_malformed() && error.field() == Some("HttpStatusCode"), Fate::Unknown),
            |operation| matches!(operation, Operation::ConnectGenerate | Operation::ConnectAuthorize),
        ),
        replies(
            "an error code beside fields of another type",
            Class::Final,
            [
                r#""error_description":["CANARY"],"HttpStatusCode":"401","Message":null,"message":["CANARY"]"#,
                r#""error_description":{"a":1e400},"HttpStatusCode":[401],"Message":["CANARY"],"message":7"#,
                r#""error_description":7,"HttpStatusCode":1e400,"Message":7,"message":null"#,
            ]
            .map(|rest| reply(400, &[], format!(r#"{{"error":"invalid_grant","FlinksCode":"UNAUTHORIZED",{rest}}}"#)))
            .to_vec(),
            Expected::Error(|error| error.oauth_error().is_some() || error.flinks_code().is_some(), Fate::Spent),
            |operation| !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession),
        ),
        replies(
            "a refresh_token that is not text",
            Class::Final,
            ["7", "[\"CANARY\"]", "true"]
                .map(|value| ok(success("\"emu_a\"", "").replace("\"emu_r\"", value)))
                .to_vec(),
            Expected::Error(|error| error.is_malformed() && error.field() == Some("refresh_token"), Fate::Unknown),
            |operation| operation.is_outbound() && has_body(operation),
        ),
        replies(
            "a UTF-8 BOM before good JSON",
            Class::Final,
            [200, 203]
                .map(|status| reply(status, &[], format!("\u{feff}{}", success("\"emu_a\"", CHALLENGE))))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "a UTF-8 BOM before a good error",
            Class::Final,
            [200, 400]
                .map(|status| {
                    reply(status, &[], "\u{feff} {\"error\":\"invalid_grant\",\"FlinksCode\":\"UNAUTHORIZED\"}")
                })
                .to_vec(),
            Expected::Error(|error| error.oauth_error().is_some() || error.flinks_code().is_some(), Fate::Spent),
            |operation| !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession),
        ),
        replies(
            "two BOMs, a BOM alone, a BOM of UTF-16",
            Class::Final,
            vec![
                ok(format!("\u{feff}\u{feff}{}", success("\"CANARY\"", ""))),
                ok("\u{feff}".to_owned()),
                ok(format!("\u{fffe}{}", success("\"CANARY\"", ""))),
            ],
            malformed,
            all,
        ),
        replies(
            "refresh reply with an empty or no refresh_token",
            Class::Final,
            vec![
                ok(r#"{"access_token":"emu_a","expires_in":299,"refresh_token":""}"#.to_owned()),
                ok(r#"{"access_token":"emu_a","expires_in":299}"#.to_owned()),
            ],
            Expected::Success,
            |operation| operation.kind() == Kind::Refresh,
        ),
        connections(
            "reset after the whole request; FIN after the headers; half a body; bad chunk",
            vec![
                Fault::Reset { when: When::Before },
                garbage("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
                garbage("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":"),
                garbage("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
                Fault::Drop { when: When::Before },
            ],
        ),
    ]
}
