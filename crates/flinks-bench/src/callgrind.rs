//! Counts instructions and allocations in a process that makes only the measured calls.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// The cost of one call.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The number of user-mode instructions.
    pub instructions: f64,
    pub allocations: f64,
}

/// Returns whether valgrind is installed.
pub fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Returns the cost of one call, as the average over `number` calls.
///
/// `program` is the benchmark program. If its first argument is `once`, the program makes only one
/// contender's calls. Callgrind counts only the instructions of the function `counted`, so the
/// result includes neither process startup nor the first calls.
///
/// # Errors
///
/// Returns an error if valgrind is not installed or if the program fails.
pub fn cost(program: &Path, operation: &str, contender: &str, url: &str, number: u32) -> anyhow::Result<Cost> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*::counted*"])
        .arg(program)
        .args(["once", operation, contender, url, &number.to_string()])
        .output()
        .context("failed to start valgrind")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{contender} failed: {log}");
    let collected = log.lines().find_map(|line| line.split("Collected : ").nth(1));
    let collected: f64 = collected.context("valgrind printed no instruction count")?.trim().parse()?;
    ensure!(collected > 0.0, "callgrind did not find the function `counted`");
    let allocations: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(Cost { instructions: collected / f64::from(number), allocations: allocations / f64::from(number) })
}
