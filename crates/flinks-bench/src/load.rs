//! Measures the throughput and the latency of many tasks that request tokens at the same time.

use flinks_bench::claims::names;
use flinks_bench::report::Case;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Builder;

use crate::Bench;
use crate::fresh::{Calls, contenders};

/// Measures the requests per second and the latency of a request for different numbers of tasks. On
/// a machine with few cores, the server takes CPU time away from the client.
pub fn run(bench: &mut Bench, url: &str) -> anyhow::Result<()> {
    let (total, rounds) = if bench.quick { (128, 2) } else { (4096, 9) };
    let known = ["flinks-pay", names::FACADE, names::BY_HAND];
    for tasks in [1, 4, 16, 64] {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let contenders = contenders("pay").into_iter().filter(|(name, _)| known.contains(name));
        let mut made: Vec<_> =
            contenders.map(|(name, make)| (name, make(&runtime, url), [(); 3].map(|()| Vec::new()))).collect();
        for _ in 0..rounds {
            for (_, calls, figures) in &mut made {
                let began = Instant::now();
                let latencies = runtime.block_on(latencies(calls, tasks, total / tasks))?;
                figures[0].push(total as f64 / began.elapsed().as_secs_f64());
                figures[1].push(latencies[latencies.len() / 2]);
                figures[2].push(latencies[latencies.len() * 99 / 100]);
            }
        }
        for (name, _, [rate, median, high]) in made {
            let case = |table: &str, unit| Case::sized(table, "tasks", tasks, unit);
            bench.run.add(case("Pay tokens per second", "tokens"), name, rate);
            bench.run.add(case("Latency of a Pay token, median", "µs"), name, median);
            bench.run.add(case("Latency of a Pay token, 99th percentile", "µs"), name, high);
        }
    }
    Ok(())
}

/// Makes `number` calls in each task and returns the latencies of all calls, in microseconds and in
/// ascending order.
async fn latencies(calls: &Calls, tasks: usize, number: usize) -> anyhow::Result<Vec<f64>> {
    let task = |_| {
        let calls = Arc::clone(calls);
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(number);
            for _ in 0..number {
                let began = Instant::now();
                calls(1).await;
                latencies.push(began.elapsed().as_secs_f64() * 1e6);
            }
            latencies
        })
    };
    let tasks: Vec<_> = (0..tasks).map(task).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await?);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}
