//! One token of each product: from a local Flinks that starts with this program, or from the real one.
//!
//! Set these to ask the real Flinks, for each product whose `_URL` is set:
//!
//! - Pay: `FLINKS_PAY_URL`, `FLINKS_PAY_USERNAME`, `FLINKS_PAY_PASSWORD`
//! - Connect: `FLINKS_CONNECT_URL`, `FLINKS_CONNECT_CUSTOMER_ID`, `FLINKS_CONNECT_SECRET_KEY`
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
    println!("Set FLINKS_PAY_URL, FLINKS_CONNECT_URL or FLINKS_OUTBOUND_URL to ask the real one.");

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
    let (base_url, is_real) = base_url("FLINKS_PAY_URL", local)?;
    let credentials = match is_real {
        true => pay::Credentials::new(variable("FLINKS_PAY_USERNAME")?, variable("FLINKS_PAY_PASSWORD")?)?,
        false => pay::Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?,
    };

    let client = pay::Client::new(base_url.clone(), credentials)?;
    let token = client.authorize().await?;

    Ok(Token {
        asked: format!("POST {base_url}/api/v1/authorize"),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "client.initiate_session(token, …) starts one payment session. The next one needs a new token.".into(),
    })
}

async fn ask_connect(local: &str) -> Result<Token, Box<dyn Error>> {
    let (base_url, is_real) = base_url("FLINKS_CONNECT_URL", local)?;
    let (customer_id, secret_key) = match is_real {
        true => (variable("FLINKS_CONNECT_CUSTOMER_ID")?, variable("FLINKS_CONNECT_SECRET_KEY")?),
        false => (credentials::CONNECT_CUSTOMER_ID.into(), credentials::CONNECT_SECRET_KEY.into()),
    };

    let secret_key = connect::SecretKey::new(secret_key)?;
    let client = connect::Client::at(base_url.clone(), customer_id.parse()?, secret_key)?;
    let token = client.generate_authorize_token().await?;

    Ok(Token {
        asked: format!("POST {base_url}/v3/{customer_id}/BankingServices/GenerateAuthorizeToken"),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "client.authorize(token, …) or client.widget(…).url(token): either spends it.".into(),
    })
}

async fn ask_outbound(local: &str) -> Result<Token, Box<dyn Error>> {
    let (base_url, is_real) = base_url("FLINKS_OUTBOUND_URL", local)?;
    let credentials = match is_real {
        true => (variable("FLINKS_OUTBOUND_CLIENT_ID")?, variable("FLINKS_OUTBOUND_CLIENT_SECRET")?),
        false => (credentials::OUTBOUND_CLIENT_ID.into(), credentials::OUTBOUND_CLIENT_SECRET.into()),
    };

    let credentials = outbound::ClientCredentials::new(credentials.0, credentials.1)?;
    let client = outbound::Client::new(base_url.clone(), credentials)?;
    let token = client.client_credentials(None).await?;

    Ok(Token {
        asked: format!("POST {base_url}/api/v1/token, grant_type=client_credentials"),
        got: format!("{token:?}"),
        lives: until(token.expires_at()),
        next: "Authorization: Bearer on each call of the Open Banking API, until it expires.".into(),
    })
}

fn until(expires_at: Option<SystemTime>) -> String {
    match expires_at.and_then(|expires_at| expires_at.duration_since(SystemTime::now()).ok()) {
        Some(left) => {
            format!("{} seconds from now, counted from before the request was sent", left.as_secs_f64().round())
        }
        None => "the server did not say".into(),
    }
}

/// The real Flinks where the variable is set, or else the local one.
fn base_url(variable: &str, local: &str) -> Result<(BaseUrl, bool), Box<dyn Error>> {
    match env::var(variable) {
        Ok(address) => Ok((address.parse().map_err(|error| format!("{variable}: {error}"))?, true)),
        Err(env::VarError::NotPresent) => Ok((local.parse()?, false)),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{variable} is not text").into()),
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set, or is not text"))
}

const HEADING: Style = AnsiColor::Green.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
