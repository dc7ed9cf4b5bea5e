//! The `cargo xtask` binary, which provides the maintenance commands for this project.

#![allow(clippy::print_stdout, clippy::print_stderr)] // This is a terminal program.

mod bench;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, print, println};
use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use xtask::Product;
use xtask::docs;
use xtask::generate::{Mode, Outcome, list_crates, regenerate};
use xtask::maintain::diff::{self, ProductDiff, Side};
use xtask::maintain::import::{self, Options};
use xtask::maintain::spec::{self, Format};
use xtask::maintain::{lint, release, update};
use xtask::prose::Rules;

/// The generator allocates millions of small syntax tree nodes. With glibc's allocator, a large
/// document takes 50% longer to process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The maintenance commands for this project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Regenerate the clients from the documents in openapi/
    ///
    /// Nothing is written if code generation fails for any document. Exit codes: 0 all files are up
    /// to date or were written, 1 code could not be generated from a document, 2 invalid command
    /// line, 3 a file is stale (with --check).
    Regenerate {
        /// Process only this product
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// Write nothing and print the differences
        #[arg(long)]
        check: bool,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Write the documents that are derived from other documents: the runbook, llms.txt and
    /// llms-full.txt
    ///
    /// Exit codes: 0 all files are up to date or were written, 1 a file could not be derived, 2
    /// invalid command line, 3 a file is stale (with --check).
    Docs {
        /// Write nothing and print the differences
        #[arg(long)]
        check: bool,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Import pages (Markdown) or documents (YAML or JSON) that Flinks has published
    ///
    /// Merges each operation into its product's document in openapi/ and updates
    /// openapi/sources.toml. Nothing is written if any file cannot be imported. Exit codes: 0 done,
    /// 1 a file could not be imported, 2 invalid command line.
    Import {
        /// The retrieved files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The product for files that do not name their product
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// The date when the files were retrieved (default: today in UTC)
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        retrieved: Option<String>,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Report what changed between two versions of the documents and how each crate is affected
    ///
    /// OLD and NEW are each a commit or a folder that contains openapi/. By default, the last
    /// commit is compared with the working tree. Exit codes: 0 done, 1 a version could not be read,
    /// 2 invalid command line.
    Diff {
        /// The older version (default: the last commit)
        old: Option<String>,
        /// The newer version (default: the working tree)
        new: Option<String>,
        /// Process only this product
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// Print Markdown for a pull request
        #[arg(long)]
        markdown: bool,
        /// Print only the changelog entries
        #[arg(long, conflicts_with = "markdown")]
        changelog: bool,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Report everything in a document that prevents code generation
    ///
    /// Groups the problems by reason, with the most frequent reason first. Exit codes: 0 code can
    /// be generated from all documents, 1 there are problems or a file could not be read, 2 invalid
    /// command line.
    Lint {
        /// The documents (YAML or JSON)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print a draft overlay that makes the document acceptable
        ///
        /// The overlay corrects each problem that has a likely correction and removes the
        /// operations with other problems. Review each action: its description states the problem
        /// that it fixes.
        #[arg(long)]
        suggest: bool,
    },
    /// Import files, regenerate, and propose versions and changelog entries
    ///
    /// Compares each crate with its last release, or with the last commit if there is no release,
    /// and prints a summary for a pull request. Exit codes: 0 done, 1 a step failed or code could
    /// not be generated from a document (see the summary for the reason), 2 invalid command line.
    Update {
        /// The retrieved files (default: continue with the documents in openapi/)
        files: Vec<PathBuf>,
        /// The product for files that do not name their product
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// The date when the files were retrieved (default: today in UTC)
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        retrieved: Option<String>,
        /// The commit to compare with
        #[arg(long, value_name = "COMMIT")]
        since: Option<String>,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Print the documents with their overlays applied, for use in other tools
    ///
    /// If the documents for several products are printed, each YAML document starts with `---`, and
    /// each JSON document starts on a new line. Exit codes: 0 done, 1 a document or an overlay is
    /// invalid or stale, 2 invalid command line.
    Spec {
        /// Print only this product's document
        #[arg(long, value_enum)]
        product: Option<Product>,
        /// The format of the output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Write the proposed versions to manifests and changelogs
    ///
    /// Publishes nothing. Exit codes: 0 done, 1 failed, 2 invalid command line.
    Release {
        /// The release date (default: today in UTC)
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        day: Option<String>,
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Find hard-to-read phrases in documents, comments and messages
    ///
    /// `xtask/prose.toml` lists the phrases and their replacements. Exit codes: 0 no phrase was
    /// found, 1 a phrase was found or the check failed, 2 invalid command line.
    Prose {
        /// The root folder of the project (default: this project)
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Benchmark this project's crates and comparable crates
    ///
    /// Prints tables and writes target/bench/bench.json and target/bench/plots. The first build of
    /// the comparable crates takes a few minutes. The exit code comes from cargo or from the
    /// benchmark program.
    Bench(bench::Options),
}

/// The exit code of a failed command.
const FAILED: u8 = 1;
/// The exit code for a stale generated file. Clap uses 2 for an invalid command line.
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
        Command::Docs { check, root } => run_docs(&root.unwrap_or(here), if check { Mode::Check } else { Mode::Write }),
        Command::Import { files, product, retrieved, root } => {
            let options = Options { files, product, retrieved: retrieved.unwrap_or_else(today) };
            finish(run_import(&root.unwrap_or(here), &options))
        }
        Command::Diff { old, new, product, markdown, changelog, root } => {
            let format = if markdown {
                diff::markdown
            } else if changelog {
                changelog_entries
            } else {
                diff::terminal
            };
            finish(run_diff(&root.unwrap_or(here), old.as_deref(), new.as_deref(), &products(product), format))
        }
        Command::Lint { files, suggest } => finish(run_lint(&files, suggest)),
        Command::Update { files, product, retrieved, since, root } => {
            let options = Options { files, product, retrieved: retrieved.unwrap_or_else(today) };
            finish(run_update(&root.unwrap_or(here), &options, since.as_deref()))
        }
        Command::Spec { product, format, root } => finish(run_spec(&root.unwrap_or(here), &products(product), format)),
        Command::Release { day, root } => finish(run_release(&root.unwrap_or(here), &day.unwrap_or_else(today))),
        Command::Prose { root } => finish(run_prose(&root.unwrap_or(here))),
        Command::Bench(options) => run_bench(&here, &options),
    }
}

/// Regenerates the code for one product. If `product` is `None`, regenerates the code for all
/// products, and also the lists of public items in the hand-written crates.
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
    worst(&codes)
}

fn run_docs(root: &Path, mode: Mode) -> ExitCode {
    let report = |(path, outcome): (PathBuf, _)| report(&path.to_string_lossy(), &path, outcome);
    worst(&docs::write(root, mode).into_iter().map(report).collect::<Vec<_>>())
}

/// Returns the worst exit code. A failure takes precedence over a stale file.
fn worst(codes: &[u8]) -> ExitCode {
    let worst = [FAILED, STALE].into_iter().find(|code| codes.contains(code));
    ExitCode::from(worst.unwrap_or(0))
}

fn run_import(root: &Path, options: &Options) -> xtask::Result<ExitCode> {
    let report = import::import(root, options)?;
    report.lines.iter().for_each(|line| println!("{line}"));
    if !report.changed.is_empty() {
        println!("{NOTE}next{NOTE:#}    run `cargo xtask diff` to see the effect, or `cargo xtask update` to continue");
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

fn run_lint(files: &[PathBuf], suggest: bool) -> xtask::Result<ExitCode> {
    let mut is_accepted = true;
    for file in files {
        let report = lint::lint(file)?;
        is_accepted &= report.is_accepted();
        if suggest {
            print!("{}", report.suggestion_yaml()?);
        } else {
            println!("{NOTE}{}{NOTE:#}: {}", file.display(), report.text());
        }
    }
    Ok(if is_accepted { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn run_update(root: &Path, options: &Options, since: Option<&str>) -> xtask::Result<ExitCode> {
    let summary = update::update(root, options, since)?;
    print!("{}", summary.markdown);
    Ok(if summary.is_refused { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn run_spec(root: &Path, products: &[Product], format: Format) -> xtask::Result<ExitCode> {
    print!("{}", spec::spec(root, products, format)?);
    Ok(ExitCode::SUCCESS)
}

fn run_release(root: &Path, day: &str) -> xtask::Result<ExitCode> {
    let released = release::release(root, day)?;
    if released.is_empty() {
        println!("no changelog proposes a version");
    }
    for (name, version) in released {
        println!("{GOOD}ready{GOOD:#}   {name} {version}: commit, then run `cargo publish --package {name}`");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a command's error, if any, and returns the exit code.
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

/// Parses a date from the command line.
fn day(text: &str) -> Result<String, String> {
    update::check_day(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// Returns the current date in UTC.
fn today() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().chars().take(10).collect()
}

fn run_bench(root: &Path, options: &bench::Options) -> ExitCode {
    match bench::run(root, options) {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)),
        Err(error) => {
            eprintln!("{BAD}failed{BAD:#}  failed to start cargo: {error}");
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
            println!("{BAD}stale{BAD:#}   {name}  run the same command without --check");
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
    let help = "reword each phrase, or allow it in xtask/prose.toml with a reason";
    Err(xtask::Error::new(format!("found {} phrases to reword", findings.len())).help(help))
}
