//! Measures how long `cargo xtask regenerate --check` takes for all three documents, excluding the
//! build of xtask.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;
use flinks_bench::report::Case;

use crate::Bench;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut values = Vec::new();
    for round in 0..if bench.quick { 2 } else { 6 } {
        let began = Instant::now();
        let output = Command::new("cargo")
            .args(["xtask", "regenerate", "--check"])
            .current_dir(&root)
            .env_remove("CARGO_TARGET_DIR")
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
