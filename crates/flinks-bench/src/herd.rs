//! Measures how many requests are sent when ten thousand callers need a token at the same time, and
//! how soon after the response the last caller has the token. No token is cached, and the server
//! takes 50 milliseconds to respond.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_bench::claims::names;
use flinks_bench::number;
use flinks_bench::report::Case;
use flinks_consents::Consents;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::{Bench, server};

const DELAY: Duration = Duration::from_millis(50);

/// A caller's task. It returns whether the caller received a token, and when the caller finished.
pub type Caller = JoinHandle<(bool, Instant)>;

/// A function that spawns the given number of callers, which all need a token from the server at
/// the given URL.
pub type Callers = fn(&Runtime, usize, &str) -> anyhow::Result<Vec<Caller>>;

/// The result of one herd.
pub struct Herd {
    /// The number of requests that the server received.
    pub requests: f64,
    /// The time from the first response until the last caller has its token, in milliseconds.
    pub to_last: f64,
    /// The number of callers without a token.
    pub failed: f64,
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (callers, rounds): (usize, _) = if bench.quick { (1000, 1) } else { (10_000, 7) };
    // A claim refers to this title.
    let table = format!("{} callers without a cached token", number::format(callers as f64));
    for (name, start, herds) in herds(bench, callers, rounds) {
        let mut add = |column, unit, values| bench.run.add(Case::new(&table, column, unit), name, values);
        add("requests", "requests", herds.iter().map(|herd| herd.requests).collect());
        add("from the response to the last caller", "ms", herds.iter().map(|herd| herd.to_last).collect());
        add("requests to a failing server", "requests", vec![herd(500, callers, start)?.requests]);
    }
    Ok(())
}

/// Measures all contenders in turn. Omits a contender whose callers do not all receive a token.
pub fn herds(bench: &mut Bench, callers: usize, rounds: usize) -> Vec<(&'static str, Callers, Vec<Herd>)> {
    let mut all: Vec<_> = contenders().into_iter().map(|(name, start)| (name, start, Vec::new())).collect();
    for _ in 0..rounds {
        all.retain_mut(|(name, start, herds)| {
            let failure = match herd(200, callers, *start) {
                Ok(herd) if herd.failed == 0.0 => {
                    herds.push(herd);
                    return true;
                }
                Ok(herd) => format!("{} received no token", herd.failed),
                Err(error) => error.to_string(),
            };
            bench.run.note(format!("{name} with {callers} callers was omitted: {failure}."));
            false
        });
    }
    all
}

/// Returns the contenders, with this project's crate first.
fn contenders() -> Vec<(&'static str, Callers)> {
    let ours: [(&'static str, Callers); 1] = [(names::CONSENT, ours)];
    #[cfg(feature = "peers")]
    let peers = crate::peers::callers();
    #[cfg(not(feature = "peers"))]
    let peers = [];
    ours.into_iter().chain(peers).collect()
}

/// Starts the callers and waits until each has a token or an error. If the server fails, waits for
/// at most five seconds, because some contenders retry for minutes after a failure.
fn herd(status: u16, number: usize, callers: Callers) -> anyhow::Result<Herd> {
    let (address, seen) = server::start(server::Manner { status, delay: DELAY, ..Default::default() })?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let tasks = callers(&runtime, number, &format!("http://{address}"))?;
    let (last, failed) = runtime.block_on(async {
        let last = async {
            let (mut last, mut failed) = (None, 0.0);
            for task in tasks {
                let (has_token, ended) = task.await?;
                last = last.max(Some(ended));
                failed += f64::from(u8::from(!has_token));
            }
            anyhow::Ok((last, failed))
        };
        let is_working = status == 200;
        let patience = Duration::from_secs(if is_working { 20 } else { 5 });
        let last = tokio::time::timeout(patience, last).await;
        ensure!(last.is_ok() || !is_working, "a caller has no token after 20 seconds");
        last.unwrap_or(Ok((None, number as f64)))
    })?;
    let replied = *seen.first_reply.lock().unwrap();
    let waited = last.zip(replied).map(|(last, replied)| last.saturating_duration_since(replied));
    let to_last = waited.unwrap_or_default().as_secs_f64() * 1e3;
    Ok(Herd { requests: seen.requests.load(Ordering::Relaxed) as f64, to_last, failed })
}

/// Spawns tasks that each make one call, which returns whether the caller received a token.
pub fn spawn<T, F>(runtime: &Runtime, number: usize, client: T, call: fn(Arc<T>) -> F) -> Vec<Caller>
where
    T: Send + Sync + 'static,
    F: Future<Output = bool> + Send + 'static,
{
    let client = Arc::new(client);
    let one = |_| {
        let call = call(Arc::clone(&client));
        runtime.spawn(async move { (call.await, Instant::now()) })
    };
    (0..number).map(one).collect()
}

fn ours(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<Caller>> {
    let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
    let consents = Consents::builder(Client::builder(url.parse()?, authentication).build()?).build();
    let (id, refresh_token) = ("user".parse()?, RefreshToken::new("refresh")?);
    let consent = runtime.block_on(consents.import(&id, refresh_token, SystemTime::now()))?;
    Ok(spawn(runtime, number, consent, |consent| async move { consent.access_token().await.is_ok() }))
}
