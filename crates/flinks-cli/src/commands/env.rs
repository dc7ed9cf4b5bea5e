//! `flinks env`.

use std::collections::BTreeSet;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::profile::Section;
use crate::shell::quoted;

/// Print the environment variables for the profile
///
/// Without --show, the command prints only their names. To set them in a shell:
/// eval "$(flinks env --show)"
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
    let mut printed = BTreeSet::new();
    for section in Section::ALL {
        let values = profile.values(section)?;
        for (field, variable) in section.variables(kind) {
            // The products share some variables.
            if printed.contains(variable) {
                continue;
            }
            if arguments.all {
                printed.insert(variable);
                output::line(variable)?;
                continue;
            }
            let Some(value) = values.get(field) else { continue };
            printed.insert(variable);
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
