//! Measures how long a read of a cached access token takes. A service reads the token before each
//! request that it sends.

use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::bail;
use arc_swap::ArcSwapOption;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_bench::claims::names;
use flinks_bench::report::Case;
use flinks_consents::{AppTokenSource, Consents};
use tokio::runtime::Runtime;

use crate::{Bench, Round, server};

/// A function that reads the token the given number of times on the calling thread.
pub type Read = Box<dyn Fn(u32) + Sync>;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let contenders = contenders()?;
    // A round is shorter than the time slice of a thread, so that other programs do not interrupt
    // every round.
    let (reads, rounds) = if bench.quick { (10_000, 5) } else { (10_000, 400) };
    for (threads, column) in [(1, "1 thread"), (2, "2 threads")] {
        bench.rounds(
            &Case::new(names::CACHED_READ, column, "ns").lowest(),
            rounds,
            contenders
                .iter()
                .map(|(name, read)| (*name, Box::new(move || time_per_read(read, reads, threads)) as Round<'_>)),
        );
    }
    for (name, read) in &contenders {
        let allocations = allocation_counter::measure(|| read(100)).count_total as f64 / 100.0;
        bench.run.add(Case::new(names::CACHED_READ, "allocations", "allocations"), name, vec![allocations]);
    }
    Ok(())
}

/// Reads the token `number` times with one contender, after some reads that are not counted.
/// Callgrind measures the process that runs this function.
pub fn once(name: &str, number: u32) -> anyhow::Result<()> {
    let Some((_, read)) = contenders()?.into_iter().find(|(known, _)| *known == name) else {
        bail!("unknown contender: {name}");
    };
    read(20);
    crate::count(|| read(number));
    Ok(())
}

/// Returns the contenders, with this project's crates first and the lower bounds last.
pub fn contenders() -> anyhow::Result<Vec<(&'static str, Read)>> {
    let (address, _) = server::start(server::Manner::default())?;
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?);
    let mut contenders = ours(&runtime, &format!("http://{address}"))?;
    #[cfg(feature = "peers")]
    contenders.extend(crate::peers::reads(&runtime, &format!("http://{address}"))?);
    contenders.extend(floors());
    Ok(contenders)
}

/// Returns the time per read, in nanoseconds, when `threads` threads read at the same time.
pub fn time_per_read(read: &Read, reads: u32, threads: usize) -> f64 {
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
        // On a busy machine, one thread may run after another. Adding their times would then hide
        // the contention.
        let began = all.iter().map(|(began, _)| *began).min().expect("a thread");
        let ended = all.iter().map(|(_, ended)| *ended).max().expect("a thread");
        ended.duration_since(began).as_nanos() as f64 / (f64::from(reads) * threads as f64)
    })
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
            names::WITH_TOKEN,
            Box::new(move |reads| {
                third.block_on(async {
                    for _ in 0..reads {
                        borrowing.with_token(|token| _ = black_box(token)).await.expect("a token");
                    }
                })
            }),
        ),
        (
            names::HEADER,
            Box::new(move |reads| {
                fourth.block_on(async {
                    for _ in 0..reads {
                        black_box(header.header().await.expect("a token"));
                    }
                })
            }),
        ),
        (
            names::CONSENT,
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
            names::BORROWED,
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
