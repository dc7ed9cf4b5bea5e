//! Measures, for documents of different sizes, the time to generate a client and to compare the
//! document with a changed copy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use flinks_bench::report::Case;
use serde::Deserialize;

use crate::{Bench, cargo};

/// A line of output from the `cost` example.
#[derive(Deserialize)]
struct Cost {
    operations: usize,
    seconds: Vec<(String, f64)>,
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    // The generator refuses documents that are much larger than the largest of these.
    let (sizes, rounds): (&[&str], _) =
        if bench.quick { (&["4", "16"], 1) } else { (&["62", "125", "250", "500", "1000"], 3) };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // In a quick run, this builds the example as `cargo test --workspace` does, so that CI builds it
    // only once.
    let selection: &[&str] = if bench.quick { &["--workspace"] } else { &["--release", "--package", "xtask"] };
    cargo::run(&root, &[&["build", "--quiet", "--locked", "--example", "cost"], selection].concat())?;
    let folder = if bench.quick { "debug" } else { "release" };
    let program = root.join("target").join(folder).join("examples/cost");

    let mut costs: Vec<Cost> = Vec::new();
    for _ in 0..rounds {
        let output = Command::new(&program).arg("--json").args(sizes).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            costs.push(serde_json::from_str(line).with_context(|| format!("unexpected output: {line}"))?);
        }
    }
    for size in sizes {
        let size: usize = size.parse()?;
        for (step, name) in [("generate", "cargo xtask regenerate"), ("diff", "cargo xtask diff")] {
            let of_size = costs.iter().filter(|cost| cost.operations == size);
            let seconds = of_size.flat_map(|cost| &cost.seconds).filter(|(known, _)| known == step);
            let case = Case::sized("Time for a document", "operations", size, "s");
            bench.run.add(case, name, seconds.map(|(_, seconds)| *seconds).collect());
        }
    }
    Ok(())
}
