//! Requests one token for each product, either from a local Flinks emulator that this program
//! starts or from the real Flinks API.
//!
//! To use the real Flinks API, set the environment variables for at least one product:
//!
//! - Pay: `FLINKS_PAY_URL`, `FLINKS_PAY_USERNAME`, `FLINKS_PAY_PASSWORD`
//! - Connect: `FLINKS_CONNECT_INSTANCE` or `FLINKS_CONNECT_URL`, `FLINKS_CONNECT_CUSTOMER_ID`,
//!   `FLINKS_CONNECT_SECRET_KEY`
//! - Outbound: `FLINKS_OUTBOUND_URL`, `FLINKS_OUTBOUND_CLIENT_ID`, `FLINKS_OUTBOUND_CLIENT_SECRET`

#![allow(clippy::print_stdout)] // a terminal program

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::SystemTime;

use anstream::println;
use anstyle::{AnsiColor, Style};
use flinks::{BaseUrl, connect, outbound, pay};
use flinks_emulator::{Emulator, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let emulator = match Emulator::start().await {
        Ok(emulator) => emulator,
        Err(error) => {
            println!("{BAD}the local Flinks emulator did not start:{BAD:#} {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("A local Flinks emulator is running at {} with test credentials.", emulator.base_url());
    println!("Set FLINKS_PAY_URL, FLINKS_CONNECT_INSTANCE or FLINKS_OUTBOUND_URL to use the real Flinks API.");

    let local = emulator.base_url();
    let outcomes = [
        ("Pay", request_pay_token(local).await),
        ("Connect", request_connect_token(local).await),
        ("Outbound", request_outbound_token(local).await),
    ];
    let mut code = ExitCode::SUCCESS;
    for (product, outcome) in outcomes {
        println!("\n{HEADING}{product}{HEADING:#}");
        match outcome {
            Ok(Summary { request, response, expires, next }) => {
                for (label, text) in
                    [("request", request), ("response", response), ("expires", expires), ("next", next)]
                {
                    println!("  {LABEL}{label:<8}{LABEL:#} {text}");
                }
            }
            Err(error) => {
                println!("  {BAD}failed{BAD:#} {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The details that the program prints about a token. The token itself is secret and is not
/// printed.
struct Summary {
    request: String,
    response: String,
    expires: String,
    next: String,
}

async fn request_pay_token(local: &str) -> Result<Summary, Box<dyn Error>> {
    let client = if is_set("FLINKS_PAY_URL") {
        pay::Client::from_env()?
    } else {
        let credentials = pay::Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
        pay::Client::builder(local.parse()?, credentials).build()?
    };

    let token = client.authorize().await?;

    Ok(Summary {
        request: format!("POST {}/api/v1/authorize", client.base_url()),
        response: format!("{token:?}"),
        expires: expiry(token.expires_at()),
        next: "client.initiate_session(token, …) starts one payment session. Another session needs a new token.".into(),
    })
}

async fn request_connect_token(local: &str) -> Result<Summary, Box<dyn Error>> {
    let client = if is_set("FLINKS_CONNECT_INSTANCE") || is_set("FLINKS_CONNECT_URL") {
        connect::Client::from_env()?
    } else {
        let secret_key = connect::SecretKey::new(credentials::CONNECT_SECRET_KEY)?;
        let local: BaseUrl = local.parse()?;
        connect::Client::builder(local, credentials::CONNECT_CUSTOMER_ID.parse()?, secret_key).build()?
    };

    let token = client.generate_authorize_token().await?;

    Ok(Summary {
        request: format!("POST {}/v3/…/BankingServices/GenerateAuthorizeToken", client.base_url()),
        response: format!("{token:?}"),
        expires: expiry(token.expires_at()),
        next: "Call client.authorize(token, …) or client.widget(…).start(token, …). Each call uses up a token.".into(),
    })
}

async fn request_outbound_token(local: &str) -> Result<Summary, Box<dyn Error>> {
    let client = if is_set("FLINKS_OUTBOUND_URL") {
        outbound::Client::from_env()?
    } else {
        let (id, secret) = (credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET);
        outbound::Client::builder(local.parse()?, outbound::ClientCredentials::new(id, secret)?).build()?
    };

    let token = client.client_credentials(None).await?;

    Ok(Summary {
        request: format!("POST {}/api/v1/token, grant_type=client_credentials", client.base_url()),
        response: format!("{token:?}"),
        expires: expiry(token.expires_at()),
        next: "Send the token as `Authorization: Bearer …` with each Open Banking API call until it expires.".into(),
    })
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some()
}

fn expiry(expires_at: Option<SystemTime>) -> String {
    match expires_at.and_then(|expires_at| expires_at.duration_since(SystemTime::now()).ok()) {
        Some(left) => {
            format!("in {} seconds", left.as_secs_f64().round())
        }
        None => "unknown; the response did not include a lifetime".into(),
    }
}

const HEADING: Style = AnsiColor::Green.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
