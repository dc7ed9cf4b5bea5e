use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::*;
use crate::config::{Config, ConnectCustomer, OutboundClient, Party, PayUser};
use crate::credentials::*;
use crate::state::Session;

/// A value that the emulator does not know. It contains letters and digits, like a real credential.
const CANARY: &str = "canary0sk1live2";

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        number: 1,
        at: std::time::Duration::ZERO,
        operation: None,
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Bytes::from(body.to_owned()),
        complete: true,
        client_certificate: false,
        processed: false,
        status: None,
        fault: None,
    }
}

/// Returns all the text that a page can show from a request.
fn shown(request: &Request, reveal: Reveal) -> String {
    let state = EmulatorState::new(Config::default());
    let key = RandomState::new();
    let redacted = Redactor::new(&state, &key).request(request);
    let headers: Vec<String> =
        redacted.headers.iter().map(|(name, value)| format!("{name}: {}\n", text(value, reveal))).collect();
    format!(
        "{} {}\n{}\n{}",
        redacted.method,
        text(&redacted.target(), reveal),
        headers.concat(),
        text(&redacted.body, reveal)
    )
}

#[test]
fn an_unknown_value_is_hidden_in_every_position() {
    let json = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let basic = format!("Basic {}", STANDARD.encode(format!("{OUTBOUND_CLIENT_ID}:{CANARY}")));
    let bearer = format!("Bearer {CANARY}");
    let fields = [
        "Password",
        "client_secret",
        "scope",
        "grant_type",
        "amount",
        "referenceId",
        "state",
        "redirect_uri",
        "redirectUrl",
        "Tag",
        "unknown",
    ];
    let mut requests = vec![
        request(CANARY, "/", &[], ""),
        request("GET", &format!("/{CANARY}"), &[], ""),
        request("GET", &format!("/v3/{CANARY}/BankingServices/Authorize"), &[], ""),
        request("GET", &format!("/?{CANARY}"), &[], ""),
        request("GET", &format!("/?{CANARY}=1"), &[], ""),
        request("GET", &format!("/?redirect_uri=https%3A%2F%2Fapp.example%2F%3Fkey%3D{CANARY}"), &[], ""),
        request("GET", &format!("/?redirect_uri=https%3A%2F%2F{CANARY}%40app.example%2F"), &[], ""),
        request("GET", &format!("/?redirect_uri=https%3A%2F%2Fapp.example%2F{CANARY}"), &[], ""),
        request("GET", &format!("/?redirect_uri={CANARY}%3A%2F%2Fapp.example%2F"), &[], ""),
        request("GET", "/", &[("authorization", &bearer)], ""),
        request("GET", "/", &[("authorization", &basic)], ""),
        request("GET", "/", &[("authorization", CANARY)], ""),
        request("GET", "/", &[("cookie", &format!("a={CANARY}"))], ""),
        request("GET", "/", &[("referer", &format!("http://127.0.0.1/?key={CANARY}"))], ""),
        request("GET", "/", &[("flinks-auth-key", CANARY)], ""),
        request("GET", "/", &[("x-forwarded-for", CANARY)], ""),
        request("POST", "/", &json, CANARY),
        request("POST", "/", &json, &format!("{{\"a\": \"{CANARY}")),
        request("POST", "/", &json, &format!("{{\"{CANARY}\": 1}}")),
        request("POST", "/", &json, &format!("[[\"{CANARY}\"]]")),
        request("POST", "/", &json, &format!("{{\"scope\": {{\"{CANARY}\": [\"{CANARY}\"]}}}}")),
        request("POST", "/", &json, &format!("\"{CANARY}\"")),
        request("POST", "/", &form, CANARY),
        request("POST", "/", &form, &format!("{CANARY}=")),
        request("POST", "/", &form, &format!("&&{CANARY}&&")),
        request("POST", "/", &[], &format!("client_secret={CANARY}")),
        request("POST", "/", &[("content-type", "text/html")], &format!("<p>{CANARY}</p>")),
        request("POST", "/", &[("content-type", "application/xml")], CANARY),
    ];
    for field in fields {
        requests.push(request("GET", &format!("/?{field}={CANARY}"), &[], ""));
        requests.push(request("POST", "/", &form, &format!("grant_type=x&{field}={CANARY}")));
        requests.push(request("POST", "/", &json, &format!("{{\"{field}\": \"{CANARY}\"}}")));
        requests.push(request("POST", "/", &json, &format!("{{\"{field}\": [\"{CANARY}\"]}}")));
    }
    for request in requests {
        for reveal in [Reveal::Names, Reveal::Values] {
            let shown = shown(&request, reveal);
            assert!(!shown.contains(CANARY), "{shown}");
            assert!(shown.contains("[hidden "), "{shown}");
        }
    }
}

