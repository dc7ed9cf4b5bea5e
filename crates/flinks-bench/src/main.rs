//! Benchmarks the Flinks crates against comparable crates in one run. `cargo xtask bench` runs this
//! program.

#![allow(clippy::disallowed_methods)] // the benchmarks do not write consent files

mod dependent;
mod fresh;
mod herd;
mod plot;
mod pool;
mod read;
mod regenerate;
mod report;
mod rest;
mod server;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::report::Report;

/// Benchmarks the Flinks crates against comparable crates.
#[derive(Parser)]
struct Arguments {
    /// Run only a few rounds and skip the builds, to check that the benchmarks work.
    #[arg(long)]
    quick: bool,
    /// The directory for the figures and the plot.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// The benchmarks to run: read, fresh, herd, pool, rest, regenerate, dependent (default: all).
    names: Vec<String>,
}

struct Bench {
    quick: bool,
    report: Report,
}

impl Bench {
    /// Runs each contender once in each round, so that a slowdown of the machine affects all
    /// contenders equally.
    fn rounds<'a>(
        &mut self,
        bench: &'static str,
        case: &str,
        unit: &'static str,
        rounds: usize,
        contenders: impl Iterator<Item = (&'a str, Round<'a>)>,
    ) {
        let mut contenders: Vec<_> = contenders.map(|(name, run)| (name, run, Vec::new())).collect();
        let style = ProgressStyle::with_template("{msg:40} {bar:30} {eta}").expect("the template is valid");
        let bar = ProgressBar::new((rounds * contenders.len()) as u64).with_style(style);
        bar.set_message(format!("{bench}: {case}"));
        for _ in 0..rounds {
            for (_, run, values) in &mut contenders {
                values.push(run());
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for (name, _, values) in contenders {
            self.report.add(bench, case, name, unit, values);
        }
    }
}

/// A function that runs one round for one contender and returns the measured value.
type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

type Run = fn(&mut Bench) -> anyhow::Result<()>;

const BENCHES: &[(&str, Run)] = &[
    ("read", read::run),
    ("fresh", fresh::run),
    ("herd", herd::run),
    ("pool", pool::run),
    ("rest", rest::run),
    ("regenerate", regenerate::run),
    ("dependent", dependent::run),
];

fn main() -> anyhow::Result<()> {
    // The handwritten client needs a default TLS provider, because another crate enables rustls.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The benchmarks start this program again with the argument `serve` or `once`.
    let inner: Vec<String> = std::env::args().skip(1).collect();
    match inner.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => return server::serve_until_closed(),
        ["once", operation, name, url, number] => return fresh::once(operation, name, url, number.parse()?),
        _ => {}
    }
    let arguments = Arguments::parse();
    let mut bench = Bench { quick: arguments.quick, report: Report { machine: machine(), ..Report::default() } };
    for name in &arguments.names {
        anyhow::ensure!(BENCHES.iter().any(|(known, _)| known == name), "unknown benchmark: {name}");
    }
    for (name, run) in BENCHES {
        if arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name) {
            run(&mut bench).with_context(|| format!("the benchmark {name} failed"))?;
        }
    }
    println!("{}", bench.report.markdown());
    std::fs::create_dir_all(&arguments.output)?;
    std::fs::write(arguments.output.join("bench.json"), serde_json::to_vec_pretty(&bench.report)?)?;
    plot::load(&bench.report, &arguments.output.join("load.svg"))?;
    println!("\nWrote the figures and the plot to {}", arguments.output.display());
    Ok(())
}

/// Returns a line with the number of cores, the processor model and the Linux version.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name").map(str::to_owned));
    let cpu = cpu.unwrap_or_default().trim_matches([' ', '\t', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {cpu}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
