//! `cargo xtask`: the project's chores.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a terminal program

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, print, println};
use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use xtask::pipeline::{Outcome, Product, regenerate};

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
}

/// A document could not be generated.
const FAILED: u8 = 1;
/// A generated file differs from what would be generated. Not 2, which is a mistake on the command line.
const STALE: u8 = 3;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();

fn main() -> ExitCode {
    let Arguments { command: Command::Regenerate { product, check, root } } = Arguments::parse();
    let products = product.map_or(Product::ALL.to_vec(), |product| vec![product]);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let outcomes = regenerate(&root, &products, check);
    let codes: Vec<u8> = outcomes.into_iter().map(|(product, outcome)| report(product, outcome)).collect();
    // What failed weighs more than what is stale.
    let worst = [FAILED, STALE].into_iter().find(|code| codes.contains(code));
    ExitCode::from(worst.unwrap_or(0))
}

fn report(product: Product, outcome: xtask::Result<Outcome>) -> u8 {
    let name = product.crate_name();
    match outcome {
        Ok(Outcome::Fresh) => {
            println!("{GOOD}fresh{GOOD:#}   {name}");
            0
        }
        Ok(Outcome::Wrote) => {
            println!("{NOTE}wrote{NOTE:#}   {name}  {}", product.generated().display());
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