#[test]
fn a_number_is_hidden_unless_its_field_is_plain() {
    let body = r#"{"amount": 10.5, "PIN": 4711, "SecurityResponses": {"PIN": [4712]}, "MostRecentCached": true}"#;
    let shown = shown(&request("POST", "/", &[], body), Reveal::Values);
    assert!(shown.contains("\"amount\": 10.5"), "{shown}");
    assert!(shown.contains("\"MostRecentCached\": true"), "{shown}");
    assert!(!shown.contains("471"), "{shown}");
}

#[test]
fn known_values_show_their_names_and_on_request_themselves() {
    let encoded: String = url::form_urlencoded::byte_serialize(PAY_PASSWORD.as_bytes()).collect();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("grant_type=client_credentials&Username={PAY_USERNAME}&Password={encoded}");
    let pay = request("POST", "/api/v1/authorize", &form, &body);
    let names = "POST /api/v1/authorize\ncontent-type: application/x-www-form-urlencoded\n\n\
                 grant_type=client_credentials&Username=[pay.username]&Password=[pay.password]";
    assert_eq!(shown(&pay, Reveal::Names), names);
    assert!(shown(&pay, Reveal::Values).ends_with(&body));

    let basic = STANDARD.encode(format!("{OUTBOUND_CLIENT_ID}:{OUTBOUND_CLIENT_SECRET}"));
    let json = format!("{{ \"code\" : \"{OUTBOUND_CODE}\",\"scope\":\"ACCOUNT_BASIC INVESTMENTS\"\n}}");
    let target = format!("/v3/{CONNECT_CUSTOMER_ID}/x?redirect_uri=https%3A%2F%2Fapp.example%2Fcallback");
    let token = request("POST", &target, &[("authorization", &format!("Basic {basic}"))], &json);
    let names = shown(&token, Reveal::Names);
    for part in [
        "POST /v3/[connect.customer_id]/[hidden ",
        "?redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\n",
        "authorization: Basic [outbound.client_id and outbound.client_secret]\n",
        "{ \"code\" : \"[code from the start or the control API]\",\"scope\":\"ACCOUNT_BASIC INVESTMENTS\"\n}",
    ] {
        assert!(names.contains(part), "{part}: {names}");
    }
    let values = shown(&token, Reveal::Values);
    assert!(values.contains(&basic), "{values}");
    assert!(values.ends_with(&json), "{values}");
}

#[test]
fn equal_hidden_values_have_equal_hashes_only_in_one_process() {
    let state = EmulatorState::new(Config::default());
    let marker = |key: &RandomState| Redactor::new(&state, key).value(CANARY, CANARY);
    let (first, second) = (RandomState::new(), RandomState::new());
    assert_eq!(marker(&first), marker(&first));
    assert_ne!(marker(&first), marker(&second));
    let Piece::Hidden(marker) = marker(&first) else { panic!() };
    assert!(marker.ends_with(", 15 bytes]"), "{marker}");
}

#[test]
fn a_request_whose_unknown_values_were_hidden_is_shown_like_the_original() {
    let state = EmulatorState::new(Config::default());
    let key = RandomState::new();
    let redactor = Redactor::new(&state, &key);
    let headers = [("authorization", "Bearer canary0"), ("content-type", "application/json"), ("cookie", "canary1")];
    let body = format!("{{\"canary2\": \"canary3\", \"client_secret\": \"{OUTBOUND_CLIENT_SECRET}\", \"PIN\": 4711}}");
    let original = request("POST", "/canary4/api?canary5&state=canary6", &headers, &body);
    let mut stored = original.clone();
    redactor.hide_unknown(&mut stored);
    let raw = format!("{} {:?} {}", stored.target, stored.headers, String::from_utf8_lossy(&stored.body));
    assert!(!raw.contains("canary"), "{raw}");
    assert!(!raw.contains("4711"), "{raw}");
    assert!(stored.carries(OUTBOUND_CLIENT_SECRET));
    let all = |request: &Request| {
        let RedactedRequest { method, path, query, headers, body } = redactor.request(request);
        (method, path, query, headers, body)
    };
    let (_, path, query, headers, _) = all(&original);
    let stored_view = all(&stored);
    assert_eq!((&stored_view.1, &stored_view.2, &stored_view.3), (&path, &query, &headers));
    let shown = |pieces: &Pieces| text(pieces, Reveal::Values);
    assert_eq!(shown(&all(&original).4), shown(&stored_view.4));
}

