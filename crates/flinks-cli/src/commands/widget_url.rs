//! `flinks widget-url`.

use std::time::Duration;

use clap::Args;
use flinks_consents::flinks::{Language, RedirectUrl};

use crate::context::Context;
use crate::failure::Failure;
use crate::loopback;
use crate::output;

/// Print the URL of the Connect widget with a new authorize token
///
/// The URL works once and expires after 30 minutes. It contains the token, so treat it as a secret.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The address to which the widget sends the end user afterwards
    #[arg(long, value_name = "URL")]
    redirect_url: RedirectUrl,
    /// Show the sandbox banks
    #[arg(long)]
    demo: bool,
    /// The language of the widget
    #[arg(long, value_name = "LANGUAGE", value_parser = ["en", "fr"])]
    language: Option<String>,
    /// A tag that Flinks returns with the result
    #[arg(long)]
    tag: Option<String>,
    /// Open the widget in the default browser instead of printing the URL
    #[arg(long)]
    open: bool,
    /// Print the URL even if standard output is a terminal
    #[arg(long, conflicts_with = "open")]
    show: bool,
}

/// How long the browser may take to open the page.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if !arguments.open {
        output::check_secret_may_be_printed(arguments.show, "a URL that contains a token")?;
    }
    let client = context.connect()?;
    let mut widget = client.widget(&arguments.redirect_url);
    if arguments.demo {
        widget = widget.demo(true);
    }
    if let Some(language) = &arguments.language {
        widget = widget.language(if language == "fr" { Language::French } else { Language::English });
    }
    if let Some(tag) = &arguments.tag {
        widget = widget.tag(tag);
    }
    let token = client.generate_authorize_token().await?;
    let url = widget.url(token).map_err(|error| Failure::from(error.error()))?;
    if !arguments.open {
        return output::line(url.expose_url());
    }
    loopback::open_in_browser(url.expose_url(), OPEN_LIMIT).await?;
    output::note("the widget is open in the browser");
    Ok(())
}
