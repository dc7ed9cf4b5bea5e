//! Measures how long a caller waits for a single-use token, with and without a pool. The server
//! takes 50 milliseconds to respond.

use std::time::{Duration, Instant};

use flinks::Settings;
use flinks::pay::{Client, Credentials};
use flinks::pool::TokenPool;
use flinks_bench::report::Case;
use tokio::runtime::Builder;

use crate::{Bench, Round, server};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let manner = server::Manner { delay: Duration::from_millis(50), ..Default::default() };
    let (address, _) = server::start(manner)?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let credentials = Credentials::new("user", "password")?;
    // The benchmark server always sends the same token.
    let settings = Settings::new().accept_repeated_tokens();
    let client = Client::builder(format!("http://{address}").parse()?, credentials).settings(&settings).build()?;
    let pool = TokenPool::new(client.clone(), flinks::pool::PoolSize::new(16).unwrap());
    let runtime = &runtime;
    let rounds = if bench.quick { 2 } else { 15 };
    // This closure takes sixteen tokens in a row. Each of the first four calls starts a prefetch.
    let ready = || {
        runtime.block_on(async {
            while !format!("{pool:?}").contains("ready: 16") {
                pool.fill();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut times = Vec::with_capacity(16);
            for _ in 0..16 {
                let began = Instant::now();
                let token = pool.token().await.expect("the server sends a token");
                times.push(began.elapsed().as_secs_f64() * 1e6);
                drop(token);
            }
            times.sort_by(f64::total_cmp);
            times
        })
    };
    let (median, longest) = (|| ready()[8], || ready()[15]);
    let plain = || {
        runtime.block_on(async {
            let began = Instant::now();
            drop(client.authorize().await.expect("the server sends a token"));
            began.elapsed().as_secs_f64() * 1e6
        })
    };
    let contenders: [(&str, Round<'_>); 3] = [
        ("TokenPool::token, median of 16 consecutive calls", Box::new(median)),
        ("TokenPool::token, slowest of 16 consecutive calls", Box::new(longest)),
        ("Client::authorize", Box::new(plain)),
    ];
    bench.rounds(&Case::new("Single-use token, server 50 ms away", "wait", "µs"), rounds, contenders.into_iter());
    Ok(())
}
