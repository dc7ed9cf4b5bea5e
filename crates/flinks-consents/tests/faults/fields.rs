//! Rows for bodies that are not JSON, and for fields with an unexpected type or value.

use crate::case::{FailureClass, Kind, Operation, TokenFate};
use crate::replies::*;
use flinks_consents::flinks::Cause;

pub(crate) fn rows() -> Vec<Row> {
    let mut nested = "[".repeat(60_000);
    nested.insert_str(0, "{\"access_token\":");
    let many: String = (0..4000).map(|index| format!("\"x{index}\":{index},")).collect();
    vec![
        replies(
            "truncated JSON, trailing garbage, NaN, 60 000 nested [",
            FailureClass::Final,
            vec![
                ok(success("\"CANARY\"", "").trim_end_matches('}').to_owned()),
                ok(format!("{} CANARY", success("\"CANARY\"", ""))),
                ok(success("\"CANARY\"", "\"x\":NaN,")),
                ok(nested),
            ],
            MALFORMED,
            all,
        ),
        replies(
            "top-level array, null, {}; token for Token",
            FailureClass::Final,
            ["[]", "null", "{}", r#"{"token":"CANARY"}"#, "7", "\"CANARY\""].map(|body| ok(body.to_owned())).to_vec(),
            MALFORMED,
            all,
        ),
        replies(
            "10 000 unknown members within the limit",
            FailureClass::Final,
            vec![ok(success("\"emu_a\"", &many)), ok(success("\"emu_a\"", &"\"x\":0,".repeat(10_000)))],
            Expected::Success,
            has_body,
        ),
        replies(
            "token null, empty, blank, with CR/LF/NUL/space",
            FailureClass::Final,
            ["null", "\"\"", "\"  \"", r#""CANARY\r\n_a""#, r#""CANARY\u0000_a""#, "\"CANARY a\"", "7", "[\"CANARY\"]"]
                .map(|token| ok(success(token, "")))
                .to_vec(),
            MALFORMED,
            returns_a_token,
        ),
        replies(
            "token_type bearer, BEARER, absent",
            FailureClass::Final,
            ["\"token_type\":\"bearer\",", "\"token_type\":\"BEARER\",", ""]
                .map(|more| ok(success("\"emu_a\"", more)))
                .to_vec(),
            Expected::Success,
            has_token_type,
        ),
        replies(
            "token_type DPoP, 7",
            FailureClass::Final,
            ["\"token_type\":\"DPoP\",", "\"token_type\":7,", "\"token_type\":\"CANARY\","]
                .map(|more| ok(success("\"emu_a\"", more)))
                .to_vec(),
            Expected::Error(|error| error.field() == Some("token_type"), TokenFate::Unknown),
            has_token_type,
        ),
        replies(
            "expires_in absent, 0, 299.0, \"299\", 18446744073709551615, 1e20, 1, 2, 10, 299, 599, 3600",
            FailureClass::Final,
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
            "expires_in 1e400, -1e400, a list, an object, text, a deeply nested value",
            FailureClass::Final,
            ["1e400", "-1e400", "[299]", "{\"a\":{}}", "\"CANARY\"", "true", &deep()]
                .map(|value| ok(success("\"emu_a\"", &format!("\"expires_in\":{value},"))))
                .to_vec(),
            Expected::Success,
            has_token_type,
        ),
        replies(
            "optional fields of another type",
            FailureClass::Final,
            ["7", "1e400", "[\"CANARY\"]", "{\"a\":\"CANARY\"}", "true", "\"CANARY\"", &deep()]
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
            "HttpStatusCode 200 as text, 200.0, null or unreadable",
            FailureClass::Final,
            ["\"200\"", "\" 200 \"", "200.0", "null", "\"CANARY\"", "[]", "1e400"]
                .map(|value| ok(success("\"emu_a\"", &format!("\"HttpStatusCode\":{value},"))))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "HttpStatusCode 401 as text or 401.0",
            FailureClass::Final,
            ["\"401\"", "401.0", "4.01e2"]
                .map(|value| ok(success("\"CANARY\"", &format!("\"HttpStatusCode\":{value},"))))
                .to_vec(),
            Expected::Error(
                |error| error.cause() == Some(Cause::Malformed) && error.field() == Some("HttpStatusCode"),
                TokenFate::Unknown,
            ),
            |operation| matches!(operation, Operation::ConnectGenerate | Operation::ConnectAuthorize),
        ),
        replies(
            "an error code next to fields of another type",
            FailureClass::Final,
            [
                r#""error_description":["CANARY"],"HttpStatusCode":"401","Message":null,"message":["CANARY"]"#,
                r#""error_description":{"a":1e400},"HttpStatusCode":[401],"Message":["CANARY"],"message":7"#,
                r#""error_description":7,"HttpStatusCode":1e400,"Message":7,"message":null"#,
            ]
            .map(|rest| reply(400, &[], format!(r#"{{"error":"invalid_grant","FlinksCode":"UNAUTHORIZED",{rest}}}"#)))
            .to_vec(),
            Expected::Error(|error| error.oauth_error().is_some() || error.flinks_code().is_some(), TokenFate::Spent),
            |operation| !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession),
        ),
        replies(
            "a refresh_token that is not text",
            FailureClass::Final,
            ["7", "[\"CANARY\"]", "true"]
                .map(|value| ok(success("\"emu_a\"", "").replace("\"emu_r\"", value)))
                .to_vec(),
            Expected::Error(
                |error| error.cause() == Some(Cause::Malformed) && error.field() == Some("refresh_token"),
                TokenFate::Unknown,
            ),
            |operation| operation.is_outbound() && has_body(operation),
        ),
        replies(
            "a UTF-8 BOM before valid JSON",
            FailureClass::Final,
            [200, 203]
                .map(|status| reply(status, &[], format!("\u{feff}{}", success("\"emu_a\"", CHALLENGE))))
                .to_vec(),
            Expected::Success,
            has_body,
        ),
        replies(
            "a UTF-8 BOM before a valid error",
            FailureClass::Final,
            [200, 400]
                .map(|status| {
                    reply(status, &[], "\u{feff} {\"error\":\"invalid_grant\",\"FlinksCode\":\"UNAUTHORIZED\"}")
                })
                .to_vec(),
            Expected::Error(|error| error.oauth_error().is_some() || error.flinks_code().is_some(), TokenFate::Spent),
            |operation| !matches!(operation, Operation::PayAuthorize | Operation::PayInitiateSession),
        ),
        replies(
            "two BOMs, a BOM alone, a BOM of UTF-16",
            FailureClass::Final,
            vec![
                ok(format!("\u{feff}\u{feff}{}", success("\"CANARY\"", ""))),
                ok("\u{feff}".to_owned()),
                ok(format!("\u{fffe}{}", success("\"CANARY\"", ""))),
            ],
            MALFORMED,
            all,
        ),
        replies(
            "a refresh response with an empty or no refresh_token",
            FailureClass::Final,
            vec![
                ok(r#"{"access_token":"emu_a","expires_in":299,"refresh_token":""}"#.to_owned()),
                ok(r#"{"access_token":"emu_a","expires_in":299}"#.to_owned()),
            ],
            Expected::Success,
            |operation| operation.kind() == Kind::Refresh,
        ),
    ]
}
