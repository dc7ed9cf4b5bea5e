//! A load test against a local Flinks emulator that injects random faults.
//!
//! ```console
//! $ cargo run --release --example soak -- 300    # the duration in seconds
//! ```
//!
//! The program fails if the emulator received a single-use token twice or if a refresh token was
//! lost.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)] // this program prints to the terminal, and panics if a check fails

use std::collections::HashSet;
use std::error::Error;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flinks::connect::{Authorize, LoginId, SecretKey};
use flinks::outbound::{Client, ClientCredentials};
use flinks::pay::{Credentials, NewSession};
use flinks::{BaseUrl, RedirectUrl, Settings, Started};
use flinks_consents::{AppTokenSource, ConsentId, Consents, MemoryStore, TokenStore};
use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Kind, Operation, When};

const CONSENTS: usize = 50;
const TASKS: usize = 32;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let emulator = Arc::new(Emulator::start().await?);
    emulator.configure(|config| {
        config.outbound.rotate_refresh_tokens = true;
        config.outbound.access_token_seconds = 3;
        // Limits the emulator's memory, because the test measures the memory of the whole process.
        config.limits.requests = 2_000;
        config.limits.tokens = 5_000;
    });
    let base_url: BaseUrl = emulator.base_url().parse()?;
    let settings = Settings::new().timeout(Duration::from_secs(5)).bank_timeout(Duration::from_secs(5));
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD)?;
    let pay = flinks::pay::Client::builder(base_url.clone(), credentials).settings(&settings).build()?;
    let id = CONNECT_CUSTOMER_ID.parse()?;
    let key = SecretKey::new(CONNECT_SECRET_KEY)?;
    let connect = flinks::connect::Client::builder(base_url.clone(), id, key).settings(&settings).build()?;
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET)?;
    let outbound = Client::builder(base_url, credentials).settings(&settings).build()?;
    // Two `Consents` values that share a store behave like two processes.
    let store = MemoryStore::new();
    let both = [(); 2].map(|()| Consents::builder(outbound.clone()).store(store.clone()).build());
    let [one, _] = &both;
    let name = |number: usize| ConsentId::new(format!("end-user-{number}"));
    for number in 0..CONSENTS {
        let redirect_uri: RedirectUrl = "https://app.example/".parse()?;
        let Started { url, pending, .. } = outbound.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri)?.start();
        let url = url::Url::parse(url.expose_secret())?;
        let state = url
            .query_pairs()
            .find(|(name, _)| name == "state")
            .ok_or("the URL has no `state` parameter")?
            .1
            .into_owned();
        let code = emulator.issue_code(redirect_uri.as_str());
        let code = outbound.verify(pending, &format!("?code={code}&state={state}"))?;
        one.exchange_code(&name(number)?, code).await?;
    }
    let app = AppTokenSource::new(outbound, None);
    let must_stop = Arc::new(AtomicBool::new(false));
    let calls = counter();
    let failures = counter();

    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let (pay, connect, app, both) = (pay.clone(), connect.clone(), app.clone(), both.clone());
        let must_stop = Arc::clone(&must_stop);
        let calls = Arc::clone(&calls);
        let failures = Arc::clone(&failures);
        tasks.push(tokio::spawn(async move {
            while !must_stop.load(Ordering::Relaxed) {
                let succeeded = match fastrand::u32(0..8) {
                    0 => start_session(&pay).await,
                    1 => authorize(&connect).await,
                    2 => app.access_token().await.is_ok(),
                    choice => {
                        let consents = both.get(number % 2).expect("there are two `Consents`");
                        let id = ConsentId::new(format!("end-user-{}", fastrand::usize(0..CONSENTS)));
                        let consent = consents.consent(&id.expect("the id is valid"));
                        match consent.access_token().await {
                            Ok(token) => {
                                assert!(!token.is_expired(), "an expired token was returned");
                                if choice == 3 {
                                    consent.invalidate(&token);
                                }
                                true
                            }
                            Err(error) => {
                                assert!(!error.needs_consent(), "a consent was lost: {error}");
                                false
                            }
                        }
                    }
                };
                calls.fetch_add(1, Ordering::Relaxed);
                failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
            }
        }));
    }

    let started = Instant::now();
    let mut seen = HashSet::new();
    let mut last = 0;
    let mut next_report = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        inject_fault(&emulator);
        last = check_single_use(&emulator, &mut seen, last);
        if started.elapsed().as_secs() >= next_report {
            let calls = calls.load(Ordering::Relaxed);
            let failures = failures.load(Ordering::Relaxed);
            println!("{next_report:>4} s {calls:>9} calls {failures:>8} failed {:>8} kB of memory", memory());
            next_report += 30;
        }
    }
    must_stop.store(true, Ordering::Relaxed);
    emulator.clear_faults();
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("a caller hangs").expect("a caller panicked");
    }
    check_single_use(&emulator, &mut seen, last);

    // Each record must contain a refresh token that the server still accepts.
    for consents in &both {
        consents.flush().await?;
    }
    let valid: HashSet<String> = emulator
        .issued()
        .into_iter()
        .filter(|issued| issued.kind == Kind::RefreshToken && issued.spent.is_none() && issued.revoked.is_none())
        .map(|issued| issued.value)
        .collect();
    for number in 0..CONSENTS {
        let record = store.load(&name(number)?).await?.ok_or("a record was lost")?.encode()?;
        assert!(valid.iter().any(|token| record.expose_secret().contains(token)), "a refresh token was lost");
    }
    // Without single-use tokens and successful calls, the checks above prove nothing.
    assert!(!seen.is_empty(), "no single-use token was sent");
    assert!(failures.load(Ordering::Relaxed) < calls.load(Ordering::Relaxed), "every call failed");
    println!(
        "{} calls, of which {} failed; {} single-use tokens were each received once; {CONSENTS} refresh tokens are valid",
        calls.load(Ordering::Relaxed),
        failures.load(Ordering::Relaxed),
        seen.len()
    );
    Ok(())
}

