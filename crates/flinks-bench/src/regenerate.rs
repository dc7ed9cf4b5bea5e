//! Measures how long `cargo xtask regenerate --check` takes for all three documents, excluding the
//! build of xtask.

use std::path::Path;
use std::time::Instant;

use flinks_bench::report::Case;

use crate::{Bench, cargo};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut values = Vec::new();
    for round in 0..if bench.quick { 2 } else { 6 } {
        let began = Instant::now();
        cargo::run(&root, &["xtask", "regenerate", "--check"])?;
        // The first run may build xtask, so its time is not recorded.
        if round > 0 {
            values.push(began.elapsed().as_secs_f64());
        }
    }
    bench.run.add(
        Case::new("Regeneration of the three clients", "warm", "s"),
        "cargo xtask regenerate --check",
        values,
    );
    Ok(())
}
