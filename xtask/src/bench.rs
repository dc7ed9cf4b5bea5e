//! The command that runs the benchmarks.

use std::path::Path;
use std::process::{Command, ExitStatus};

use clap::Args;

/// The options for `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run fewer rounds and skip the comparable crates and the build benchmarks
    #[arg(long)]
    quick: bool,
    /// After the run, write the figures from all benchmarks to crates/flinks-bench
    #[arg(long, conflicts_with = "quick")]
    write: bool,
    /// Write the figures from earlier runs to crates/flinks-bench without running a benchmark
    #[arg(long, conflicts_with_all = ["quick", "write", "names"])]
    render: bool,
    /// The benchmarks to run: read, fresh, herd, pool, rest, consents, waiters, threads, stores,
    /// documents, regenerate, dependent (default: all)
    names: Vec<String>,
}

/// Runs the benchmarks. The benchmarks are in a separate workspace so that other builds do not
/// include the comparable crates.
pub(crate) fn run(root: &Path, options: &Options) -> std::io::Result<ExitStatus> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--release", "--locked", "--quiet", "--manifest-path"]);
    cargo.arg(root.join("crates/flinks-bench/Cargo.toml"));
    if options.quick || options.render {
        cargo.arg("--no-default-features");
    }
    // Build scripts read these variables, which `cargo run` sets for this program. If their values
    // differed from those in a build started from a terminal, ring and everything that depends on
    // it would be rebuilt.
    let is_of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package)) {
        cargo.env_remove(name);
    }
    // The benchmarks enable different features, so they need a separate target folder.
    cargo.env("CARGO_TARGET_DIR", root.join("target/bench"));
    cargo.arg("--").arg("--output").arg(root.join("target/bench"));
    for (is_set, flag) in [(options.quick, "--quick"), (options.write, "--write"), (options.render, "--render")] {
        if is_set {
            cargo.arg(flag);
        }
    }
    cargo.args(&options.names).status()
}
