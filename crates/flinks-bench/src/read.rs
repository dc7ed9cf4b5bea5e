//! Measures how long a read of a cached access token takes. A service reads the token before each
//! request that it sends.

use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::{AppTokenSource, Consents};
use tokio::runtime::Runtime;

use crate::{Bench, Round, server};

/// A function that reads the token the given number of times on the calling thread.
type Read = Box<dyn Fn(u32) + Sync>;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (address, _) = server::start(server::Manner::default())?;
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?);
    let mut contenders: Vec<(&str, Read)> = ours(&runtime, &format!("http://{address}"))?;
    #[cfg(feature = "peers")]
    contenders.extend(peers::all(&runtime, &format!("http://{address}"))?);
    contenders.extend(floors());
    // A round is shorter than the time slice of a thread, so that other programs do not interrupt
    // every round.
    let (reads, rounds) = if bench.quick { (10_000, 5) } else { (10_000, 400) };
    let threads = std::thread::available_parallelism()?.get();
    for threads in [1, threads] {
        let case = format!("{threads} thread{}", if threads == 1 { "" } else { "s, time per read" });
        bench.rounds(
            "cached read",
            &case,
            "ns",
            rounds,
            contenders.iter().map(|(name, read)| {
                let reads_of_all = f64::from(reads) * threads as f64;
                (
                    *name,
                    Box::new(move || {
                        let barrier = std::sync::Barrier::new(threads);
                        std::thread::scope(|scope| {
                            let timed = || {
                                read(1000);
                                barrier.wait();
                                let began = Instant::now();
                                read(reads);
                                (began, Instant::now())
                            };
                            let all: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
                            let all: Vec<_> = all.into_iter().map(|thread| thread.join().expect("a time")).collect();
                            // On a busy machine, one thread may run after another. Adding their
                            // times would then hide the contention.
                            let began = all.iter().map(|(began, _)| *began).min().expect("a thread");
                            let ended = all.iter().map(|(_, ended)| *ended).max().expect("a thread");
                            ended.duration_since(began).as_nanos() as f64 / reads_of_all
                        })
                    }) as Round<'_>,
                )
            }),
        );
    }
    for (name, read) in &contenders {
        let allocations = allocation_counter::measure(|| read(100)).count_total as f64 / 100.0;
        bench.report.add("cached read", "allocations per read", name, "allocations", vec![allocations]);
    }
    Ok(())
}

