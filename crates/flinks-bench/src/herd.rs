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

/// Spawns this number of callers that all need a token from the server at the URL.
pub type Callers = fn(&Runtime, usize, &str) -> anyhow::Result<Vec<JoinHandle<Instant>>>;

/// The result of one herd.
pub struct Herd {
    /// The number of requests that the server received.
    pub requests: f64,
    /// The time from the response to the last caller, in milliseconds.
    pub to_last: f64,
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (callers, rounds) = if bench.quick { (1000, 1) } else { (10_000, 7) };
    let table = format!("{} callers without a cached token", number::format(f64::from(callers)));
    let contenders = contenders();
    let mut working: Vec<Vec<Herd>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, start), herds) in contenders.iter().zip(&mut working) {
            herds.push(herd(200, callers as usize, *start)?);
        }
    }
    for ((name, start), herds) in contenders.into_iter().zip(working) {
        let mut add = |column, unit, values| bench.run.add(Case::new(&table, column, unit), name, values);
        add("requests", "requests", herds.iter().map(|herd| herd.requests).collect());
        add("from the response to the last caller", "ms", herds.iter().map(|herd| herd.to_last).collect());
        add("requests to a failing server", "requests", vec![herd(500, callers as usize, start)?.requests]);
    }
    Ok(())
}

/// Returns the contenders, with this project's crate first.
pub fn contenders() -> Vec<(&'static str, Callers)> {
    let ours: [(&'static str, Callers); 1] = [(names::CONSENT, ours)];
    #[cfg(feature = "peers")]
    let peers = crate::peers::callers();
    #[cfg(not(feature = "peers"))]
    let peers = [];
    ours.into_iter().chain(peers).collect()
}

/// Starts the callers and waits until each has a token or an error, for at most five seconds if the
/// server fails. After a failure, some contenders retry for minutes.
pub fn herd(status: u16, number: usize, callers: Callers) -> anyhow::Result<Herd> {
    let (address, seen) = server::start(server::Manner { status, delay: DELAY, ..Default::default() })?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let tasks = callers(&runtime, number, &format!("http://{address}"))?;
    let last = runtime.block_on(async {
        let last = async {
            let mut last = None;
            for task in tasks {
                last = last.max(Some(task.await?));
            }
            anyhow::Ok(last)
        };
        let is_working = status == 200;
        let patience = Duration::from_secs(if is_working { 60 } else { 5 });
        let last = tokio::time::timeout(patience, last).await;
        ensure!(last.is_ok() || !is_working, "a caller has no token after a minute");
        last.unwrap_or(Ok(None))
    })?;
    let replied = *seen.last_reply.lock().unwrap();
    let waited = last.zip(replied).map(|(last, replied)| last.saturating_duration_since(replied));
    let to_last = waited.unwrap_or_default().as_secs_f64() * 1e3;
    Ok(Herd { requests: seen.requests.load(Ordering::Relaxed) as f64, to_last })
}

/// Spawns tasks that each make one call and return the time at which the call ended.
pub fn spawn<T, F>(runtime: &Runtime, number: usize, client: T, call: fn(Arc<T>) -> F) -> Vec<JoinHandle<Instant>>
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let client = Arc::new(client);
    let one = |_| {
        let call = call(Arc::clone(&client));
        runtime.spawn(async move {
            call.await;
            Instant::now()
        })
    };
    (0..number).map(one).collect()
}

fn ours(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<JoinHandle<Instant>>> {
    let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
    let consents = Consents::builder(Client::builder(url.parse()?, authentication).build()?).build();
    let (id, refresh_token) = ("user".parse()?, RefreshToken::new("refresh")?);
    let consent = runtime.block_on(consents.import(&id, refresh_token, SystemTime::now()))?;
    Ok(spawn(runtime, number, consent, |consent| async move { drop(consent.access_token().await) }))
}
