//! Tests TLS with generated certificates. If a certificate is invalid, the call fails with a TLS
//! error and no request is sent, not even unencrypted (A1).
//!
//! The clients trust the platform's certificate authorities, including those in the file named by
//! `SSL_CERT_FILE`. This program creates a certificate authority and restarts itself with
//! `SSL_CERT_FILE` set.
//!
//! `.ci/run` runs these tests with rustls on ring, with rustls on aws-lc-rs, and with native-tls.

#![cfg(target_os = "linux")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use flinks::connect::SecretKey;
use flinks::outbound::{AuthorizationCode, ClientCredentials, RefreshToken};
use flinks::pay::{Credentials, NewSession, SessionToken};
use flinks::tls::{ClientCertificate, RootCertificates};
use flinks::{Advice, BaseUrl, Cause, Error, Settings, SpendError};
use libtest_mimic::{Arguments, Trial};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

const DIRECTORY: &str = "FLINKS_TLS_TEST_DIRECTORY";

fn main() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        let directory = tempfile::tempdir().unwrap();
        let pem = directory.path().join("authority.pem");
        let key = directory.path().join("authority.key");
        let authority = authority();
        std::fs::write(&pem, authority.pem()).unwrap();
        std::fs::write(key, authority.key().serialize_pem()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(std::env::args().skip(1)).env(DIRECTORY, directory.path()).env("SSL_CERT_FILE", &pem);
        let status = child.env_remove("SSL_CERT_DIR").status().unwrap();
        drop(directory);
        std::process::exit(status.code().unwrap_or(1));
    };
    let directory = std::path::PathBuf::from(directory);
    let trial = |name: &str, certificate: ServerCertificate, expected: Outcome| {
        let directory = directory.clone();
        Trial::test(name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let key = std::fs::read_to_string(directory.join("authority.key")).unwrap();
            let trusted = Issuer::new(authority_parameters(), KeyPair::from_pem(&key).unwrap());
            runtime.block_on(check(certificate, &trusted, expected));
            Ok(())
        })
    };
    let trials = vec![
        trial("a1_valid_certificate_is_accepted", ServerCertificate::default(), Outcome::Accepted),
        trial(
            "a1_expired_certificate_is_rejected",
            ServerCertificate { has_expired: true, ..ServerCertificate::default() },
            Outcome::Rejected,
        ),
        trial(
            "a1_certificate_that_is_not_yet_valid_is_rejected",
            ServerCertificate { is_not_yet_valid: true, ..ServerCertificate::default() },
            Outcome::Rejected,
        ),
        trial(
            "a1_certificate_for_another_name_is_rejected",
            ServerCertificate { name: "other.example", ..ServerCertificate::default() },
            Outcome::Rejected,
        ),
        trial(
            "a1_certificate_of_unknown_authority_is_rejected",
            ServerCertificate { has_unknown_issuer: true, ..ServerCertificate::default() },
            Outcome::Rejected,
        ),
        run("a1_roots_of_the_application_and_the_platform_are_both_trusted", &directory, |trusted| {
            Box::pin(check_roots(trusted))
        }),
        run("client_certificate_is_sent_and_a_wrong_one_is_an_error", &directory, |trusted| {
            Box::pin(check_client_certificates(trusted))
        }),
        #[cfg(feature = "rustls-no-provider")]
        run("each_crypto_provider_of_the_build_can_be_selected", &directory, |trusted| {
            Box::pin(check_providers(trusted))
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

type Check = for<'a> fn(&'a Issuer<'static, KeyPair>) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn run(name: &str, directory: &Path, check: Check) -> Trial {
    let key = std::fs::read_to_string(directory.join("authority.key")).unwrap();
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let trusted = Issuer::new(authority_parameters(), KeyPair::from_pem(&key).unwrap());
        runtime.block_on(check(&trusted));
        Ok(())
    })
}

/// Whether a client accepts the server's certificate.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Accepted,
    Rejected,
}

