//! Measures how many requests are sent when ten thousand callers need a token at the same time, and
//! how soon after the response the last caller has the token. No token is cached, and the server
//! takes 50 milliseconds to respond.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::Consents;
use tokio::runtime::Builder;

use crate::{Bench, server};

const DELAY: Duration = Duration::from_millis(50);
const WORKING: &str = "a working server";
const FAILING: &str = "a failing server";

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let callers = if bench.quick { 1000 } else { 10_000 };
    for (status, what) in [(200, WORKING), (500, FAILING)] {
        for _ in 0..if bench.quick { 1 } else { 5 } {
            ours(bench, status, what, callers)?;
            #[cfg(feature = "peers")]
            google(bench, status, what, callers)?;
        }
    }
    bench.report.merge("herd");
    Ok(())
}

fn ours(bench: &mut Bench, status: u16, what: &str, callers: usize) -> anyhow::Result<()> {
    let (address, seen) = server::start(server::Manner { status, delay: DELAY, ..Default::default() })?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
        let client = Client::builder(format!("http://{address}").parse()?, authentication).build()?;
        let consents = Consents::builder(client).build();
        let consent = consents.import(&"user".parse()?, RefreshToken::new("refresh")?, SystemTime::now()).await?;
        let tasks = (0..callers).map(|_| {
            let consent = consent.clone();
            tokio::spawn(async move {
                let _ = consent.access_token().await;
                Instant::now()
            })
        });
        finish(bench, "flinks: Consent", what, tasks.collect(), &seen).await
    })
}

#[cfg(feature = "peers")]
fn google(bench: &mut Bench, status: u16, what: &str, callers: usize) -> anyhow::Result<()> {
    let (address, seen) = server::start(server::Manner { status, delay: DELAY, ..Default::default() })?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let credentials = crate::read::google(&format!("http://{address}"))?;
        let tasks = (0..callers).map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move {
                // After a failure, google-cloud-auth retries for minutes.
                let _ = tokio::time::timeout(Duration::from_secs(5), credentials.access_token()).await;
                Instant::now()
            })
        });
        finish(bench, "google-cloud-auth", what, tasks.collect(), &seen).await
    })
}

async fn finish(
    bench: &mut Bench,
    name: &str,
    what: &str,
    tasks: Vec<tokio::task::JoinHandle<Instant>>,
    seen: &server::Seen,
) -> anyhow::Result<()> {
    let callers = tasks.len();
    let mut last = None;
    for task in tasks {
        last = last.max(Some(task.await?));
    }
    let requests = seen.requests.load(Ordering::Relaxed) as f64;
    bench.report.add("herd", &format!("{callers} callers, {what}: requests"), name, "requests", vec![requests]);
    let replied = *seen.last_reply.lock().unwrap();
    if let (Some(last), Some(replied)) = (last, replied)
        && what == WORKING
    {
        let waited = last.saturating_duration_since(replied).as_secs_f64() * 1e3;
        let case = format!("{callers} callers, {what}: from the response to the last caller");
        bench.report.add("herd", &case, name, "ms", vec![waited]);
    }
    Ok(())
}
