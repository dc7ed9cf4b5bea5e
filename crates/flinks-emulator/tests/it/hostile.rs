//! Tests that the emulator responds to invalid input with the documented error, or with a message
//! in a JSON body if no error is documented.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{local, send};

#[tokio::test]
async fn unknown_paths_get_404_and_wrong_methods_get_405() {
    let local = local().await;
    for (method, path, status, allow) in [
        (Method::GET, "/api/v1/token", 405, Some("POST")),
        (Method::PUT, "/api/v1/authorize", 405, Some("POST, GET")),
        (Method::HEAD, "/v2/", 405, Some("GET")),
        (Method::OPTIONS, "/api/v1/revoke", 405, Some("DELETE")),
        (Method::POST, "/api/v1/paymentrequests/1", 405, Some("GET")),
        (Method::GET, "/v3/a/b/BankingServices/Authorize", 404, None),
        (Method::GET, "//v3/oauth/authorize", 404, None),
        (Method::POST, "/API/V1/TOKEN", 404, None),
        (Method::POST, "/api/v1/token/", 404, None),
        (Method::GET, "/favicon.ico", 404, None),
        (Method::POST, "/__emulatorrelease", 404, None),
    ] {
        let response = local.request(method.clone(), path).send().await.unwrap();
        assert_eq!(response.headers().get("allow").map(|value| value.to_str().unwrap()), allow, "{path}");
        assert_eq!(response.status(), status, "{path}");
        if method != Method::HEAD {
            let body: Value = response.json().await.unwrap();
            assert!(body["error"].is_string());
            assert!(body["message"].is_string());
        }
    }
}

#[tokio::test]
async fn invalid_json_and_duplicate_fields_are_rejected() {
    let local = local().await;
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let duplicate = r#"{"grant_type": "client_credentials", "grant_type": "refresh_token"}"#;
    for body in ["", "{", "null", "7", "[]", "{} {}", "\u{feff}{}", "{\"grant_type\": NaN}", duplicate, &nested] {
        let token = local.post("/api/v1/token").header("content-type", "application/json").body(body.to_owned());
        assert_eq!(send(token).await.error(), (400, "invalid_request"), "{body:.20}");
        let token = local.authorize_token().await;
        let authorize = local.connect("Authorize", &token).header("content-type", "application/json");
        assert_eq!(send(authorize.body(body.to_owned())).await.code(), (400, "INVALID_REQUEST"), "{body:.20}");
        let session = local.post("/api/v1/sessions/initiate").bearer_auth(local.session_token().await);
        let response = send(session.header("content-type", "application/json").body(body.to_owned())).await;
        assert_eq!(response.status, 400);
        assert!(response.body["message"].is_string());
    }
    let not_utf8 = local.post("/api/v1/token").header("content-type", "application/json").body(vec![b'{', 0xff]);
    assert_eq!(send(not_utf8).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn wrong_and_duplicate_content_types_are_rejected() {
    let local = local().await;
    let body = json!({"grant_type": "client_credentials", "client_id": "dc-emulator", "client_secret": "emulator-client-secret"});
    let post = || local.post("/api/v1/token").body(body.to_string());
    let typed = |value: &str| post().header("content-type", value);
    for request in [
        post(),
        typed("text/plain"),
        typed("application/jsonx"),
        typed("application/json").header("content-type", "application/json"),
    ] {
        assert_eq!(send(request).await.error(), (400, "invalid_request"));
    }
    for value in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(send(typed(value)).await.status, 200, "{value}");
    }
}

#[tokio::test]
async fn bodies_above_64_kib_are_rejected() {
    let local = local().await;
    for (path, size, status) in [
        ("/api/v1/token", 64 * 1024, 400),
        ("/api/v1/token", 64 * 1024 + 1, 413),
        ("/api/v1/authorize", 1 << 20, 413),
        ("/nothing", 1 << 20, 413),
        ("/__emulator/advance", 1 << 20, 413),
    ] {
        // The server may close the connection while the client is still sending. The client then
        // does not receive the response.
        match local.post(path).body(vec![b'x'; size]).send().await {
            Ok(response) => assert_eq!(response.status(), status, "{path}"),
            Err(_) => assert!(size > 64 * 1024 + 1, "{path}"),
        }
    }
    assert_eq!(send(local.pay_authorize()).await.status, 200);
}

#[tokio::test]
async fn malformed_http_gets_a_4xx_or_no_response() {
    let local = local().await;
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for bytes in [
        "",
        "\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{0}",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /api/v1/token HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        "POST /api/v1/token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /api/v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /api/v1/token HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
        &long,
        &many,
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may respond before it has received all bytes, or reset the connection while
        // bytes are still unread.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        let is_refused = response.starts_with(b"HTTP/1.1 4");
        // A client that sends nothing or stops in the middle of a body receives no response. If the
        // server refuses a long request before it has read the whole request, the connection is
        // reset, and the client may lose the response.
        let breaks_off = bytes.ends_with("half") || bytes.ends_with("zz\r\n");
        let may_be_silent = response.is_empty() && (bytes.trim().is_empty() || bytes.len() > 60_000 || breaks_off);
        assert!(is_refused || may_be_silent, "{bytes:.40}: {}", String::from_utf8_lossy(&response));
    }
    assert_eq!(send(local.pay_authorize()).await.status, 200);

    // The ledger contains the part of the incomplete request that was received.
    let incomplete = local.emulator.requests().into_iter().find(|request| request.body.as_ref() == b"half").unwrap();
    assert!(!incomplete.complete);
    assert!(!incomplete.processed);
    assert_eq!(incomplete.status, None);
}

#[tokio::test]
async fn unknown_visits_get_404_and_invalid_forms_get_400() {
    let local = local().await;
    for path in ["/__pages/connect/x", "/__pages/bank/x", "/__pages/consent/x"] {
        let response = send(local.post(path).form(&[("decision", "agree")])).await;
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(send(local.get(path)).await.status, 404, "{path}");
    }
    let token = local.authorize_token().await;
    let query = [("authorizeToken", &*token), ("redirectUrl", "https://app.example/")];
    let page = send(local.get("/v2/").query(&query)).await;
    let (_, form) = page.body.as_str().unwrap().split_once("action=\"").unwrap();
    let form = form.split_once('"').unwrap().0;
    assert_eq!(send(local.post(form).json(&json!({"institution": "FlinksCapital"}))).await.status, 400);
    assert_eq!(send(local.post(form).form(&[("institution", "a"), ("institution", "b")])).await.status, 400);
    assert_eq!(send(local.post(form).form(&[("institution", "FlinksCapital")])).await.status, 303);
}
