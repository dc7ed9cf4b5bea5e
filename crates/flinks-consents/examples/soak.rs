//! Load on the facade, against a local Flinks that fails at random: `cargo run --release --example soak -- 300`, in seconds.
//!
//! It ends with what the emulator's ledger says: no single-use token arrived twice, and no refresh token was lost.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)] // a terminal program, which is to fail loudly

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
        // What it remembers is not what is measured here.
        (config.limits.requests, config.limits.tokens) = (2_000, 5_000);
    });
    let base_url: BaseUrl = emulator.base_url().parse()?;
    let settings = Settings::new().timeout(Duration::from_secs(5)).bank_timeout(Duration::from_secs(5));
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD)?;
    let pay = flinks::pay::Client::builder(base_url.clone(), credentials).settings(&settings).build()?;
    let (id, key) = (CONNECT_CUSTOMER_ID.parse()?, SecretKey::new(CONNECT_SECRET_KEY)?);
    let connect = flinks::connect::Client::builder(base_url.clone(), id, key).settings(&settings).build()?;
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET)?;
    let outbound = Client::builder(base_url, credentials).settings(&settings).build()?;
    // Two processes, as far as consents can tell.
    let store = MemoryStore::new();
    let both = [(); 2].map(|()| Consents::builder(outbound.clone()).store(store.clone()).build());
    let [one, _] = &both;
    let name = |number: usize| ConsentId::new(format!("end-user-{number}"));
    for number in 0..CONSENTS {
        let redirect_uri: RedirectUrl = "https://app.example/".parse()?;
        let Started { url, pending, .. } = outbound.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri)?.start();
        let url = url::Url::parse(url.expose_secret())?;
        let state = url.query_pairs().find(|(name, _)| name == "state").ok_or("no state")?.1.into_owned();
        let code = emulator.issue_code(redirect_uri.as_str());
        let code = outbound.verify(pending, &format!("?code={code}&state={state}"))?;
        one.exchange_code(&name(number)?, code).await?;
    }
    let app = AppTokenSource::new(outbound, None);
    let (is_ended, calls, failures) = (Arc::new(AtomicBool::new(false)), counter(), counter());

    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let (pay, connect, app, both) = (pay.clone(), connect.clone(), app.clone(), both.clone());
        let (is_ended, calls, failures) = (Arc::clone(&is_ended), Arc::clone(&calls), Arc::clone(&failures));
        tasks.push(tokio::spawn(async move {
            while !is_ended.load(Ordering::Relaxed) {
                let is_done = match fastrand::u32(0..8) {
                    0 => start_session(&pay).await,
                    1 => authorize(&connect).await,
                    2 => app.access_token().await.is_ok(),
                    choice => {
                        let consents = both.get(number % 2).expect("there are two");
                        let id = ConsentId::new(format!("end-user-{}", fastrand::usize(0..CONSENTS)));
                        let consent = consents.consent(&id.expect("a good id"));
                        match consent.access_token().await {
                            Ok(token) => {
                                assert!(!token.is_expired(), "a token beyond its end");
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
                failures.fetch_add(u64::from(!is_done), Ordering::Relaxed);
            }
        }));
    }

    let began = Instant::now();
    let (mut seen, mut last) = (HashSet::new(), 0);
    let mut told = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        break_something(&emulator);
        last = check_that_none_is_spent_twice(&emulator, &mut seen, last);
        if began.elapsed().as_secs() >= told {
            let (calls, failures) = (calls.load(Ordering::Relaxed), failures.load(Ordering::Relaxed));
            println!("{told:>4} s {calls:>9} calls {failures:>8} failed {:>8} kB of memory", memory());
            told += 30;
        }
    }
    is_ended.store(true, Ordering::Relaxed);
    emulator.clear_faults();
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("a caller hangs").expect("a caller panics");
    }
    check_that_none_is_spent_twice(&emulator, &mut seen, last);

    // Each consent is still good, and its record has the refresh token that the server would take.
    for consents in &both {
        consents.flush().await?;
    }
    let live: HashSet<String> = emulator
        .issued()
        .into_iter()
        .filter(|issued| issued.kind == Kind::RefreshToken && issued.spent.is_none() && issued.revoked.is_none())
        .map(|issued| issued.value)
        .collect();
    for number in 0..CONSENTS {
        let record = store.load(&name(number)?).await?.ok_or("a record is lost")?.encode()?;
        assert!(live.iter().any(|token| record.expose_secret().contains(token)), "a refresh token is lost");
    }
    // Else nothing was tried.
    assert!(!seen.is_empty() && failures.load(Ordering::Relaxed) < calls.load(Ordering::Relaxed));
    println!(
        "{} calls, {} failed as they should; {} single-use tokens arrived once each; {CONSENTS} refresh tokens are good",
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
    .expect("a good session");
    match pay.authorize().await {
        Ok(token) => pay.initiate_session(token, &session).await.is_ok(),
        Err(_) => false,
    }
}

async fn authorize(connect: &flinks::connect::Client) -> bool {
    let login_id = LoginId::new(CONNECT_LOGIN_ID).expect("a good id");
    match connect.generate_authorize_token().await {
        Ok(token) => connect.authorize(token, &Authorize::cached(&login_id)).await.is_ok(),
        Err(_) => false,
    }
}

/// Nothing that loses the reply to a rotation, for then the server itself has thrown the token away.
fn break_something(emulator: &Emulator) {
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

/// Looks at the requests since `last`, and gives the number of the newest.
fn check_that_none_is_spent_twice(emulator: &Emulator, seen: &mut HashSet<u64>, last: u64) -> u64 {
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
                "a token arrived twice"
            );
        }
    }
    newest
}

/// What this process holds, in kB, as Linux tells.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
