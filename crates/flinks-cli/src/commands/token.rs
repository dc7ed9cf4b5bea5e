//! `flinks token`.

use std::time::SystemTime;

use clap::{Args, ValueEnum};
use flinks_consents::ConsentId;
use flinks_consents::flinks::outbound::AccessToken;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::timestamp;

/// Request a token and print it to standard output
///
/// A token for Pay or Connect can be used only once. It is not stored, and the command requests a
/// new one each time. With --consent, the command prints the access token of a stored consent and
/// refreshes the token first if necessary.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The product
    product: Product,
    /// Print the access token of this consent; only for Outbound
    #[arg(long, value_name = "ID")]
    consent: Option<ConsentId>,
    /// The scope of the application's own access token; only for Outbound, without --consent
    #[arg(long, conflicts_with = "consent")]
    scope: Option<String>,
    /// How to print the token
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Format,
    /// Print the token even if standard output is a terminal
    #[arg(long)]
    show: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Product {
    Pay,
    Connect,
    Outbound,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The token alone
    Text,
    /// A JSON object with the token, its header and its expiry
    Json,
    /// A line such as `authorization: Bearer …`, for `flinks token … | curl --header @- URL`
    Header,
}

impl Arguments {
    pub(crate) fn is_for_consent(&self) -> bool {
        self.consent.is_some()
    }
}

/// A token that is ready to be printed.
#[derive(Serialize)]
struct Printable {
    token: String,
    header_name: &'static str,
    header_value: String,
    expires_at: Option<String>,
}

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if arguments.product != Product::Outbound && (arguments.consent.is_some() || arguments.scope.is_some()) {
        return Err(Failure::usage("--consent and --scope are only for Outbound"));
    }
    output::check_secret_may_be_printed(arguments.show, "a token")?;
    let token = match arguments.product {
        Product::Pay => pay_token(context).await?,
        Product::Connect => connect_token(context).await?,
        Product::Outbound => outbound_token(arguments, context).await?,
    };
    match arguments.output {
        Format::Text => output::line(&token.token),
        Format::Json => output::json(&token),
        Format::Header => output::line(&format!("{}: {}", token.header_name, token.header_value)),
    }
}

async fn pay_token(context: &Context) -> Result<Printable, Failure> {
    let token = context.pay()?.authorize().await?;
    let expires_at = token.expires_at();
    let authorization = token.into_authorization()?;
    note_single_use("starts one payment session", expires_at);
    let header_value = authorization.expose_value().to_owned();
    let token = header_value.strip_prefix("Bearer ").unwrap_or(&header_value).to_owned();
    let header_name = flinks_consents::flinks::pay::BearerToken::HEADER;
    Ok(Printable { token, header_name, header_value, expires_at: expires_at.map(timestamp::utc) })
}

async fn connect_token(context: &Context) -> Result<Printable, Failure> {
    let token = context.connect()?.generate_authorize_token().await?;
    let expires_at = token.expires_at();
    let header = token.into_header()?;
    note_single_use("connects one bank account", expires_at);
    let token = header.expose_value().to_owned();
    let header_name = flinks_consents::flinks::connect::AuthorizeHeader::NAME;
    Ok(Printable { header_value: token.clone(), token, header_name, expires_at: expires_at.map(timestamp::utc) })
}

async fn outbound_token(arguments: &Arguments, context: &Context) -> Result<Printable, Failure> {
    let token = match &arguments.consent {
        Some(id) => {
            let (consents, _) = context.consents().await?;
            let token = consents.consent(id).access_token().await;
            token.map_err(|error| Failure::of_consent(id, &error))?
        }
        None => context.outbound()?.client_credentials(arguments.scope.as_deref()).await?,
    };
    Ok(printable_access_token(&token))
}

fn printable_access_token(token: &AccessToken) -> Printable {
    Printable {
        token: token.expose_secret().to_owned(),
        header_name: "authorization",
        header_value: format!("Bearer {}", token.expose_secret()),
        expires_at: token.expires_at().map(timestamp::utc),
    }
}

fn note_single_use(use_of: &str, expires_at: Option<SystemTime>) {
    let expiry = expires_at.map(|time| format!(" and expires at {}", timestamp::utc(time))).unwrap_or_default();
    output::note(&format!("the token is valid for one use: it {use_of}{expiry}"));
}
