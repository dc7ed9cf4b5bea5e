//! Measures the time per read when different numbers of threads read the same cached token. If
//! threads do not contend, the exponent is -1 up to the number of cores, and 0 for more threads.

use flinks_bench::report::Case;

use crate::{Bench, Round, read};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (sizes, reads, rounds): (&[usize], _, _) =
        if bench.quick { (&[1, 2], 1000, 3) } else { (&[1, 2, 4, 8], 10_000, 200) };
    let contenders = read::contenders()?;
    for &size in sizes {
        let case = Case::sized("Time per read of the same cached token", "threads", size, "ns").lowest();
        let timed = contenders
            .iter()
            .map(|(name, read)| (*name, Box::new(move || read::time_per_read(read, reads, size)) as Round<'_>));
        bench.rounds(&case, rounds, timed);
    }
    Ok(())
}
