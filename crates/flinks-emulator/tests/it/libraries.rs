//! Tests that each endpoint accepts the requests that common HTTP libraries send by default.

use flinks_emulator::credentials::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Local, local};

/// How a library frames a request body.
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    /// Sends `Content-Length`, even for an empty body.
    Length,
    /// Sends `Content-Length` only if there is a body.
    LengthOfBody,
    /// Sends `Transfer-Encoding: chunked`, even for an empty body.
    Chunked,
    /// Sends `Expect: 100-continue` and waits for the interim response before it sends the body.
    Expect,
}

/// An HTTP library and the headers that it adds to a request.
struct Library {
    name: &'static str,
    headers: &'static str,
    framing: Framing,
    content_type_suffix: &'static str,
    header_case: fn(&str) -> String,
}

fn as_written(name: &str) -> String {
    name.to_owned()
}

const LIBRARIES: [Library; 10] = [
    Library {
        name: "Python http.client",
        headers: "Accept-Encoding: identity\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: as_written,
    },
    Library {
        name: "Python urllib",
        headers: "Accept-Encoding: identity\r\nUser-Agent: Python-urllib/3.11\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: as_written,
    },
    Library {
        name: "Go net/http",
        headers: "User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: as_written,
    },
    Library {
        name: "Java HttpClient",
        headers: "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\
                  Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: as_written,
    },
    Library {
        name: "Java HttpURLConnection",
        headers: "User-Agent: Java/17.0.15\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n",
        framing: Framing::LengthOfBody,
        content_type_suffix: ";charset=UTF-8",
        header_case: as_written,
    },
    Library {
        name: ".NET HttpClient",
        headers: "",
        framing: Framing::Chunked,
        content_type_suffix: "; charset=utf-8",
        header_case: as_written,
    },
    Library {
        name: ".NET HttpWebRequest",
        headers: "",
        framing: Framing::Expect,
        content_type_suffix: "; charset=\"utf-8\"",
        header_case: as_written,
    },
    Library {
        name: "curl",
        headers: "User-Agent: curl/8.5.0\r\nAccept: */*\r\n",
        framing: Framing::LengthOfBody,
        content_type_suffix: "",
        header_case: as_written,
    },
    Library {
        name: "Node fetch",
        headers: "accept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n\
                  accept-encoding: gzip, deflate\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: str::to_lowercase,
    },
    Library {
        name: "a library that writes header names in upper case",
        headers: "ACCEPT: application/json\r\n",
        framing: Framing::Length,
        content_type_suffix: "",
        header_case: str::to_uppercase,
    },
];

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request with the headers that its endpoint requires.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    content_type: Option<&'a str>,
    credential: Option<(&'a str, &'a str)>,
    body: &'a str,
}

impl Library {
    /// Sends a request as the library would and returns the body of the successful response.
    async fn send(&self, local: &Local, request: Request<'_>) -> Value {
        let Request { method, path, content_type, credential, body } = request;
        let address = local.emulator.base_url().strip_prefix("http://").unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{}", self.headers);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{}: {value}\r\n", (self.header_case)(name)));
        if let Some(content_type) = content_type {
            add("Content-Type", &format!("{content_type}{}", self.content_type_suffix));
        }
        if let Some((name, value)) = credential {
            add(name, value);
        }
        let length = body.len().to_string();
        let is_post = method == "POST";
        match self.framing {
            Framing::Length if is_post => add("Content-Length", &length),
            Framing::LengthOfBody if !body.is_empty() => add("Content-Length", &length),
            Framing::Chunked if is_post => add("Transfer-Encoding", "chunked"),
            Framing::Expect if is_post => {
                add("Content-Length", &length);
                add("Expect", "100-continue");
            }
            _ => {}
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        if self.framing == Framing::Expect && !body.is_empty() {
            let mut interim = [0; 25];
            stream.read_exact(&mut interim).await.unwrap();
            assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n", "{}: {method} {path}", self.name);
        }
        if self.framing == Framing::Chunked && is_post {
            let chunk = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
            stream.write_all(format!("{chunk}0\r\n\r\n").as_bytes()).await.unwrap();
        } else {
            stream.write_all(body.as_bytes()).await.unwrap();
        }
        let (head, body) = read_response(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 20"), "{}: {method} {path}\n{head}{body}", self.name);
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }
}

