//! The base URL, documented response headers and documented redirects.

use flinks_core::{ErrorKind, Secret};

use super::generated::types::GetLatestStatementResponse;
use super::generated::{Client, SERVERS};
use super::server::{Server, json, response};

#[tokio::test]
async fn a_path_prefix_of_the_base_url_is_kept() {
    assert_eq!(SERVERS, ["https://api.bank.example/open-banking/v3", "https://sandbox.bank.example"]);
    let server = Server::start().await;
    for prefix in ["/open-banking/v3", "/open-banking/v3/"] {
        let client = Client::new(format!("{}{prefix}", server.url()).parse().unwrap()).unwrap();
        let call = client.get_holder("a/b").send();
        let (request, _) = server.exchange(&json("{}"), call).await;
        assert_eq!(request.line, "GET /open-banking/v3/accounts/a%2Fb/holder HTTP/1.1");
    }
}

#[tokio::test]
async fn documented_response_headers_are_kept() {
    let server = Server::start().await;
    let client = server.client();
    let key = Secret::new("k");
    let call = || client.list_accounts((&key).into()).send();

    let headers = "X-Next: canary\r\nX-Secret: other\r\nretry-after: 7\r\n";
    let (_, outcome) = server.exchange(&response(200, headers, "[]"), call()).await;
    let answer = outcome.unwrap();
    let next = answer.head().header("x-next").unwrap();
    assert_eq!(next, "canary");
    assert!(next.is_sensitive());
    assert_eq!(answer.head().header("X-NEXT").unwrap(), "canary");
    assert!(answer.head().header("x-remaining").is_none());
    assert!(answer.head().header("x-secret").is_none());
    assert_eq!(answer.head().header("Retry-After").unwrap(), "7");
    let text = format!("{answer:?} {:?}", answer.head());
    assert!(!text.contains("canary"), "{text}");

    // The head of an error contains the headers, too.
    let (_, outcome) = server.exchange(&response(429, "X-Reset: canary\r\n", r#"{"title":"t"}"#), call()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.body().unwrap().title, "t");
    assert_eq!(error.head().unwrap().header("x-reset").unwrap(), "canary");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");

    let (_, outcome) = server.exchange(&response(200, "X-Next: canary\r\n", "{}"), call()).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error}");
    assert_eq!(error.head().unwrap().header("x-next").unwrap(), "canary");
}

#[tokio::test]
async fn a_documented_redirect_is_returned_and_not_followed() {
    let server = Server::start().await;
    let client = server.client();
    let location = format!("{}/elsewhere?code=canary", server.url());
    let redirect = response(302, &format!("Location: {location}\r\n"), "");
    let (request, outcome) = server.exchange(&redirect, client.authorize_consent("1").send()).await;
    assert_eq!(request.line, "GET /consents/1/authorize HTTP/1.1");
    let answer = outcome.unwrap();
    assert_eq!(answer.location(), location);
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.head().header("location").unwrap(), location.as_str());
    let text = format!("{answer:?}");
    assert!(!text.contains("canary"), "{text}");
    server.assert_idle();
}

#[tokio::test]
async fn a_redirect_that_is_not_a_result_is_an_error() {
    let server = Server::start().await;
    let client = server.client();
    let call = || client.authorize_consent("1").send();

    for headers in ["", "Location: \r\n", "Location: /\u{e9}\r\n"] {
        let (_, outcome) = server.exchange(&response(302, headers, ""), call()).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error}");
        assert_eq!(error.status().unwrap(), 302);
    }

    let location = "Location: https://canary.example\r\n";
    for status in [301, 303, 304, 307, 308] {
        let (_, outcome) = server.exchange(&response(status, location, ""), call()).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }

    let (_, outcome) = server.exchange(&response(400, "", r#"{"title":"t"}"#), call()).await;
    assert_eq!(outcome.unwrap_err().body().unwrap().title, "t");
    // No successful response is documented.
    let (_, outcome) = server.exchange(&response(200, "", ""), call()).await;
    assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::Status(_)));
    server.assert_idle();
}

#[tokio::test]
async fn the_status_selects_the_result_the_redirect_or_no_change() {
    let server = Server::start().await;
    let client = server.client();
    let call = || client.get_latest_statement().if_none_match("\"v1\"").send();

    let (request, outcome) = server.exchange(&response(200, "ETag: \"v2\"\r\n", r#"{"amount":7}"#), call()).await;
    assert_eq!(request.header("if-none-match"), ["\"v1\""]);
    let answer = outcome.unwrap();
    assert_eq!(answer.head().header("etag").unwrap(), "\"v2\"");
    let GetLatestStatementResponse::Balance(balance) = answer.into_inner() else { panic!() };
    assert_eq!(balance.amount, 7);

    let (_, outcome) = server.exchange("HTTP/1.1 304 X\r\nconnection: close\r\nETag: \"v1\"\r\n\r\n", call()).await;
    let answer = outcome.unwrap();
    assert_eq!(answer.head().header("etag").unwrap(), "\"v1\"");
    assert!(matches!(answer.into_inner(), GetLatestStatementResponse::Status304));

    let (_, outcome) = server.exchange(&response(303, "Location: /s/1\r\n", ""), call()).await;
    let GetLatestStatementResponse::Status303(redirect) = outcome.unwrap().into_inner() else { panic!() };
    assert_eq!(redirect.location(), "/s/1");

    let (_, outcome) = server.exchange(&response(302, "Location: /s/1\r\n", ""), call()).await;
    assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::Redirect));
    server.assert_idle();
}
