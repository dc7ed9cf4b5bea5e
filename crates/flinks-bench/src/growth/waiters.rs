//! The number of callers that wait for the same token: the time from the response to the last one.

use flinks_bench::claims::names;
use flinks_bench::report::Case;

use crate::{Bench, herd};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let sizes: &[usize] = if bench.quick { &[1, 100] } else { &[1, 10, 100, 1000, 10_000, 100_000] };
    let contenders = herd::contenders();
    for &size in sizes {
        let mut times: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
        for _ in 0..if bench.quick { 1 } else { 5 } {
            for ((name, callers), times) in contenders.iter().zip(&mut times) {
                match herd::herd(200, size, *callers) {
                    Ok(herd) => times.push(herd.to_last),
                    Err(error) => bench.run.note(format!("{name} with {size} waiters: {error}.")),
                }
            }
        }
        for ((name, _), times) in contenders.iter().zip(times) {
            bench.run.add(Case::sized(names::TO_LAST_WAITER, names::WAITERS, size, "ms"), name, times);
        }
    }
    Ok(())
}
