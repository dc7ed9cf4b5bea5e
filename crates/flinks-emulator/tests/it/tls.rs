//! Tests for TLS. The clients in these tests trust only the emulator's authority.

use std::io::ErrorKind;
use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{ClientCertificates, Config, Emulator, Fault, Operation, Tls, When};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use serde_json::{Value, json};

use crate::{PAY_FORM, client};

/// An emulator with TLS, and the certificates that its clients need.
struct Secure {
    emulator: Emulator,
    authority: Certificate,
    identity: Identity,
}

impl Secure {
    async fn start(client_certificates: ClientCertificates) -> Self {
        let tls = Tls::new(&[]).unwrap().client_certificates(client_certificates);
        let authority = Certificate::from_pem(tls.authority_pem().as_bytes()).unwrap();
        let identity = Identity::from_pem(tls.client_identity_pem().as_bytes()).unwrap();
        Self { emulator: tls.start_with(Config::default()).await.unwrap(), authority, identity }
    }

    fn builder(&self) -> ClientBuilder {
        drop(client()); // installs a crypto provider
        Client::builder().no_proxy().tls_certs_only([self.authority.clone()])
    }

    async fn status(&self, client: ClientBuilder) -> Option<u16> {
        let url = format!("{}/api/v1/authorize", self.emulator.base_url());
        let response = client.build().unwrap().post(url).form(&PAY_FORM).send().await;
        response.ok().map(|response| response.status().as_u16())
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_can_connect() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    assert!(secure.emulator.base_url().starts_with("https://127.0.0.1:"));
    assert_eq!(secure.status(secure.builder()).await, Some(200));
    assert_eq!(secure.status(secure.builder().https_only(true)).await, Some(200));
    assert!(!secure.emulator.requests()[0].client_certificate);

    let other = Secure::start(ClientCertificates::NotRequested).await;
    assert_eq!(secure.status(other.builder()).await, None, "each authority is new");
    assert_eq!(secure.emulator.count(Operation::PayAuthorize), 2);
}

/// All addresses that the emulator itself writes use the scheme of its base URL.
#[tokio::test]
async fn every_address_starts_with_https() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    let http = secure.builder().build().unwrap();
    let url = secure.emulator.base_url();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.har");
    secure.emulator.record(&file).unwrap();

    let exchange = json!({
        "grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI,
        "client_id": OUTBOUND_CLIENT_ID, "client_secret": OUTBOUND_CLIENT_SECRET,
    });
    let exchanged = http.post(format!("{url}/api/v1/token")).json(&exchange).send().await.unwrap();
    let token = exchanged.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
    let page = http.get(format!("{url}/api/fdx/5/accounts?limit=1")).bearer_auth(&token).send().await.unwrap();
    let next = page.json::<Value>().await.unwrap()["links"]["next"]["href"].as_str().unwrap().to_owned();
    assert!(next.starts_with(&format!("{url}/api/fdx/5/accounts?")), "{next}");
    assert_eq!(http.get(&next).bearer_auth(&token).send().await.unwrap().status(), 200);

    assert!(secure.emulator.dashboard_url().starts_with(url));
    let dashboard = http.get(secure.emulator.dashboard_url()).send().await.unwrap().text().await.unwrap();
    assert!(dashboard.contains(&format!("FLINKS_PAY_URL={url}\n")), "{dashboard}");
    assert!(!dashboard.contains(&url.replace("https", "http")), "{dashboard}");

    let recording = std::fs::read_to_string(&file).unwrap();
    assert!(recording.contains(&format!("\"{url}/api/v1/token\"")), "{recording}");
    assert!(!recording.contains("http://"), "{recording}");
}

/// A browser must not send the access token to a plain HTTP server on the same host.
#[tokio::test]
async fn the_cookie_of_the_dashboard_is_sent_only_over_tls() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    secure.emulator.allow_host("emulator.example");
    let plain = Emulator::start().await.unwrap();
    plain.allow_host("emulator.example");
    for (emulator, is_secure) in [(&secure.emulator, true), (&plain, false)] {
        let dashboard = emulator.dashboard_url();
        let (_, token) = dashboard.split_once("#token=").unwrap();
        let url = format!("{}/__emulator/ui/session", emulator.base_url());
        let response = secure.builder().build().unwrap().post(url).body(token.to_owned()).send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        assert_eq!(cookie.ends_with("; Secure"), is_secure, "{cookie}");
    }
}

#[tokio::test]
async fn the_certificate_is_valid_for_localhost_and_for_additional_names() {
    let names = ["emulator.example".to_owned(), "192.0.2.1".to_owned()];
    let tls = Tls::new(&names).unwrap();
    let authority = Certificate::from_pem(tls.authority_pem().as_bytes()).unwrap();
    let emulator = tls.start_with(Config::default()).await.unwrap();
    let address: std::net::SocketAddr = emulator.base_url().strip_prefix("https://").unwrap().parse().unwrap();
    drop(client());
    for (name, is_valid) in [("localhost", true), ("emulator.example", true), ("other.example", false)] {
        let builder = Client::builder().no_proxy().tls_certs_only([authority.clone()]).resolve(name, address);
        let response = builder.build().unwrap().get(format!("https://{name}:{}/app/", address.port())).send().await;
        assert_eq!(response.is_ok(), is_valid, "{name}");
    }
    for wrong in ["two words", "é", "", "https://x.example", "*.example"] {
        let error = Tls::new(&[wrong.to_owned()]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().ends_with("is not a host name or an IP address"), "{error}");
    }
}