#[test]
fn a_response_hides_the_values_that_it_repeats() {
    let state = EmulatorState::new(Config::default());
    let key = RandomState::new();
    let redactor = Redactor::new(&state, &key);
    let body = format!(
        "{{\"access_token\":\"{OUTBOUND_CODE}\",\"referenceId\":\"canary\",\"error\":\"x\",\"expires_in\":299}}"
    );
    let names = text(&redactor.reply_body("application/json", body.as_bytes()), Reveal::Names);
    assert!(names.contains("\"access_token\":\"[code from"), "{names}");
    assert!(names.contains("\"error\":\"x\",\"expires_in\":299"), "{names}");
    assert!(!names.contains("canary"), "{names}");
    let location = format!("https://app.example/?key=canary&code={OUTBOUND_CODE}&state=canary&error=access_denied");
    let location = text(&redactor.reply_header("location", &location), Reveal::Names);
    assert!(location.starts_with("https://app.example/?"), "{location}");
    assert!(location.ends_with("&error=access_denied"), "{location}");
    assert!(location.contains("&code=[code from"), "{location}");
    assert!(!location.contains("canary"), "{location}");
    assert_eq!(text(&redactor.reply_header("allow", "GET"), Reveal::Names), "GET");
}

#[test]
fn additional_users_customers_and_clients_are_known() {
    let mut config = Config::default();
    config.pay.users.push(PayUser::new("canary-user", "canary-password"));
    let mut customer = ConnectCustomer::new("6f6a0a4e-3a0c-4a8e-9b7e-0d9a34f0c001", "canary-key");
    customer.api_key = "canary-api-key".to_owned();
    customer.redirect_origins.push("https://canary.example".to_owned());
    config.connect.customers.push(customer);
    config.outbound.clients.push(OutboundClient::new("canary-client", "canary-secret"));
    let state = EmulatorState::new(config);
    let key = RandomState::new();
    for (value, label) in [
        (CONNECT_API_KEY, "connect.api_key"),
        ("canary-user", "pay.users.username"),
        ("canary-password", "pay.users.password"),
        ("6f6a0a4e-3a0c-4a8e-9b7e-0d9a34f0c001", "connect.customers.customer_id"),
        ("canary-key", "connect.customers.secret_key"),
        ("canary-api-key", "connect.customers.api_key"),
        ("https://canary.example", "connect.redirect_origins"),
        ("canary-client", "outbound.clients.client_id"),
        ("canary-secret", "outbound.clients.client_secret"),
    ] {
        let shown = text(&Redactor::new(&state, &key).header("x-api-key", value), Reveal::Names);
        assert_eq!(shown, format!("[{label}]"));
    }
}

#[test]
fn the_reply_about_a_payment_shows_names_instead_of_ids_and_echoes() {
    let mut state = EmulatorState::new(Config::default());
    let session = Session { party: Party::Main, reference_id: "canary".to_owned(), amount: 1.into(), request_id: None };
    let id = state.pay.sessions.add(session, 10);
    let key = RandomState::new();
    let link = format!("https://127.0.0.1:8080/app/?sessionId={id}");
    let body = serde_json::json!({"referenceId": "canary", "ReferenceId": "canary", "PaymentLink": link}).to_string();
    let shown = text(&Redactor::new(&state, &key).reply_body("application/json", body.as_bytes()), Reveal::Names);
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("\"PaymentLink\":\"https://127.0.0.1:8080/app/?sessionId=[sessionId]\""), "{shown}");
}

#[test]
fn a_link_in_a_response_hides_the_parameters_that_the_client_sent() {
    let state = EmulatorState::new(Config::default());
    let key = RandomState::new();
    let body = format!(
        r#"{{"links":{{"next":{{"href":"http://127.0.0.1:8080/api/fdx/5/accounts?x={CANARY}&{CANARY}=1&limit=1&offset=emu"}}}}}}"#
    );
    let pieces = Redactor::new(&state, &key).reply_body("application/json", body.as_bytes());
    for reveal in [Reveal::Names, Reveal::Values] {
        let shown = text(&pieces, reveal);
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(shown.contains("http://127.0.0.1:8080/api/fdx/5/accounts?"), "{shown}");
    }
}

#[test]
fn a_request_with_thousands_of_parts_does_not_grow() {
    let path = "/x9".repeat(20_000);
    let query = "x9=y8&".repeat(10_000);
    let body = format!("[{}1]", "1,".repeat(30_000));
    let request = request("POST", &format!("{path}?{query}"), &[("content-type", "application/json")], &body);
    let shown = shown(&request, Reveal::Names);
    assert!(shown.len() < 60_000, "{} bytes", shown.len());
}

#[test]
fn the_basic_credentials_of_both_products_are_known() {
    for (user, password) in [(PAY_USERNAME, PAY_PASSWORD), (OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET)] {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let shown = shown(&request("POST", "/", &[("authorization", &header)], ""), Reveal::Names);
        assert!(!shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn the_steps_of_the_iframe_page_are_shown() {
    for step in ["institution-0", "login-1", "question-0-12", "cancelled-3"] {
        assert!(names::is_phrase(step), "{step}");
    }
    for text in ["login-123", "login-a1", "sk-1", "login-1-2-3"] {
        assert!(!names::is_phrase(text), "{text}");
    }
}
