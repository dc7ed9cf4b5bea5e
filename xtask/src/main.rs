//! `cargo xtask`: the project's chores.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a terminal program

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, print, println};
use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use xtask::Product;
use xtask::generate::{Mode, Outcome, list_crates, regenerate};
use xtask::maintain::diff::{self, ProductDiff, Side};
use xtask::maintain::import::{self, Options};
use xtask::maintain::{release, update};
use xtask::prose::Rules;

/// The project's chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated clients anew from openapi/; nothing, if one of the documents cannot be generated
    ///
    /// Exit codes: 0 all is fresh or was written, 1 a document could not be generated, 2 a mistake on the command
    /// line, 3 a file is stale (with --check).
    Regenerate {
        /// This product only
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// Write nothing; show what differs
        #[arg(long)]
        check: bool,
        /// The project's root, if not this one
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Take over what Flinks publishes: pages in Markdown, or documents in YAML or JSON
    ///
    /// Merges each operation into the document of its product in openapi/, and keeps openapi/sources.toml. All of it, or
    /// nothing. Exit codes: 0 done, 1 something could not be imported, 2 a mistake on the command line.
    Import {
        /// What was retrieved
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The product of all of them, where they do not tell
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// The day on which they were retrieved; today, in UTC, if not given
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        retrieved: Option<String>,
        /// The project's root, if not this one
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Tell what changed between two versions of the documents, and what it means for each crate
    ///
    /// OLD and NEW are a folder that has openapi/, or a commit. Without them: the last commit and the files as they are.
    /// Exit codes: 0 told, 1 something could not be read, 2 a mistake on the command line.
    Diff {
        /// The older version; the last commit, if not given
        old: Option<String>,
        /// The newer version; the files as they are, if not given
        new: Option<String>,
        /// This product only
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// As Markdown, for a pull request
        #[arg(long)]
        markdown: bool,
        /// The entries for the changelogs, and nothing else
        #[arg(long, conflicts_with = "markdown")]
        changelog: bool,
        /// The project's root, if not this one
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// The whole loop: import, regenerate, diff, and propose versions and changelogs; prints a summary for a pull request
    ///
    /// Compares with the last release of each crate, or with the last commit where there is none. Exit codes: 0 done, 1
    /// something failed, or no code can be made of a document: the summary tells why, 2 a mistake on the command line.
    Update {
        /// What was retrieved; none, if the documents are in place
        files: Vec<PathBuf>,
        /// The product of all of them, where they do not tell
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// The day on which they were retrieved; today, in UTC, if not given
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        retrieved: Option<String>,
        /// The commit to compare with
        #[arg(long, value_name = "COMMIT")]
        since: Option<String>,
        /// The project's root, if not this one
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Make the proposed versions the versions, in manifests and changelogs
    ///
    /// Publishes nothing. Exit codes: 0 done, 1 something failed, 2 a mistake on the command line.
    Release {
        /// The day of the release; today, in UTC, if not given
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        day: Option<String>,
        /// The project's root, if not this one
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Find phrases in documents, comments and messages that readers stumbled over
    ///
    /// `xtask/prose.toml` has the phrases and what to write instead. Exit codes: 0 none found, 1 some
    /// found or the check failed, 2 invalid command line.
    Prose {
        /// The project's root (default: the root of this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Measure the crates beside what one would use instead: prints tables, and writes target/bench/bench.json and load.svg
    ///
    /// The peers take some minutes to build, once. Exit codes: those of cargo and of the program.
    Bench {
        /// Few rounds, without the peers and whatever builds: to see that it works
        #[arg(long)]
        quick: bool,
        /// What to measure: read, fresh, herd, pool, rest, regenerate, dependant; all, if none is named
        names: Vec<String>,
    },
}

/// A document could not be generated.
const FAILED: u8 = 1;
/// A generated file differs from what would be generated. Not 2, which is a mistake on the command line.
const STALE: u8 = 3;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match Arguments::parse().command {
        Command::Regenerate { product, check, root } => {
            let mode = if check { Mode::Check } else { Mode::Write };
            run_regenerate(&root.unwrap_or(here), product, mode)
        }
        Command::Import { files, product, retrieved, root } => {
            let options = Options { files, product, retrieved: retrieved.unwrap_or_else(today) };
            finish(run_import(&root.unwrap_or(here), &options))
        }
        Command::Diff { old, new, product, markdown, changelog, root } => {
            let format = match (markdown, changelog) {
                (true, _) => diff::markdown,
                (_, true) => changelog_entries,
                _ => diff::terminal,
            };
            finish(run_diff(&root.unwrap_or(here), old.as_deref(), new.as_deref(), &products(product), format))
        }
        Command::Update { files, product, retrieved, since, root } => {
            let options = Options { files, product, retrieved: retrieved.unwrap_or_else(today) };
            finish(run_update(&root.unwrap_or(here), &options, since.as_deref()))
        }
        Command::Release { day, root } => finish(run_release(&root.unwrap_or(here), &day.unwrap_or_else(today))),
        Command::Prose { root } => finish(run_prose(&root.unwrap_or(here))),
        Command::Bench { quick, names } => run_bench(&here, quick, &names),
    }
}

/// Regenerates one product, or all products and the lists of the hand-written crates.
fn run_regenerate(root: &Path, product: Option<Product>, mode: Mode) -> ExitCode {
    let mut codes = Vec::new();
    for (product, outcome) in regenerate(root, &products(product), mode) {
        codes.push(report(product.crate_name(), &product.generated(), outcome));
    }
    if product.is_none() {
        for (name, outcome) in list_crates(root, mode) {
            codes.push(report(name, &Path::new("crates").join(name).join("public-api.txt"), outcome));
        }
    }
    // A failure outweighs a stale file.
    let worst = [FAILED, STALE].into_iter().find(|code| codes.contains(code));
    ExitCode::from(worst.unwrap_or(0))
}

fn run_import(root: &Path, options: &Options) -> xtask::Result<ExitCode> {
    let report = import::import(root, options)?;
    report.lines.iter().for_each(|line| println!("{line}"));
    if !report.changed.is_empty() {
        println!("{NOTE}next{NOTE:#}    `cargo xtask diff` shows the effect, `cargo xtask update` continues from here");
    }
    Ok(ExitCode::SUCCESS)
}

fn run_diff(
    root: &Path,
    old: Option<&str>,
    new: Option<&str>,
    products: &[Product],
    format: fn(&[ProductDiff]) -> String,
) -> xtask::Result<ExitCode> {
    let old = Side::named(root, old.unwrap_or("HEAD"))?;
    let new = match new {
        Some(new) => Side::named(root, new)?,
        None => Side::Folder(root.to_owned()),
    };
    print!("{}", format(&diff::diff(old.path(), new.path(), products)?));
    Ok(ExitCode::SUCCESS)
}

fn run_update(root: &Path, options: &Options, since: Option<&str>) -> xtask::Result<ExitCode> {
    let summary = update::update(root, options, since)?;
    print!("{}", summary.markdown);
    Ok(if summary.is_refused { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn run_release(root: &Path, day: &str) -> xtask::Result<ExitCode> {
    let released = release::release(root, day)?;
    if released.is_empty() {
        println!("no changelog proposes a version");
    }
    for (name, version) in released {
        println!("{GOOD}ready{GOOD:#}   {name} {version}: `cargo publish --package {name}`, once this is committed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a command, whose error is printed.
fn finish(result: xtask::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("{BAD}failed{BAD:#}\n{error}");
        ExitCode::from(FAILED)
    })
}

fn changelog_entries(diffs: &[ProductDiff]) -> String {
    let mut text = String::new();
    for diff in diffs {
        let entry = diff::changelog(diff);
        if !entry.is_empty() {
            text += &format!("## {} {}\n\n{entry}\n", diff.product.crate_name(), diff.next());
        }
    }
    text
}

fn products(product: Option<Product>) -> Vec<Product> {
    product.map_or(Product::ALL.to_vec(), |product| vec![product])
}

/// A day on the command line.
fn day(text: &str) -> Result<String, String> {
    update::check_day(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// The day in UTC.
fn today() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().chars().take(10).collect()
}

/// Runs the benchmarks, which are a separate workspace so that nobody else builds the crates that they compare with.
fn run_bench(root: &Path, quick: bool, names: &[String]) -> ExitCode {
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--release", "--locked", "--quiet", "--manifest-path"]);
    cargo.arg(root.join("crates/flinks-bench/Cargo.toml"));
    if quick {
        cargo.arg("--no-default-features");
    }
    // Built in a separate folder: they select other features.
    cargo.env("CARGO_TARGET_DIR", root.join("target/bench"));
    cargo.arg("--").arg("--output").arg(root.join("target/bench"));
    if quick {
        cargo.arg("--quick");
    }
    match cargo.args(names).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)),
        Err(error) => {
            eprintln!("{BAD}failed{BAD:#}  cargo cannot be started: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn report(name: &str, file: &Path, outcome: xtask::Result<Outcome>) -> u8 {
    match outcome {
        Ok(Outcome::Fresh) => {
            println!("{GOOD}fresh{GOOD:#}   {name}");
            0
        }
        Ok(Outcome::Wrote) => {
            println!("{NOTE}wrote{NOTE:#}   {name}  {}", file.display());
            0
        }
        Ok(Outcome::Stale(diff)) => {
            println!("{BAD}stale{BAD:#}   {name}  run `cargo xtask regenerate`");
            for line in diff.lines() {
                let style = match line.as_bytes().first() {
                    Some(b'+') => AnsiColor::Green.on_default(),
                    Some(b'-') => AnsiColor::Red.on_default(),
                    Some(b'@') => AnsiColor::Cyan.on_default(),
                    _ => Style::new(),
                };
                print!("{style}{line}{style:#}\n");
            }
            STALE
        }
        Err(error) => {
            eprintln!("{BAD}failed{BAD:#}  {name}\n{error}");
            FAILED
        }
    }
}

fn run_prose(root: &Path) -> xtask::Result<ExitCode> {
    let findings = Rules::read(root)?.check(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let help = "reword them, or add them to the list in xtask/prose.toml with the reason why they stay";
    Err(xtask::Error::new(format!("{} phrases to reword", findings.len())).help(help))
}