/// The properties of a server certificate.
#[derive(Clone, Copy)]
struct ServerCertificate {
    name: &'static str,
    has_expired: bool,
    is_not_yet_valid: bool,
    has_unknown_issuer: bool,
}

impl Default for ServerCertificate {
    fn default() -> Self {
        Self { name: "localhost", has_expired: false, is_not_yet_valid: false, has_unknown_issuer: false }
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(authority_parameters(), KeyPair::generate().unwrap()).unwrap()
}

/// Creates a certificate authority that the platform does not trust. The name of this authority
/// must differ from the name of the trusted authority, because OpenSSL looks up issuers by name.
fn unknown_authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = authority_parameters();
    parameters.distinguished_name.push(DnType::OrganizationName, "another");
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "test authority");
    parameters
}

/// Starts a server with a certificate. Returns the server's URL, the first byte of each connection,
/// and the requests that the server received.
async fn serve(
    certificate: ServerCertificate,
    trusted: &Issuer<'static, KeyPair>,
) -> (BaseUrl, Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<String>>>) {
    let unknown = authority();
    let issuer = if certificate.has_unknown_issuer { &*unknown } else { trusted };
    serve_with(certificate, issuer, None).await
}

/// Starts a server with a certificate from `issuer`. If `client_authority` is set, the server
/// requires a client certificate from that authority.
async fn serve_with(
    certificate: ServerCertificate,
    issuer: &Issuer<'_, KeyPair>,
    client_authority: Option<CertificateDer<'static>>,
) -> (BaseUrl, Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<String>>>) {
    let mut parameters = CertificateParams::new(vec![certificate.name.to_owned()]).unwrap();
    // Some platforms reject certificates with long lifetimes.
    let year = current_year();
    if certificate.has_expired {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2020, 6, 1);
    } else if certificate.is_not_yet_valid {
        parameters.not_before = date_time_ymd(year + 2, 1, 1);
        parameters.not_after = date_time_ymd(year + 2, 6, 1);
    } else {
        parameters.not_before = date_time_ymd(year - 1, 1, 1);
        parameters.not_after = date_time_ymd(year + 1, 12, 31);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = match client_authority {
        None => config.unwrap().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.unwrap().with_client_cert_verifier(verifier)
        }
    };
    let config = config.with_single_cert(vec![CertificateDer::from(certificate.der().to_vec())], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let first_bytes = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let first = Arc::clone(&first_bytes);
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut byte = [0];
            if stream.peek(&mut byte).await.is_ok_and(|count| count == 1) {
                first.lock().unwrap().push(byte[0]);
            }
            let mut stream = match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => stream,
                Err((_, mut stream)) => {
                    // The task keeps the socket open until the client has read the alert. Closing a
                    // socket with unread bytes would reset the connection.
                    tokio::spawn(async move { while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {} });
                    continue;
                }
            };
            let mut bytes = vec![0; 16 * 1024];
            let Ok(count @ 1..) = stream.read(&mut bytes).await else { continue };
            seen.lock().unwrap().push(String::from_utf8_lossy(&bytes[..count]).into_owned());
            let body = r#"{"access_token":"emu_a","token_type":"Bearer","expires_in":299,"Token":"emu_b","refresh_token":"emu_c"}"#;
            let response =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (base_url, first_bytes, requests)
}

fn current_year() -> i32 {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    1970 + i32::try_from(seconds / 31_556_952).unwrap()
}

