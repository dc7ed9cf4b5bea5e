//! `flinks env`.

use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, quoted};
use crate::output;
use crate::profile::Section;

/// Print the environment variables of the profile
///
/// Without --show, the command prints only their names. For a shell: eval "$(flinks env --show)"
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print `export` lines with the values, including secrets
    #[arg(long)]
    show: bool,
    /// Print the names of all variables that the crates read
    #[arg(long, conflicts_with = "show")]
    all: bool,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let profile = context.profile()?;
    let kind = profile.store_kind()?;
    for section in Section::ALL {
        let values = profile.values(section)?;
        for (field, variable) in section.variables(kind) {
            if arguments.all {
                output::line(variable)?;
                continue;
            }
            let Some(value) = values.get(field) else { continue };
            if !arguments.show {
                output::line(variable)?;
                continue;
            }
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::line(&format!("export {variable}={}", quoted(&text)))?;
        }
    }
    Ok(())
}
