//! Tests what happens to a token if a connection fails. The emulator's ledger shows which requests
//! the emulator received.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flinks::connect::Authorize;
use flinks::{Advice, BaseUrl, Cause, Error, Settings, SpendError};
use flinks_emulator::{Fault, Operation, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::outbound_client::{code, credentials};
use crate::{Local, TIMEOUT, auto_advancing_clock, clients, local, login_id, new_session};

/// Spends a Pay token and a Connect token, both issued by the emulator, at `base_url`.
async fn spend(local: &Local, base_url: &BaseUrl, settings: &Settings) -> [Outcome; 2] {
    let session_token = local.pay.authorize().await.unwrap();
    let authorize_token = local.authorize_token().await;
    let (pay, connect) = clients(base_url, settings);
    let pay = match pay.initiate_session(session_token, &new_session()).await {
        Ok(_) => Outcome::Done,
        // The returned token can still be used.
        Err(SpendError::Unspent(token, error)) => {
            assert!(!token.is_expired());
            assert!(token.into_authorization().is_ok());
            Outcome::Unspent(error)
        }
        Err(SpendError::Spent(error)) => Outcome::Spent(error),
        Err(SpendError::Unknown(error)) => Outcome::Unknown(error),
    };
    let connect = match connect.authorize(authorize_token, &Authorize::live(&login_id())).await {
        Ok(_) => Outcome::Done,
        Err(SpendError::Unspent(token, error)) => {
            let outcome = local.connect.authorize(token, &Authorize::cached(&login_id())).await;
            assert!(outcome.is_ok(), "the returned token is not valid");
            Outcome::Unspent(error)
        }
        Err(SpendError::Spent(error)) => Outcome::Spent(error),
        Err(SpendError::Unknown(error)) => Outcome::Unknown(error),
    };
    [pay, connect]
}

#[derive(Debug)]
enum Outcome {
    Done,
    Unspent(Error),
    Spent(Error),
    Unknown(Error),
}

fn settings() -> Settings {
    Settings::new().clock(auto_advancing_clock()).timeout(TIMEOUT)
}

/// Asserts that no call sends anything to `base_url`. Calls that spend a token must return the
/// token unspent, and calls that request a token must make `attempts` attempts. Returns the last
/// error.
async fn assert_nothing_is_sent(base_url: &str, settings: Settings, attempts: u32) -> Error {
    let local = local().await;
    let base_url = base_url.parse().unwrap();
    let mut last = None;
    for outcome in spend(&local, &base_url, &settings).await {
        let Outcome::Unspent(error) = outcome else { panic!("{outcome:?}") };
        assert!(!error.may_have_been_sent(), "{error}");
        assert_eq!(error.attempts(), 1, "{error}");
    }
    let (pay, connect) = clients(&base_url, &settings);
    for error in [pay.authorize().await.unwrap_err(), connect.generate_authorize_token().await.unwrap_err()] {
        assert!(!error.may_have_been_sent());
        assert_eq!(error.attempts(), attempts, "{error}");
        last = Some(error);
    }
    // The ledger confirms that nothing was sent. It contains only requests for tokens and the
    // request that used the returned token.
    assert_eq!(local.emulator.count(Operation::PayInitiateSession), 0);
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 1);
    last.unwrap()
}

#[tokio::test]
async fn refused_connection_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(assert_nothing_is_sent(&base_url, settings(), 3).await.is_transient());
}

#[tokio::test]
async fn unknown_host_sends_nothing() {
    struct Nowhere;
    impl reqwest::dns::Resolve for Nowhere {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("no such host".into()) })
        }
    }
    let settings = settings().http(|http| http.dns_resolver(Arc::new(Nowhere)));
    let error = assert_nothing_is_sent("https://nowhere.example", settings, 3).await;
    assert!(error.to_string().contains("could not be resolved"), "{error}");
}

/// Starts a proxy that responds to each `CONNECT` with `response`. Returns client settings that use
/// the proxy.
async fn settings_with_proxy(response: &'static str) -> Settings {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = proxy.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    settings().http(move |http| http.proxy(reqwest::Proxy::https(&address).unwrap()))
}