/// Reads one response and returns its head and body. The connection stays open.
async fn read_response(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn text(response: &Value, field: &str) -> String {
    response[field].as_str().unwrap_or_else(|| panic!("{field} in {response}")).to_owned()
}

#[tokio::test]
async fn each_pay_endpoint_accepts_the_default_headers_of_each_library() {
    for library in &LIBRARIES {
        let local = local().await;
        let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(crate::PAY_FORM).finish();
        let request =
            |method, path, credential, content_type, body| Request { method, path, content_type, credential, body };
        let authorize = request("POST", "/api/v1/authorize", None, Some(FORM), &form);
        let bearer = format!("Bearer {}", text(&library.send(&local, authorize).await, "access_token"));
        let credential = Some(("Authorization", &*bearer));
        let session = json!({"referenceId": "1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
        let session = session.to_string();
        let initiate = request("POST", "/api/v1/sessions/initiate", credential, Some(JSON), &session);
        let session_id = text(&library.send(&local, initiate).await, "sessionId");
        let body = json!({"sessionId": session_id}).to_string();
        let create = request("POST", "/api/v1/paymentrequests", credential, Some(JSON), &body);
        let path = format!("/api/v1/paymentrequests/{}", text(&library.send(&local, create).await, "requestId"));
        library.send(&local, request("GET", &path, credential, None, "")).await;
    }
}

#[tokio::test]
async fn c1_each_connect_endpoint_accepts_the_default_headers_of_each_library() {
    for library in &LIBRARIES {
        let local = local().await;
        let path = |operation| format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/{operation}");
        let generate = Request {
            method: "POST",
            path: &path("GenerateAuthorizeToken"),
            content_type: Some(JSON),
            credential: Some(("flinks-auth-key", CONNECT_SECRET_KEY)),
            body: "",
        };
        let token = text(&library.send(&local, generate).await, "Token");
        let authorize = Request {
            method: "POST",
            path: &path("Authorize"),
            content_type: Some(JSON),
            credential: Some(("flinks-auth-key", &token)),
            body: &json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true}).to_string(),
        };
        library.send(&local, authorize).await;
    }
}

#[tokio::test]
async fn each_outbound_endpoint_accepts_the_default_headers_of_each_library() {
    for library in &LIBRARIES {
        let local = local().await;
        let body = json!({
            "grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN,
            "client_id": OUTBOUND_CLIENT_ID, "client_secret": OUTBOUND_CLIENT_SECRET,
        });
        let token = Request {
            method: "POST",
            path: "/api/v1/token",
            content_type: Some(JSON),
            credential: None,
            body: &body.to_string(),
        };
        let bearer = format!("Bearer {}", text(&library.send(&local, token).await, "access_token"));
        for (method, path) in [("GET", "/api/fdx/5/accounts"), ("DELETE", "/api/v1/revoke")] {
            let credential = Some(("Authorization", &*bearer));
            library.send(&local, Request { method, path, content_type: None, credential, body: "" }).await;
        }
    }
}

/// RFC 9110, section 11.4, allows more than one space between the scheme and the token.
#[tokio::test]
async fn spaces_between_a_scheme_and_its_token_are_accepted() {
    let local = local().await;
    let token = local.session_token().await;
    let session = json!({"referenceId": "1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
    let request = local.post("/api/v1/sessions/initiate").header("authorization", format!("bearer   {token}"));
    assert_eq!(request.json(&session).send().await.unwrap().status(), 200);
}
