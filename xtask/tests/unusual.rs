//! Runs the code generated from a document with every unusual feature that the generator supports.
//!
//! The document and the generated code are in `tests/unusual`. `documents.rs` checks that the code
//! is up to date. `UPDATE=1 cargo test -p xtask --test documents` regenerates the code.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

#[rustfmt::skip]
#[path = "unusual/generated.rs"]
#[allow(dead_code, unreachable_pub)] // a test uses only some items
#[allow(clippy::elidable_lifetime_names)] // generated code names all lifetimes
mod generated;

use generated::types::{Item, MakeItRequest, MakeItRequestEither, MakeItRequestMoreItem, Size};

#[test]
fn debug_output_contains_no_secret() {
    let more = MakeItRequestMoreItem::new().key("canary");
    let request = MakeItRequest::new(Size("canary".into()), "canary".into(), 1)
        .more([more])
        .either(MakeItRequestEither::Item(Item::new().id("canary").size(Size("canary".into()))))
        .note("canary");
    let other = MakeItRequestEither::Password("canary".into());
    let text = format!("{request:?} {request:#?} {other:?}");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("MakeItRequest"), "{text}");
    // The client sends a field that has a default in the document. It omits other fields that were
    // not set.
    let json = serde_json::to_value(&request).unwrap();
    assert_eq!(json["retries"], 3);
    assert_eq!(json.get("at"), None);
}

#[tokio::test]
async fn an_argument_that_would_escape_its_place_is_not_sent() {
    let client = generated::Client::new("http://127.0.0.1:9".parse().unwrap()).unwrap();
    let kind = generated::types::GetItemKind::Small;
    let bad_key = flinks_core::Secret::new("a\nb");
    for (call, field) in [
        (client.get_item("..", kind, true), "item-id"),
        (client.get_item("a", kind, true).x_request_name("a\nb"), "X-Request-Name"),
        (client.get_item("a", kind, true).x_key(&bad_key), "x-key"),
    ] {
        let error = call.send().await.unwrap_err();
        assert!(!error.may_have_been_sent(), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

/// Accepts one request, sends `response` and returns the request.
async fn serve_once(listener: &tokio::net::TcpListener, response: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    stream.write_all(response.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn the_status_selects_the_response_type() {
    use generated::types::{GetItemError, GetItemResponse};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let client = generated::Client::new(base_url.parse().unwrap()).unwrap();
    let response = |status: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let call = || client.get_item("a/b", generated::types::GetItemKind::Large, true).send();

    let lenient = r#"{"name":"UPPER","state":"new","at":"not a date","count":0,"added":[1],"tags":null,"labels":null}"#;
    let ok = response("200", lenient);
    let (request, outcome) = tokio::join!(serve_once(&listener, &ok), call());
    assert!(request.starts_with("GET /items/a%2Fb/large?exact=true HTTP/1.1\r\n"), "{request}");
    let GetItemResponse::Status200(item) = outcome.unwrap().into_inner() else { panic!() };
    assert_eq!(item.name, "UPPER");
    assert_eq!(item.state.as_deref(), Some("new"));

    let empty = response("204", "");
    let (_, outcome) = tokio::join!(serve_once(&listener, &empty), call());
    assert!(matches!(outcome.unwrap().into_inner(), GetItemResponse::Status204));

    let refused = response("400", r#"{"title":"t"}"#);
    let (_, outcome) = tokio::join!(serve_once(&listener, &refused), call());
    assert!(matches!(outcome.unwrap_err().body(), Some(GetItemError::Status400(_))));

    let broken = response("503", r#"{"code":"c"}"#);
    let (_, outcome) = tokio::join!(serve_once(&listener, &broken), call());
    let error = outcome.unwrap_err();
    let Some(GetItemError::Status5XX(body)) = error.body() else { panic!("{error:?}") };
    assert_eq!(body.code.as_deref(), Some("c"));
}

#[tokio::test]
async fn a_malformed_response_names_the_missing_or_invalid_field() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let client = generated::Client::new(base_url.parse().unwrap()).unwrap();
    for (body, field) in [
        ("{}", Some("name")),
        (r#"{"type":"t"}"#, Some("name")),
        (r#"{"name":"n","type":7}"#, Some("type")),
        (r#"{"name":"n","name":"n"}"#, None),
        (r#"["n"]"#, None),
    ] {
        let length = body.len();
        let response = format!("HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        let call = client.get_item("a", generated::types::GetItemKind::Large, true).send();
        let (_, outcome) = tokio::join!(serve_once(&listener, &response), call);
        let error = outcome.unwrap_err();
        let flinks_core::ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), field, "{body}");
    }
}

#[tokio::test]
async fn a_success_without_a_documented_body_is_204_or_an_empty_200() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let client = generated::Client::new(base_url.parse().unwrap()).unwrap();
    for (status, body, is_success) in [
        ("204", "", true),
        ("200", "", true),
        ("200", "<html>", false),
        ("200", "{}", false),
        ("202", "", false),
        ("203", "{}", false),
    ] {
        let length = body.len();
        let response = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        let (_, outcome) = tokio::join!(serve_once(&listener, &response), client.delete().send());
        assert_eq!(outcome.is_ok(), is_success, "{status} {body}");
    }
}
