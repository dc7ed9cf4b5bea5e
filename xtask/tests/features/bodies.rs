//! Request bodies: media types, unusual names and null.

use super::generated::types::{
    Address, Consent, CreateGrantRequest, CreateTokenRequest, CreateTransferRequest, Profile, Reactions,
};
use super::server::{Request, Server, json, response};

/// Checks the `Content-Type` and `Accept` headers of a request. Each must be sent exactly once.
fn assert_media_types(request: &Request, content_type: &str, accept: &str) {
    assert_eq!(request.header("content-type"), [content_type]);
    assert_eq!(request.header("accept"), [accept]);
}

#[tokio::test]
async fn json_is_sent_with_the_documented_media_type() {
    let server = Server::start().await;
    let client = server.client();
    let transfer = CreateTransferRequest::new(100).memo("é \"x\"");
    let call = client.create_transfer(&transfer).send();
    let (request, outcome) = server.exchange(&json(r#"{"id":"1"}"#), call).await;
    assert_eq!(request.line, "POST /transfers HTTP/1.1");
    assert_media_types(&request, "application/json; charset=utf-8", "application/json");
    assert_eq!(request.text(), r#"{"amount":100,"memo":"é \"x\""}"#);
    assert_eq!(outcome.unwrap().id, "1");

    let consent = Consent::new("p");
    let answer = response(200, "content-type: application/vnd.bank.v2+json\r\n", r#"{"purpose":"q"}"#);
    let (request, outcome) = server.exchange(&answer, client.update_consent("1", &consent).send()).await;
    assert_eq!(request.line, "PUT /consents/1 HTTP/1.1");
    assert_media_types(&request, "application/vnd.bank.v2+json", "application/vnd.bank.v2+json");
    assert_eq!(request.text(), r#"{"purpose":"p"}"#);
    assert_eq!(outcome.unwrap().purpose, "q");
}

#[tokio::test]
async fn text_xml_and_bytes_are_sent_unchanged() {
    let server = Server::start().await;
    let client = server.client();
    let empty = response(204, "", "");

    let (request, _) = server.exchange(&empty, client.create_note("é\r\n\"x\"").send()).await;
    assert_media_types(&request, "text/plain", "*/*");
    assert_eq!(request.text(), "é\r\n\"x\"");

    // If the document specifies another encoding, the caller encodes the text.
    let (request, _) = server.exchange(&empty, client.create_legacy_note(b"\xE9").send()).await;
    assert_media_types(&request, "text/plain; charset=iso-8859-1", "*/*");
    assert_eq!(request.body, b"\xE9");

    let (request, _) = server.exchange(&empty, client.create_payment("<a/>").send()).await;
    assert_media_types(&request, "application/pain.001+xml", "*/*");
    assert_eq!(request.text(), "<a/>");

    let bytes: Vec<u8> = (0..=255).collect();
    let (request, _) = server.exchange(&empty, client.upload_document(&bytes).send()).await;
    assert_eq!(request.line, "POST /documents HTTP/1.1");
    assert_media_types(&request, "application/octet-stream", "*/*");
    assert_eq!(request.body, bytes);

    let (request, _) = server.exchange(&empty, client.upload_document(&[]).send()).await;
    assert_eq!(request.header("content-length"), ["0"]);
}

#[tokio::test]
async fn a_form_has_one_content_type() {
    let server = Server::start().await;
    let client = server.client();
    let form = CreateTokenRequest::new("a b&c é");
    let (request, _) = server.exchange(&response(204, "", ""), client.create_token(&form).send()).await;
    assert_media_types(&request, "application/x-www-form-urlencoded", "*/*");
    assert_eq!(request.text(), "scope=a+b%26c+%C3%A9");
}

#[tokio::test]
async fn each_entry_of_a_list_is_a_pair_of_a_form() {
    let server = Server::start().await;
    let client = server.client();
    let form = CreateGrantRequest::new(vec!["read".into(), "a b".into()]).audience("x&y");
    let (request, _) = server.exchange(&response(204, "", ""), client.create_grant(&form).send()).await;
    assert_media_types(&request, "application/x-www-form-urlencoded", "*/*");
    assert_eq!(request.text(), "audience=x%26y&scopes=read&scopes=a+b");
}

#[tokio::test]
async fn renamed_properties_keep_their_wire_names() {
    let server = Server::start().await;
    let client = server.client();
    let reactions = Reactions::new(1, true, "Ann").minus_1(2).payee_name_field(3).identifier("i");
    let body = r#"{"+1":1,"-1":2,"_id":"i","new":true,"payeeName":"Ann","payee_name":3}"#;
    let (request, outcome) = server.exchange(&json(body), client.react(&reactions).send()).await;
    let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(sent, serde_json::from_str::<serde_json::Value>(body).unwrap());
    let received = outcome.unwrap().into_inner();
    assert_eq!(received.plus_1, 1);
    assert_eq!(received.minus_1, Some(2));
    assert!(received.new_field);
    assert_eq!(received.payee_name, "Ann");
    assert_eq!(received.payee_name_field, Some(3));
    assert_eq!(received.identifier.as_deref(), Some("i"));
}

#[tokio::test]
async fn a_malformed_response_names_the_property_on_the_wire() {
    let server = Server::start().await;
    let client = server.client();
    let reactions = Reactions::new(1, true, "Ann");
    let (_, outcome) = server.exchange(&json(r#"{"+1":"x"}"#), client.react(&reactions).send()).await;
    let error = outcome.unwrap_err();
    let flinks_core::ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error}") };
    assert_eq!(invalid.field(), Some("+1"));
}

#[tokio::test]
async fn a_required_nullable_property_is_sent_as_null_if_it_is_unset() {
    let server = Server::start().await;
    let client = server.client();
    let profile = Profile::new();
    let answer = json(r#"{"home":null,"work":{"city":"Laval"},"tags":null}"#);
    let (request, outcome) = server.exchange(&answer, client.update_profile(&profile).send()).await;
    // The optional property `nick` is left out.
    assert_eq!(request.text(), r#"{"home":null,"tags":null,"work":null}"#);
    let received = outcome.unwrap().into_inner();
    assert!(received.home.is_none());
    assert_eq!(received.work.unwrap().city.as_deref(), Some("Laval"));
    assert!(received.nick.is_none());
    assert!(received.tags.is_none());

    // A response must contain the property.
    let (_, outcome) =
        server.exchange(&json(r#"{"work":null,"tags":null}"#), client.update_profile(&profile).send()).await;
    let error = outcome.unwrap_err();
    let flinks_core::ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error}") };
    assert_eq!(invalid.field(), Some("home"));

    let profile = Profile::new().home(Address::new().city("Gatineau")).tags(vec!["x".to_owned()]);
    let (request, _) = server.exchange(&answer, client.update_profile(&profile).send()).await;
    assert_eq!(request.text(), r#"{"home":{"city":"Gatineau"},"tags":["x"],"work":null}"#);
}

/// The parts follow RFC 7578. The boundary is chosen at random.
#[tokio::test]
async fn the_parts_of_a_multipart_body_are_sent_with_their_names_and_media_types() {
    use super::generated::types::{UploadEvidenceRequest, UploadEvidenceRequestAbout, UploadEvidenceRequestKind};
    let file = flinks_core::FilePart::new(b"%PDF".to_vec()).file_name("a.pdf").media_type("application/pdf");
    let pages = vec![flinks_core::FilePart::new("1"), flinks_core::FilePart::new("2")];
    let evidence = UploadEvidenceRequest::new(file, UploadEvidenceRequestKind::Proof, pages)
        .tags(vec!["x".to_owned(), "é".to_owned()])
        .about(UploadEvidenceRequestAbout::new().name("n"));
    assert!(!format!("{evidence:?}").contains("PDF"));
    let server = Server::start().await;
    let client = server.client();
    let (request, outcome) = server.exchange(&response(204, "", ""), client.upload_evidence(&evidence).send()).await;
    outcome.unwrap();
    let content_type = request.header("content-type").join(",");
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = request.text();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).map(|part| part.trim_matches(['\r', '\n'])).collect();
    let part = |head: &str, content: &str| format!("Content-Disposition: form-data; {head}\r\n\r\n{content}");
    let bytes = "Content-Type: application/octet-stream";
    assert_eq!(
        parts,
        [
            "",
            &part("name=\"file\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf", "%PDF"),
            &part("name=\"kind\"", "proof"),
            &part(&format!("name=\"pages\"\r\n{bytes}"), "1"),
            &part(&format!("name=\"pages\"\r\n{bytes}"), "2"),
            &part("name=\"tags\"", "x"),
            &part("name=\"tags\"", "é"),
            &part("name=\"about\"\r\nContent-Type: application/json", r#"{"name":"n"}"#),
            "--",
        ]
    );
}
