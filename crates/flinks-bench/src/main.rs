//! Benchmarks the Flinks crates against comparable crates in one run. `cargo xtask bench` runs this
//! program.

#![allow(clippy::disallowed_methods)] // the benchmarks do not write consent files

mod cargo;
mod dependent;
mod fresh;
mod growth;
mod herd;
mod load;
#[cfg(feature = "peers")]
mod peers;
mod pool;
mod read;
mod redis_server;
mod regenerate;
mod rest;
mod server;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Parser;
use flinks_bench::report::{Case, Conditions, Report, Run};
use flinks_bench::table::{Detail, tables};
use flinks_bench::{claims, readme, versions};
use indicatif::{ProgressBar, ProgressStyle};

/// Benchmarks the Flinks crates against comparable crates.
#[derive(Parser)]
struct Arguments {
    /// Run only a few rounds and skip the builds, to check that the benchmarks work.
    #[arg(long)]
    quick: bool,
    /// The directory for the figures and the plots.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// After the run, write the figures to the README of the benchmarks.
    #[arg(long, conflicts_with = "quick")]
    write: bool,
    /// Write the figures from earlier runs to the README, without running a benchmark.
    #[arg(long, conflicts_with_all = ["quick", "write", "names"])]
    render: bool,
    /// The benchmarks to run: read, fresh, herd, pool, rest, consents, waiters, threads, stores,
    /// documents, regenerate, dependent (default: all).
    names: Vec<String>,
}

struct Bench {
    quick: bool,
    /// The figures from the benchmark that is running.
    run: Run,
}

impl Bench {
    /// Runs each contender once in each round, so that a slowdown of the machine affects all
    /// contenders equally.
    fn rounds<'a>(&mut self, case: &Case, rounds: usize, contenders: impl Iterator<Item = (&'a str, Round<'a>)>) {
        let mut contenders: Vec<_> = contenders.map(|(name, run)| (name, run, Vec::new())).collect();
        let style = ProgressStyle::with_template("{msg:40} {bar:30} {eta}").expect("the template is valid");
        let bar = ProgressBar::new((rounds * contenders.len()) as u64).with_style(style);
        bar.set_message(format!("{}: {}", case.table, case.heading()));
        for _ in 0..rounds {
            for (_, run, values) in &mut contenders {
                values.push(run());
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for (name, _, values) in contenders {
            self.run.add(case.clone(), name, values);
        }
    }
}

/// Runs `work` while Callgrind counts its instructions, and prints the number of allocations.
fn count(work: impl FnOnce()) {
    println!("{}", allocation_counter::measure(|| counted(work)).count_total);
}

/// Callgrind recognizes this function by its name.
#[inline(never)]
fn counted(work: impl FnOnce()) {
    work();
    std::hint::black_box(());
}

/// A function that runs one round for one contender and returns the measured value.
type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

type Start = fn(&mut Bench) -> anyhow::Result<()>;

const BENCHES: &[(&str, Start)] = &[
    ("read", read::run),
    ("fresh", fresh::run),
    ("herd", herd::run),
    ("pool", pool::run),
    ("rest", rest::run),
    ("consents", growth::consents::run),
    ("waiters", growth::waiters::run),
    ("threads", growth::threads::run),
    ("stores", growth::stores::run),
    ("documents", growth::documents::run),
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
        ["once", "read", name, _, number] => return read::once(name, number.parse()?),
        ["once", operation, name, url, number] => return fresh::once(operation, name, url, number.parse()?),
        _ => {}
    }
    let arguments = Arguments::parse();
    for name in &arguments.names {
        anyhow::ensure!(BENCHES.iter().any(|(known, _)| known == name), "unknown benchmark: {name}");
    }
    std::fs::create_dir_all(&arguments.output)?;
    // The figures from a quick run are meaningless, so they do not replace other figures.
    let file = arguments.output.join(if arguments.quick { "quick.json" } else { "bench.json" });
    let mut report = if arguments.quick { Report::default() } else { Report::read(&file)?.merge(committed()?) };
    if !arguments.render {
        run_all(&arguments, &mut report, &file)?;
    }
    readme::write_plots(&report, &arguments.output.join("plots"))?;
    println!("\nWrote the figures and the plots to {}", arguments.output.display());
    if arguments.write || arguments.render {
        readme::write(&report, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    }
    Ok(())
}

/// Runs the benchmarks, prints their tables and adds their figures to the report. The report is
/// written after each benchmark, so that a failure does not discard the figures from the others.
fn run_all(arguments: &Arguments, report: &mut Report, file: &Path) -> anyhow::Result<()> {
    let conditions = Conditions {
        measured_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        machine: machine(),
        versions: versions::versions(include_str!("../Cargo.lock")),
    };
    let mut bench = Bench { quick: arguments.quick, run: Run::default() };
    for (name, start) in BENCHES {
        if !arguments.names.is_empty() && !arguments.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        bench.run = Run { conditions: conditions.clone(), ..Run::default() };
        let outcome = start(&mut bench).with_context(|| format!("the benchmark {name} failed"));
        for table in tables(&bench.run) {
            println!("### {}\n\n{}", table.title, table.markdown(Detail::Rounds));
        }
        for note in &bench.run.notes {
            println!("{note}\n");
        }
        // The tables above show what a failed benchmark has measured.
        outcome?;
        report.runs.insert((*name).to_owned(), std::mem::take(&mut bench.run));
        report.write(file)?;
    }
    if !arguments.quick {
        println!("{}", claims::markdown(&claims::claims(report)));
    }
    Ok(())
}

/// Reads the figures that the README shows.
fn committed() -> anyhow::Result<Report> {
    Report::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.json"))
}

/// Returns a line with the number of cores, the processor model and the Linux version.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name").map(str::to_owned));
    let cpu = cpu.unwrap_or_default().trim_matches([' ', '\t', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {cpu}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
