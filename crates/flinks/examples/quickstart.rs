//! One token of each product: from a local Flinks that starts with this program, or from the real one.
//!
//! To ask the real Flinks, set the variables of one product or more:
//!
//! - Pay: `FLINKS_PAY_URL`, `FLINKS_PAY_USERNAME`, `FLINKS_PAY_PASSWORD`
//! - Connect: `FLINKS_CONNECT_INSTANCE` or `FLINKS_CONNECT_URL`, `FLINKS_CONNECT_CUSTOMER_ID`, `FLINKS_CONNECT_SECRET_KEY`
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
            println!("{BAD}no local Flinks:{BAD:#} {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("A local Flinks runs at {}, with made-up credentials.", emulator.base_url());
    println!("Set FLINKS_PAY_URL, FLINKS_CONNECT_INSTANCE or FLINKS_OUTBOUND_URL to ask the real one.");

    let local = emulator.base_url();
    let outcomes =
        [("Pay", ask_pay(local).await), ("Connect", ask_connect(local).await), ("Outbound", ask_outbound(local).await)];
    let mut code = ExitCode::SUCCESS;
    for (product, outcome) in outcomes {
        println!("\n{HEADING}{product}{HEADING:#}");
        match outcome {
            Ok(Token { asked, got, lives, next }) => {
                for (label, text) in [("asked", asked), ("got", got), ("lives", lives), ("next", next)] {
                    println!("  {LABEL}{label:<6}{LABEL:#} {text}");
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

/// What is told of a token, which is everything but the token.
struct Token {
    asked: String,
    got: String,
    lives: String,
    next: String,
}

async fn ask_pay(local: &str) -> Result<Token, Box<dyn Error>> {
    let client = if is_set("FLINKS_PAY_URL") {
        pay::Client::from_env()?
    } else {
        let credentials = pay::Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
        pay::Client::builder(local.parse()?, credentials).build()?
    };

    let token = client.authorize().await?;

    Ok(Token {
        asked: format!("POST {}/api/v1/authorize", client.base_url()),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "client.initiate_session(token, …) starts one payment session. The next one needs a new token.".into(),
    })
}

async fn ask_connect(local: &str) -> Result<Token, Box<dyn Error>> {
    let client = if is_set("FLINKS_CONNECT_INSTANCE") || is_set("FLINKS_CONNECT_URL") {
        connect::Client::from_env()?
    } else {
        let secret_key = connect::SecretKey::new(credentials::CONNECT_SECRET_KEY)?;
        let local: BaseUrl = local.parse()?;
        connect::Client::builder(local, credentials::CONNECT_CUSTOMER_ID.parse()?, secret_key).build()?
    };

    let token = client.generate_authorize_token().await?;

    Ok(Token {
        asked: format!("POST {}/v3/…/BankingServices/GenerateAuthorizeToken", client.base_url()),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "client.authorize(token, …) or client.widget(…).url(token): either spends it.".into(),
    })
}

async fn ask_outbound(local: &str) -> Result<Token, Box<dyn Error>> {
    let client = if is_set("FLINKS_OUTBOUND_URL") {
        outbound::Client::from_env()?
    } else {
        let (id, secret) = (credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET);
        outbound::Client::builder(local.parse()?, outbound::ClientCredentials::new(id, secret)?).build()?
    };

    let token = client.client_credentials(None).await?;

    Ok(Token {
        asked: format!("POST {}/api/v1/token, grant_type=client_credentials", client.base_url()),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "Authorization: Bearer on each call of the Open Banking API, until it expires.".into(),
    })
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some()
}

fn until(expires_at: Option<SystemTime>) -> String {
    match expires_at.and_then(|expires_at| expires_at.duration_since(SystemTime::now()).ok()) {
        Some(left) => {
            format!("{} seconds from now, counted from before the request was sent", left.as_secs_f64().round())
        }
        None => "the server did not say".into(),
    }
}

const HEADING: Style = AnsiColor::Green.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
