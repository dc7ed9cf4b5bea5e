//! Measures, for different numbers of callers that wait for the same token, the time from the
//! response until the last caller has the token.

use flinks_bench::claims::names;
use flinks_bench::report::Case;

use crate::{Bench, herd};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let sizes: &[usize] = if bench.quick { &[1, 100] } else { &[1, 10, 100, 1000, 10_000, 100_000] };
    let rounds = if bench.quick { 1 } else { 5 };
    for &size in sizes {
        for (name, _, herds) in herd::herds(bench, size, rounds) {
            let case = Case::sized(names::TO_LAST_WAITER, names::WAITERS, size, "ms");
            bench.run.add(case, name, herds.iter().map(|herd| herd.to_last).collect());
        }
    }
    Ok(())
}