async fn check(certificate: ServerCertificate, trusted: &Issuer<'static, KeyPair>, expected: Outcome) {
    let is_trusted = expected == Outcome::Accepted;
    let (base_url, first_bytes, requests) = serve(certificate, trusted).await;
    let settings = Settings::new().max_attempts(1);
    let credentials = Credentials::new("canary-user", "canary-password").unwrap();
    let pay = flinks::pay::Client::builder(base_url.clone(), credentials).settings(&settings).build().unwrap();
    let customer_id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    let key = SecretKey::new("canary-key").unwrap();
    let connect =
        flinks::connect::Client::builder(base_url.clone(), customer_id, key).settings(&settings).build().unwrap();
    let credentials = ClientCredentials::new("canary-id", "canary-secret").unwrap();
    let outbound = flinks::outbound::Client::builder(base_url, credentials).settings(&settings).build().unwrap();
    let refresh_token = RefreshToken::new("canary-refresh").unwrap();

    let outcomes: [Result<(), Error>; 4] = [
        pay.authorize().await.map(drop),
        connect.generate_authorize_token().await.map(drop),
        outbound.client_credentials(None).await.map(drop),
        outbound.refresh(&refresh_token).await.map(drop),
    ];
    for outcome in outcomes {
        match outcome {
            Ok(()) => assert!(is_trusted),
            Err(error) => {
                assert!(!is_trusted, "{error}");
                assert!(error.cause() == Cause::Tls, "{error}");
                assert!(!error.is_transient(), "{error}");
                assert!(!error.may_have_been_sent(), "{error}");
                assert!(!format!("{error} {error:?}").contains("canary"));
            }
        }
    }
    // The calls return the code and the session token unspent.
    if !is_trusted {
        let code = code(&outbound);
        assert!(
            matches!(outbound.exchange_code(code).await, Err(SpendError::Unspent(_, error)) if error.cause() == Cause::Tls)
        );
        let token = session_token().await;
        let session = NewSession::new(
            "r-1",
            flinks::pay::Cents(1050),
            flinks::pay::Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() },
        )
        .unwrap();
        let outcome = pay.initiate_session(token, &session).await;
        assert!(matches!(outcome, Err(SpendError::Unspent(_, error)) if error.cause() == Cause::Tls));
    }
    let first_bytes = first_bytes.lock().unwrap();
    // Every connection starts with byte 22, the type of a handshake record (RFC 8446, section 5.1).
    // No connection starts in plain text.
    assert!(first_bytes.len() >= 4);
    assert!(first_bytes.iter().all(|byte| *byte == 22));
    assert_eq!(requests.lock().unwrap().len(), if is_trusted { 4 } else { 0 });
}

fn code(client: &flinks::outbound::Client) -> AuthorizationCode {
    let redirect_uri = "https://app.example/".parse().unwrap();
    let flinks::Started { url, pending, .. } = client.authorization("1000", &redirect_uri).unwrap().start();
    let url = url::Url::parse(url.expose_secret()).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    client.verify(pending, &format!("?code=canary-code&state={state}")).unwrap()
}

async fn session_token() -> SessionToken {
    use flinks_emulator::credentials::{PAY_PASSWORD, PAY_USERNAME};
    let emulator = flinks_emulator::Emulator::start().await.unwrap();
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let client = flinks::pay::Client::builder(emulator.base_url().parse().unwrap(), credentials).build().unwrap();
    client.authorize().await.unwrap()
}

fn pay(base_url: &BaseUrl, settings: &Settings) -> Result<flinks::pay::Client, Error> {
    let credentials = Credentials::new("canary-user", "canary-password").unwrap();
    flinks::pay::Client::builder(base_url.clone(), credentials).settings(settings).build()
}

async fn check_roots(trusted: &Issuer<'static, KeyPair>) {
    let unknown = unknown_authority();
    let roots = RootCertificates::from_pem(unknown.pem()).unwrap();
    let settings = Settings::new().max_attempts(1).root_certificates(roots);
    let (url_of_unknown, _, _) = serve_with(ServerCertificate::default(), &unknown, None).await;
    assert!(pay(&url_of_unknown, &settings).unwrap().authorize().await.is_ok());
    let error = pay(&url_of_unknown, &Settings::new().max_attempts(1)).unwrap().authorize().await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls);
    // The client still trusts the platform's authorities.
    let (url_of_trusted, _, _) = serve(ServerCertificate::default(), trusted).await;
    assert!(pay(&url_of_trusted, &settings).unwrap().authorize().await.is_ok());
    // The client still checks the name and the dates of certificates that the additional authority
    // issued.
    for certificate in [
        ServerCertificate { name: "other.example", ..ServerCertificate::default() },
        ServerCertificate { has_expired: true, ..ServerCertificate::default() },
    ] {
        let (base_url, _, _) = serve_with(certificate, &unknown, None).await;
        assert_eq!(pay(&base_url, &settings).unwrap().authorize().await.unwrap_err().cause(), Cause::Tls);
    }
}

