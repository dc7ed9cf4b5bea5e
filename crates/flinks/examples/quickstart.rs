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
use flinks::{BaseUrl, Settings, connect, outbound, pay};
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
    let host = connect_host(optional("FLINKS_CONNECT_INSTANCE")?, optional("FLINKS_CONNECT_URL")?)?;
    let (host, customer_id, secret_key) = match host {
        Some(host) => (host, variable("FLINKS_CONNECT_CUSTOMER_ID")?, variable("FLINKS_CONNECT_SECRET_KEY")?),
        None => {
            let local: BaseUrl = local.parse()?;
            (local.into(), credentials::CONNECT_CUSTOMER_ID.into(), credentials::CONNECT_SECRET_KEY.into())
        }
    };
    let base_url = match &host {
        connect::Host::Instance(instance) => format!("https://{}-api.private.fin.ag", instance.as_str()),
        connect::Host::BaseUrl(base_url) => base_url.to_string(),
    };

    let secret_key = connect::SecretKey::new(secret_key)?;
    let client = connect::Client::with_settings(host, customer_id.parse()?, secret_key, &Settings::new())?;
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
    match optional(variable)? {
        Some(address) => Ok((address.parse().map_err(|error| format!("{variable}: {error}"))?, true)),
        None => Ok((local.parse()?, false)),
    }
}

/// Where the real Connect is: `None` if neither variable is set.
fn connect_host(instance: Option<String>, base_url: Option<String>) -> Result<Option<connect::Host>, String> {
    match (instance, base_url) {
        (Some(_), Some(_)) => Err("set FLINKS_CONNECT_INSTANCE or FLINKS_CONNECT_URL, not both".into()),
        (Some(instance), None) => {
            let instance = instance.parse().map_err(|error| format!("FLINKS_CONNECT_INSTANCE: {error}"))?;
            Ok(Some(connect::Host::Instance(instance)))
        }
        (None, Some(base_url)) => {
            let base_url = base_url.parse().map_err(|error| format!("FLINKS_CONNECT_URL: {error}"))?;
            Ok(Some(connect::Host::BaseUrl(base_url)))
        }
        (None, None) => Ok(None),
    }
}

fn optional(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name} is not text")),
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set, or is not text"))
}

const HEADING: Style = AnsiColor::Green.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

#[cfg(test)]
mod tests {
    use super::*;

    fn host(instance: Option<&str>, base_url: Option<&str>) -> Result<Option<connect::Host>, String> {
        connect_host(instance.map(str::to_owned), base_url.map(str::to_owned))
    }

    #[test]
    fn connect_is_at_an_instance_or_at_a_base_url() {
        assert_eq!(host(None, None), Ok(None));
        assert_eq!(host(Some("toolbox"), None), Ok(Some(connect::Host::Instance("toolbox".parse().unwrap()))));
        let base_url: BaseUrl = "http://127.0.0.1:1".parse().unwrap();
        assert_eq!(host(None, Some("http://127.0.0.1:1")), Ok(Some(connect::Host::BaseUrl(base_url))));
        let both = host(Some("toolbox"), Some("http://127.0.0.1:1")).unwrap_err();
        assert!(both.contains("not both"), "{both}");
        let instance = host(Some("https://toolbox-api.private.fin.ag"), None).unwrap_err();
        assert!(instance.starts_with("FLINKS_CONNECT_INSTANCE: "), "{instance}");
        let base_url = host(None, Some("toolbox")).unwrap_err();
        assert!(base_url.starts_with("FLINKS_CONNECT_URL: "), "{base_url}");
    }
}
