//! `flinks completions` and `flinks manual`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

/// Print a script that completes the arguments of `flinks` in a shell
///
/// For bash, add this line to ~/.bashrc: source <(flinks completions bash)
#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Write manual pages to a folder
#[derive(Args)]
pub(crate) struct ManualArguments {
    /// The folder, which must exist; `man` finds the pages only if the folder is named man1
    folder: PathBuf,
}

pub(crate) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flinks", &mut script);
    output::bytes(&script)
}

pub(crate) fn write_manual(arguments: &ManualArguments) -> Result<(), Failure> {
    let ManualArguments { folder } = arguments;
    clap_mangen::generate_to(Cli::command(), folder)
        .map_err(|error| Failure::new(format!("failed to write manual pages to `{}`: {error}", folder.display())))
}