fn counter() -> Arc<AtomicU64> {
    Arc::default()
}

async fn start_session(pay: &flinks::pay::Client) -> bool {
    let session = NewSession::new(
        "r-1",
        flinks::pay::Cents(10_50),
        flinks::pay::Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() },
    )
    .expect("the session is valid");
    match pay.authorize().await {
        Ok(token) => pay.initiate_session(token, &session).await.is_ok(),
        Err(_) => false,
    }
}

async fn authorize(connect: &flinks::connect::Client) -> bool {
    let login_id = LoginId::new(CONNECT_LOGIN_ID).expect("the id is valid");
    match connect.generate_authorize_token().await {
        Ok(token) => connect.authorize(token, &Authorize::cached(&login_id)).await.is_ok(),
        Err(_) => false,
    }
}

/// Injects a random fault. No fault drops a response that contains a new refresh token, because
/// that token would then be lost.
fn inject_fault(emulator: &Emulator) {
    let faults = [
        Fault::status(500),
        Fault::status(429),
        Fault::status(503),
        Fault::reply(200, "{}"),
        Fault::reply(400, r#"{"error":"temporarily_unavailable"}"#),
        Fault::Reset { when: When::Before },
        Fault::Drop { when: When::Before },
        Fault::Delay { when: When::After, milliseconds: 30 },
        Fault::Garbage { bytes: b"SSH-2.0-x\r\n".to_vec() },
        Fault::EndlessBody,
    ];
    let operations = [
        Operation::PayAuthorize,
        Operation::PayInitiateSession,
        Operation::ConnectGenerateAuthorizeToken,
        Operation::ConnectAuthorize,
        Operation::OutboundToken,
    ];
    if let (Some(fault), Some(operation)) = (fastrand::choice(faults), fastrand::choice(operations)) {
        emulator.fail_times(operation, fault, fastrand::u64(1..4));
    }
}

/// Checks that no request with a number above `last` contains a single-use token that was already
/// sent. Returns the number of the latest request.
fn check_single_use(emulator: &Emulator, seen: &mut HashSet<u64>, last: u64) -> u64 {
    let mut newest = last;
    for request in emulator.requests().into_iter().filter(|request| request.number > last) {
        newest = newest.max(request.number);
        let header = match request.operation {
            Some(Operation::PayInitiateSession) => "authorization",
            Some(Operation::ConnectAuthorize) => "flinks-auth-key",
            _ => continue,
        };
        if let Some(token) = request.header(header).next() {
            assert!(
                seen.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(token)),
                "a single-use token was received twice"
            );
        }
    }
    newest
}

/// Returns this process's resident memory in kB, as reported by Linux.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