/// A client with a certificate from another authority is refused in both modes.
#[tokio::test]
async fn client_certificates_can_be_optional_or_required() {
    let stranger = Secure::start(ClientCertificates::NotRequested).await;
    for (mode, without, requests) in
        [(ClientCertificates::Optional, Some(200), vec![true, false]), (ClientCertificates::Required, None, vec![true])]
    {
        let secure = Secure::start(mode).await;
        assert_eq!(secure.status(secure.builder().identity(secure.identity.clone())).await, Some(200), "{mode:?}");
        assert_eq!(secure.status(secure.builder()).await, without, "{mode:?}");
        assert_eq!(secure.status(secure.builder().identity(stranger.identity.clone())).await, None, "{mode:?}");
        let seen: Vec<bool> = secure.emulator.requests().iter().map(|request| request.client_certificate).collect();
        assert_eq!(seen, requests, "{mode:?}");
    }
}

#[tokio::test]
async fn faults_work_through_tls() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    let client = secure.builder().timeout(Duration::from_secs(30)).build().unwrap();
    let url = format!("{}/api/v1/authorize", secure.emulator.base_url());
    let send = |fault: Option<Fault>| {
        if let Some(fault) = fault {
            secure.emulator.fail_next(Operation::PayAuthorize, fault);
        }
        client.post(&url).form(&PAY_FORM).send()
    };
    let replied = send(Some(Fault::reply(503, "{\"a\": 1}"))).await.unwrap();
    assert_eq!(replied.status(), 503);
    assert_eq!(replied.text().await.unwrap(), "{\"a\": 1}");
    let slow = send(Some(Fault::SlowBytes { milliseconds: 0 })).await.unwrap();
    assert_eq!(slow.json::<Value>().await.unwrap()["token_type"], "bearer");
    let half = send(Some(Fault::HalfBody)).await.unwrap();
    assert_eq!(half.status(), 200);
    assert!(half.bytes().await.is_err());
    for fault in [
        Fault::Drop { when: When::After },
        Fault::Reset { when: When::Before },
        Fault::Garbage { bytes: b"SSH-2.0-x\r\n".to_vec() },
    ] {
        assert!(send(Some(fault.clone())).await.is_err(), "{fault:?}");
    }
    let mut endless = send(Some(Fault::EndlessBody)).await.unwrap();
    for _ in 0..100 {
        assert!(!endless.chunk().await.unwrap().unwrap().is_empty());
    }
    drop(endless);
    assert_eq!(send(None).await.unwrap().status(), 200);
}

#[tokio::test]
async fn plain_http_and_broken_handshakes_do_not_stop_the_emulator() {
    let mut secure = Secure::start(ClientCertificates::NotRequested).await;
    let plain = secure.emulator.base_url().replace("https://", "http://");
    assert!(client().get(plain).send().await.is_err());
    let address = secure.emulator.base_url().strip_prefix("https://").unwrap();
    drop(tokio::net::TcpStream::connect(address).await.unwrap());
    assert_eq!(secure.status(secure.builder()).await, Some(200));
    secure.emulator.restart().await.unwrap();
    assert_eq!(secure.status(secure.builder()).await, Some(200), "TLS and its authority survive a restart");
}

#[tokio::test]
async fn pages_and_the_control_api_use_https_addresses() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    let base_url = secure.emulator.base_url();
    let http = secure.builder().build().unwrap();
    let page = http.get(base_url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("curl {base_url}/api/v1/token")), "{page}");
    let counts = http.get(format!("{base_url}/__emulator/counts")).header("origin", base_url).send().await.unwrap();
    assert_eq!(counts.status(), 200);
}

#[tokio::test]
async fn the_written_files_work_and_hide_the_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("new");
    for _ in 0..2 {
        let tls = Tls::new(&[]).unwrap().client_certificates(ClientCertificates::Required).write_to(&written).unwrap();
        let emulator = tls.start_with(Config::default()).await.unwrap();
        let env = emulator.env();
        let read = |name: &str| {
            let (_, path) = env.iter().find(|(found, _)| *found == name).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        for name in ["CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            assert_eq!(read(name), read("FLINKS_ROOT_CERTIFICATES"), "{name}");
        }
        let authority = Certificate::from_pem(read("FLINKS_ROOT_CERTIFICATES").as_bytes()).unwrap();
        let identity = read("FLINKS_CLIENT_CERTIFICATE") + &read("FLINKS_CLIENT_KEY");
        let identity = Identity::from_pem(identity.as_bytes()).unwrap();
        drop(client());
        let http = Client::builder().no_proxy().tls_certs_only([authority]).identity(identity).build().unwrap();
        assert_eq!(http.get(emulator.base_url()).send().await.unwrap().status(), 200);
    }
    let mut names: Vec<_> = std::fs::read_dir(&written).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["authority.pem", "client-key.pem", "client.pem"], "no temporary file remains");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(written.join("client-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let file = written.join("authority.pem");
    assert!(Tls::new(&[]).unwrap().write_to(&file).is_err(), "a file is not a folder");
}

#[test]
fn debug_shows_no_key() {
    let debug = format!("{:?}", Tls::new(&[]).unwrap());
    assert_eq!(debug, "Tls { client_certificates: NotRequested, .. }");
}

/// A client without an exception for loopback addresses sends some requests, such as those with
/// Connect's secret key, only over TLS.
#[tokio::test]
async fn connect_works_over_tls() {
    let secure = Secure::start(ClientCertificates::NotRequested).await;
    let url = format!("{}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken", secure.emulator.base_url());
    let request = secure.builder().build().unwrap().post(url).header("flinks-auth-key", CONNECT_SECRET_KEY);
    let response = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap()["HttpStatusCode"], 200);
}