fn ours(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Vec<(&'static str, Read)>> {
    let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
    let client = Client::builder(url.parse()?, authentication).build()?;
    let consents = Consents::builder(client.clone()).build();
    let refresh_token = RefreshToken::new("refresh")?;
    let consent = runtime.block_on(consents.import(&"user".parse()?, refresh_token, SystemTime::now()))?;
    let source = AppTokenSource::new(client, None);
    let (borrowing, header) = (consent.clone(), consent.clone());
    let (one, other) = (Arc::clone(runtime), Arc::clone(runtime));
    let (third, fourth) = (Arc::clone(runtime), Arc::clone(runtime));
    Ok(vec![
        (
            "flinks: Consent::with_token",
            Box::new(move |reads| {
                third.block_on(async {
                    for _ in 0..reads {
                        borrowing.with_token(|token| _ = black_box(token)).await.expect("a token");
                    }
                })
            }),
        ),
        (
            "flinks: Consent::header",
            Box::new(move |reads| {
                fourth.block_on(async {
                    for _ in 0..reads {
                        black_box(header.header().await.expect("a token"));
                    }
                })
            }),
        ),
        (
            "flinks: Consent",
            Box::new(move |reads| {
                one.block_on(async {
                    for _ in 0..reads {
                        black_box(consent.access_token().await.expect("a token"));
                    }
                })
            }),
        ),
        (
            "flinks: AppTokenSource",
            Box::new(move |reads| {
                other.block_on(async {
                    for _ in 0..reads {
                        black_box(source.access_token().await.expect("a token"));
                    }
                })
            }),
        ),
    ])
}

/// Returns the lower bounds: contenders that read a shared pointer and one precise clock but cannot
/// refresh a token. This project's crates read two coarse clocks and no precise clock.
fn floors() -> Vec<(&'static str, Read)> {
    struct Kept {
        _token: String,
        until: Instant,
    }
    let kept = || Arc::new(Kept { _token: "token".repeat(20), until: Instant::now() + Duration::from_secs(3600) });
    let (locked, swapped, loaded) =
        (RwLock::new(Some(kept())), ArcSwapOption::new(Some(kept())), ArcSwapOption::new(Some(kept())));
    vec![
        (
            "RwLock<Option<Arc>> and Instant",
            Box::new(move |reads| {
                for _ in 0..reads {
                    let token = locked.read().unwrap().clone().filter(|kept| Instant::now() < kept.until);
                    black_box(token.expect("a token"));
                }
            }),
        ),
        (
            "ArcSwap::load_full and Instant",
            Box::new(move |reads| {
                for _ in 0..reads {
                    black_box(swapped.load_full().filter(|kept| Instant::now() < kept.until).expect("a token"));
                }
            }),
        ),
        (
            "ArcSwap::load and Instant (the token is borrowed)",
            Box::new(move |reads| {
                for _ in 0..reads {
                    let token = loaded.load();
                    assert!(token.as_ref().is_some_and(|kept| Instant::now() < kept.until));
                    black_box(&token);
                }
            }),
        ),
    ]
}

#[cfg(feature = "peers")]
mod peers {
    use super::*;

    pub fn all(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Vec<(&'static str, Read)>> {
        let google = runtime.block_on(async { google(url) })?;
        let yup = runtime.block_on(yup(url))?;
        let headers = runtime.block_on(async { google_headers(url) })?;
        let (one, other, third) = (Arc::clone(runtime), Arc::clone(runtime), Arc::clone(runtime));
        Ok(vec![
            (
                "google-cloud-auth: headers",
                Box::new(move |reads| {
                    third.block_on(async {
                        for _ in 0..reads {
                            black_box(headers.headers(http::Extensions::new()).await.expect("a token"));
                        }
                    })
                }),
            ),
            (
                "google-cloud-auth",
                Box::new(move |reads| {
                    one.block_on(async {
                        for _ in 0..reads {
                            black_box(google.access_token().await.expect("a token"));
                        }
                    })
                }),
            ),
            (
                "yup-oauth2",
                Box::new(move |reads| {
                    other.block_on(async {
                        for _ in 0..reads {
                            black_box(yup.token(&["scope"]).await.expect("a token"));
                        }
                    })
                }),
            ),
        ])
    }

    pub fn google(url: &str) -> anyhow::Result<google_cloud_auth::credentials::AccessTokenCredentials> {
        Ok(google_builder(url).build_access_token_credentials()?)
    }

    /// Returns credentials that create the headers of a request.
    fn google_headers(url: &str) -> anyhow::Result<google_cloud_auth::credentials::Credentials> {
        Ok(google_builder(url).build()?)
    }

    fn google_builder(url: &str) -> google_cloud_auth::credentials::user_account::Builder {
        let user = serde_json::json!({
            "type": "authorized_user", "client_id": "id", "client_secret": "secret", "refresh_token": "refresh",
        });
        google_cloud_auth::credentials::user_account::Builder::new(user).with_token_uri(format!("{url}/token"))
    }

    type Yup = yup_oauth2::authenticator::DefaultAuthenticator;

    /// Creates an authenticator with a cached token.
    pub async fn yup(_url: &str) -> anyhow::Result<Yup> {
        let until = time::OffsetDateTime::now_utc() + time::Duration::hours(10);
        let token = serde_json::json!([{
            "scopes": ["scope"],
            "token": { "access_token": "token".repeat(20), "refresh_token": "refresh", "expires_at": until, "id_token": null },
        }]);
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), serde_json::to_vec(&token)?)?;
        let secret = yup_oauth2::ApplicationSecret::default();
        let method = yup_oauth2::InstalledFlowReturnMethod::Interactive;
        let builder = yup_oauth2::InstalledFlowAuthenticator::builder(secret, method);
        Ok(builder.persist_tokens_to_disk(file.path()).build().await?)
    }
}

#[cfg(feature = "peers")]
pub use peers::google;