#[tokio::test]
async fn proxy_that_refuses_its_credentials_is_a_configuration_error() {
    for response in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.0 407 x\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let error = assert_nothing_is_sent("https://flinks.example", settings_with_proxy(response).await, 1).await;
        assert_eq!(error.advice(), Advice::FixConfiguration, "{error}");
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("proxy requires valid credentials"), "{error}");
    }
    // Other proxy failures may be transient.
    for response in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 502 x\r\n\r\n", "", "SSH-2.0-x\r\n"] {
        let error = assert_nothing_is_sent("https://flinks.example", settings_with_proxy(response).await, 3).await;
        assert_eq!(error.advice(), Advice::RetryLater, "{error}");
    }

    // A proxy or a gateway may also respond in place of the server.
    let local = local().await;
    for fault in [Fault::status(407), Fault::reply(407, "<html>"), Fault::reply(407, r#"{"error":"proxy"}"#)] {
        local.emulator.fail_next(Operation::PayAuthorize, fault.clone());
        local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, fault);
        for error in
            [local.pay.authorize().await.unwrap_err(), local.connect.generate_authorize_token().await.unwrap_err()]
        {
            assert_eq!(error.advice(), Advice::FixConfiguration, "{error}");
            assert!(error.to_string().contains("proxy requires valid credentials"), "{error}");
            assert_eq!(error.attempts(), 1, "{error}");
        }
    }
}

#[tokio::test]
async fn failed_or_stalled_handshake_sends_nothing() {
    // The first server does not support TLS. The second server sends nothing.
    let emulator = flinks_emulator::Emulator::start().await.unwrap();
    let address: SocketAddr = emulator.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let error = assert_nothing_is_sent(&format!("https://{address}"), settings(), 3).await;
    assert!(error.cause() == Cause::Tls, "{error}");
    assert!(!error.is_transient(), "{error}");
    assert!(emulator.requests().is_empty());

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}", silent.local_addr().unwrap());
    let error = assert_nothing_is_sent(&base_url, settings().connect_timeout(Duration::from_millis(50)), 3).await;
    assert!(error.is_transient(), "{error}");
    // The client also sends nothing if the call's timeout is shorter than the connect timeout.
    let settings = Settings::new().timeout(Duration::from_millis(300)).max_attempts(1);
    assert!(assert_nothing_is_sent(&base_url, settings, 1).await.is_transient());
}

#[tokio::test]
async fn request_that_may_have_been_received_is_unknown() {
    let bad_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec();
    let cut_head = b"HTTP/1.1 200 OK\r\ncontent-type: app".to_vec();
    let after_head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_vec();
    for fault in [
        Fault::Reset { when: When::Before },
        Fault::Reset { when: When::After },
        Fault::Drop { when: When::Before },
        Fault::Drop { when: When::After },
        Fault::HalfBody,
        Fault::Garbage { bytes: bad_chunk },
        Fault::Garbage { bytes: cut_head },
        Fault::Garbage { bytes: after_head },
    ] {
        let local = local().await;
        let base_url = local.emulator.base_url().parse().unwrap();
        local.emulator.fail_always(Operation::PayInitiateSession, fault.clone());
        local.emulator.fail_always(Operation::ConnectAuthorize, fault.clone());
        for outcome in spend(&local, &base_url, &settings()).await {
            let Outcome::Unknown(error) = outcome else { panic!("{fault:?}: {outcome:?}") };
            assert!(error.may_have_been_sent(), "{error}");
            assert!(error.is_transient(), "{error}");
            assert_eq!(error.attempts(), 1, "{error}");
        }
        assert_eq!(local.emulator.count(Operation::PayInitiateSession), 1);
        assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 1);

        // Calls that request a token make three attempts.
        local.emulator.fail_always(Operation::PayAuthorize, fault.clone());
        local.emulator.fail_always(Operation::ConnectGenerateAuthorizeToken, fault.clone());
        let before = [Operation::PayAuthorize, Operation::ConnectGenerateAuthorizeToken]
            .map(|operation| local.emulator.count(operation));
        assert_eq!(local.pay.authorize().await.unwrap_err().attempts(), 3);
        assert_eq!(local.connect.generate_authorize_token().await.unwrap_err().attempts(), 3);
        let after = [Operation::PayAuthorize, Operation::ConnectGenerateAuthorizeToken]
            .map(|operation| local.emulator.count(operation));
        assert_eq!(after[0] - before[0], 3, "{fault:?}");
        assert_eq!(after[1] - before[1], 3, "{fault:?}");
    }
}

