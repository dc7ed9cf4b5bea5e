//! `flinks emulator`.

use clap::Args;
use flinks_emulator::program;

use crate::failure::Failure;

/// Start a local Flinks emulator with a dashboard
///
/// The first line of the output is the base URL. `flinks init --emulator URL` creates a profile for
/// it.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: program::Options,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    program::run(&arguments.options).await.map_err(Failure::new)
}
