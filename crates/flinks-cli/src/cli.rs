//! The program's arguments.

use std::sync::Arc;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::commands::{
    completions, config, consents, emulator, env, explain, init, inspect, keep_alive, login, request, token, widget_url,
};
use crate::context::Context;
use crate::doctor;
use crate::failure::Failure;
use crate::shell;

/// Requests tokens from Flinks, manages consents, and diagnoses problems
///
/// The results are printed to standard output, and everything else to standard error.
///
/// Exit codes: 0 done, 1 failed, 2 wrong arguments or input, 3 the end user must consent, 4 wrong
/// configuration, 75 try again later, 130 interrupted.
#[derive(Parser)]
#[command(name = "flinks", version, max_term_width = 100, arg_required_else_help = true, infer_long_args = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command accepts.
#[derive(Args)]
pub(crate) struct Options {
    /// Use this profile instead of the default profile
    #[arg(
        long,
        global = true,
        env = "FLINKS_PROFILE",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    profile: Option<String>,
    /// When to use colours; NO_COLOR is also respected
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    color: Color,
    /// Write the libraries' log to standard error; RUST_LOG sets the filter
    #[arg(short, long, global = true, help_heading = "Global options")]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Options {
    /// Applies the options that affect the whole process.
    pub(crate) fn apply(&self, command: &Command) {
        let choice = match self.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
        if let Some(name) = self.profile() {
            shell::select_profile(name);
        }
        let default = match command {
            // The emulator's log is part of its output.
            Command::Emulator(_) => "flinks_emulator=info",
            _ if self.verbose => "info",
            _ => return,
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        // The process that reads the log may close the pipe, so ignore errors.
        let log = tracing_subscriber::fmt().log_internal_errors(false).with_target(self.verbose);
        log.with_env_filter(filter).with_writer(std::io::stderr).init();
    }

    /// Returns the selected profile. An empty variable selects no profile.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref().filter(|name| !name.is_empty())
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    Token(token::Arguments),
    WidgetUrl(widget_url::Arguments),
    Login(login::Arguments),
    #[command(subcommand)]
    Consents(consents::Command),
    KeepAlive(keep_alive::Arguments),
    Request(request::Arguments),
    Doctor(doctor::Arguments),
    Explain(explain::Arguments),
    Inspect(inspect::Arguments),
    Emulator(emulator::Arguments),
    Env(env::Arguments),
    Completions(completions::CompletionsArguments),
    Manual(completions::ManualArguments),
}

impl Command {
    /// Runs the command. A command that may wait for standard input runs on a separate thread, unless it
    /// starts one itself.
    pub(crate) async fn run(self: Arc<Self>, context: Arc<Context>) -> Result<(), Failure> {
        match &*self {
            Self::Token(arguments) => token::run(arguments, &context).await,
            Self::WidgetUrl(arguments) => widget_url::run(arguments, &context).await,
            Self::Login(arguments) => login::run(arguments, &context).await,
            Self::Consents(command) => consents::run(command, &context).await,
            Self::KeepAlive(arguments) => keep_alive::run(arguments, &context).await,
            Self::Request(arguments) => request::run(arguments, &context).await,
            Self::Doctor(arguments) => doctor::run(arguments, &context).await,
            Self::Emulator(arguments) => emulator::run(arguments).await,
            _ => {
                let run = tokio::task::spawn_blocking(move || self.run_blocking(&context));
                run.await.unwrap_or_else(|_| Err(Failure::new("the command stopped unexpectedly")))
            }
        }
    }

    fn run_blocking(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Init(arguments) => init::run(arguments, context),
            Self::Config(command) => config::run(command, context),
            Self::Explain(arguments) => explain::run(arguments),
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Env(arguments) => env::run(arguments, context),
            Self::Completions(arguments) => completions::run(arguments),
            Self::Manual(arguments) => completions::write_manual(arguments),
            _ => Ok(()),
        }
    }

    /// Returns the result for an interrupted command. A failure states what the command may have
    /// done.
    pub(crate) fn interruption(&self) -> Result<(), Failure> {
        Err(Failure::interrupted(match self {
            // A service is always stopped by a signal, so this is not a failure.
            Self::KeepAlive(arguments) if arguments.is_service() => return Ok(()),
            Self::Token(arguments) if !arguments.is_for_consent() => "a token may have been issued and lost",
            Self::WidgetUrl(_) => "an authorize token may have been issued and lost",
            Self::Login(_) => "if you had already consented in the browser, run the command again",
            Self::Request(_) => "the request may have reached the server",
            _ => "",
        }))
    }
}