#[tokio::test]
async fn spend_outcome_matches_server_ledger() {
    let local = local().await;
    let base_url = local.emulator.base_url().parse().unwrap();
    for outcome in spend(&local, &base_url, &settings()).await {
        assert!(matches!(outcome, Outcome::Done));
    }
    local.emulator.fail_always(Operation::PayInitiateSession, Fault::reply(400, r#"{"error":"x"}"#));
    local.emulator.fail_always(Operation::ConnectAuthorize, Fault::reply(400, r#"{"FlinksCode":"INVALID_REQUEST"}"#));
    for outcome in spend(&local, &base_url, &settings()).await {
        assert!(matches!(outcome, Outcome::Spent(error) if error.status() == Some(400)));
    }
    assert_eq!(local.emulator.count(Operation::PayInitiateSession), 2);
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 2);
}

#[tokio::test]
async fn closed_pooled_connection_gives_a_response_or_unknown() {
    /// `received` is the number of requests that the server received.
    fn check<T, U>(outcome: Result<T, SpendError<U>>, received: u64) {
        match outcome {
            Ok(_) | Err(SpendError::Unknown(_)) => assert!(received <= 1, "the request was sent twice"),
            Err(SpendError::Unspent(..)) => assert_eq!(received, 0),
            Err(SpendError::Spent(error)) => panic!("{error}"),
        }
    }
    let mut local = local().await;
    let outbound = local.outbound(credentials());
    for _ in 0..20 {
        let token = local.pay.authorize().await.unwrap();
        let _ = outbound.client_credentials(None).await.unwrap();
        let code = code(&local.emulator, &outbound);
        let received = |local: &Local| {
            [Operation::PayInitiateSession, Operation::OutboundToken].map(|operation| local.emulator.count(operation))
        };
        let before = received(&local);
        local.emulator.restart().await.unwrap();
        let session = local.pay.initiate_session(token, &new_session()).await;
        let tokens = outbound.exchange_code(code).await;
        let after = received(&local);
        check(session, after[0] - before[0]);
        check(tokens, after[1] - before[1]);
    }
}

/// Starts a server that closes its side of each connection immediately. Returns the server's URL
/// and the receiving end of a channel. For each connection, the channel receives the number of
/// bytes that arrived after the server closed its side.
fn start_closing_server() -> (BaseUrl, std::sync::mpsc::Receiver<usize>) {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (count, counts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut bytes = Vec::new();
            // The read ends when the client closes the connection.
            let _ = stream.read_to_end(&mut bytes);
            if count.send(bytes.len()).is_err() {
                return;
            }
        }
    });
    (base_url, counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_connection_closed_before_the_request_spends_nothing() {
    let local = local().await;
    let (base_url, counts) = start_closing_server();
    let settings = Settings::new().clock(local.clock.clone()).timeout(TIMEOUT);
    let (pay, _) = clients(&base_url, &settings);
    let outbound = flinks::outbound::Client::builder(base_url, credentials()).settings(&settings).build().unwrap();
    let mut unspent = 0;
    for _ in 0..50 {
        let token = local.pay.authorize().await.unwrap();
        let error = pay.initiate_session(token, &new_session()).await.unwrap_err();
        let received = counts.recv().unwrap();
        if received == 0 {
            assert!(matches!(error, SpendError::Unspent(..)), "{error}");
            unspent += 1;
        }
        let code = code(&local.emulator, &outbound);
        let error = outbound.exchange_code(code).await.unwrap_err();
        let received: usize = (0..error.error().attempts()).map(|_| counts.recv().unwrap()).sum();
        if received == 0 {
            assert!(matches!(error, SpendError::Unspent(..)), "{error}");
            assert_eq!(error.error().attempts(), 3, "{error}");
            unspent += 1;
        }
    }
    assert!(unspent > 0, "no connection was closed before the request was sent");
}