/// Whether a client certificate is current or has expired.
#[derive(Clone, Copy, PartialEq)]
enum Validity {
    Current,
    Expired,
}

/// Creates a client certificate. Returns the certificate and its key as PEM.
fn client_certificate(issuer: &Issuer<'_, KeyPair>, validity: Validity) -> (String, String) {
    let mut parameters = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    if validity == Validity::Expired {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2020, 6, 1);
    }
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

async fn check_client_certificates(trusted: &Issuer<'static, KeyPair>) {
    let client_authority = authority();
    let unknown = unknown_authority();
    let (base_url, _, requests) =
        serve_with(ServerCertificate::default(), trusted, Some(client_authority.der().clone())).await;
    let settings = |(certificate, key): (String, String)| {
        Settings::new().max_attempts(1).client_certificate(ClientCertificate::from_pem(certificate, key).unwrap())
    };
    let client = pay(&base_url, &settings(client_certificate(&client_authority, Validity::Current))).unwrap();
    assert!(client.authorize().await.is_ok());
    assert_eq!(requests.lock().unwrap().len(), 1);

    for settings in [
        Settings::new().max_attempts(1),
        settings(client_certificate(&unknown, Validity::Current)),
        settings(client_certificate(&client_authority, Validity::Expired)),
    ] {
        let client = pay(&base_url, &settings).unwrap();
        let mut recognized = 0;
        // The alert may close the connection before the client has written its request. The error
        // then does not show the reason, so the test makes several attempts.
        for _ in 0..100 {
            let error = client.authorize().await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"));
            match error.cause() {
                Cause::ClientCertificate => {
                    assert_eq!(error.advice(), Advice::FixConfiguration, "{error}");
                    assert!(error.to_string().contains("client certificate"), "{error}");
                    recognized += 1;
                }
                // native-tls does not report which alert the server sent.
                Cause::Tls if cfg!(not(feature = "rustls-no-provider")) => recognized += 1,
                cause => assert_eq!(cause, Cause::Connection, "{error}"),
            }
            if recognized >= 3 {
                break;
            }
        }
        assert!(recognized > 0 || cfg!(not(feature = "rustls-no-provider")), "no error names the client certificate");
    }
    assert_eq!(requests.lock().unwrap().len(), 1);

    // Building a client fails if the key belongs to another certificate.
    let (certificate, _) = client_certificate(&client_authority, Validity::Current);
    let (_, key) = client_certificate(&client_authority, Validity::Current);
    let error = pay(&base_url, &settings((certificate, key))).unwrap_err();
    assert_eq!(error.cause(), Cause::Configuration);
    assert_eq!(error.field(), Some("client certificate"));
}

#[cfg(feature = "rustls-no-provider")]
async fn check_providers(trusted: &Issuer<'static, KeyPair>) {
    use flinks::tls::CryptoProvider;

    let (base_url, _, _) = serve(ServerCertificate::default(), trusted).await;
    let call = async |provider| {
        let client = pay(&base_url, &Settings::new().max_attempts(1).crypto_provider(provider))?;
        client.authorize().await.map(drop)
    };
    // This process has no default provider yet.
    let error = call(CryptoProvider::OfProcess).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Configuration);
    assert_eq!(error.field(), Some("crypto provider"));
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().unwrap();
    call(CryptoProvider::OfProcess).await.unwrap();
    #[cfg(feature = "rustls")]
    call(CryptoProvider::Ring).await.unwrap();
    #[cfg(feature = "aws-lc-rs")]
    call(CryptoProvider::AwsLcRs).await.unwrap();
    call(CryptoProvider::default()).await.unwrap();
}
