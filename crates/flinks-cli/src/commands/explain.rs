//! `flinks explain`.

use std::io::IsTerminal as _;

use clap::Args;

use crate::explain;
use crate::failure::Failure;
use crate::input;
use crate::output;

/// Explain a FlinksCode, an OAuth error, a status, an exit code or an error message
///
/// Examples: flinks explain UNAUTHORIZED; flinks explain invalid_grant; flinks explain exit-3
#[derive(Args)]
pub(crate) struct Arguments {
    /// The code or the message; if it is omitted, the command reads standard input
    text: Vec<String>,
    /// List all topics
    #[arg(long, conflicts_with = "text")]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.list {
        return list(arguments.json);
    }
    let text = if arguments.text.is_empty() { read_message()? } else { arguments.text.join(" ") };
    let topics = explain::find(&text);
    if topics.is_empty() {
        return Err(unknown(&text));
    }
    if arguments.json {
        return output::json(&topics);
    }
    let texts: Vec<String> = topics.iter().map(ToString::to_string).collect();
    output::line(&output::wrapped(texts.join("\n\n").trim_end()))
}

fn list(json: bool) -> Result<(), Failure> {
    let topics = explain::all();
    if json {
        return output::json(&topics);
    }
    let rows = topics.iter().map(|topic| vec![topic.name.clone(), topic.summary().to_owned()]).collect();
    output::table(&["TOPIC", "MEANING"], rows)
}

fn read_message() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        return Err(Failure::usage("missing code or message").with_next("`flinks explain --list` lists all topics"));
    }
    let bytes = input::limited(std::io::stdin().lock(), input::MAX_TEXT, "the message")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The error for text that no topic matches. It does not contain the text, which may be a secret.
fn unknown(text: &str) -> Failure {
    let failure = Failure::new("no topic matches this text");
    let names = explain::suggestions(text);
    if names.is_empty() {
        return failure.with_next("`flinks explain --list` lists all topics");
    }
    failure.with_next(format!("similar topics: {}", names.join(", ")))
}
