//! A local Flinks on a port of its own. The first line that it prints is its base URL.

#![allow(clippy::print_stderr)] // a terminal program

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::{Config, Emulator, credentials};
use tracing_subscriber::EnvFilter;

/// A local Flinks for first runs and tests. The first line that it prints is its base URL.
///
/// Each request is logged to standard error, without a value of it. RUST_LOG sets what is logged; `off` is silence.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A loopback address and port, such as 127.0.0.1:8080; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A TOML file with credentials and switches; its settings are those of flinks_emulator::Config
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen on an address that others reach, who know its credentials and see what you send
    #[arg(long)]
    dangerously_listen_anywhere: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("flinks_emulator=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { listen, config, dangerously_listen_anywhere } = arguments;
    let config = match config {
        Some(path) => read_config(&path)?,
        None => Config::default(),
    };
    // Asked for before the first line is printed: whoever reads that line may stop it at once.
    let stop = stop().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let emulator = match dangerously_listen_anywhere {
        true => Emulator::dangerously_listen_anywhere(listen, config).await,
        false => Emulator::listen(listen, config).await,
    };
    let emulator = emulator.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    // Who started it may read the first line and close the pipe: that does not end it.
    let _ = io::stdout().write_all(start_page(&emulator).as_bytes());
    stop.await;
    Ok(())
}

/// Completes when the program is told to end.
fn stop() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// The message tells the place and what is wrong there, but not the text, which may be a credential.
fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let problem = error.message().split(['`', '"']).next().unwrap_or_default().trim_end_matches([' ', ',']);
        format!("{}, line {line}: {problem}", path.display())
    })
}

/// What a person can do with it: credentials, and one command for each endpoint.
fn start_page(emulator: &Emulator) -> String {
    let base_url = emulator.base_url();
    let config = emulator.config();
    let (pay, connect, outbound) = (&config.pay, &config.connect, &config.outbound);
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let customer = format!("{base_url}/v3/{}/BankingServices", connect.customer_id);
    let client = format!(r#""client_id": "{}", "client_secret": "{}""#, outbound.client_id, outbound.client_secret);
    let json = "-H 'Content-Type: application/json'";
    let redirect_uri = credentials::OUTBOUND_REDIRECT_URI;
    format!(
        r#"{base_url}

A local Flinks: Pay, Connect and Outbound, with made-up credentials. Ctrl-C stops it.
What is written $LIKE_THIS is a value from an earlier answer.

pay       user name {username}
          password  {password}

  curl {base_url}/api/v1/authorize -d grant_type=client_credentials --data-urlencode {quoted_username} --data-urlencode {quoted_password}
  curl {base_url}/api/v1/sessions/initiate -H "Authorization: Bearer $ACCESS_TOKEN" {json} -d '{{"referenceId": "1", "amount": 10.5, "customerName": "A", "customerEmail": "a@example.com"}}'
  curl {base_url}/api/v1/paymentrequests -H "Authorization: Bearer $ACCESS_TOKEN" {json} -d '{{"sessionId": "'$SESSION_ID'"}}'
  curl {base_url}/api/v1/paymentrequests/$REQUEST_ID -H "Authorization: Bearer $ACCESS_TOKEN"

connect   customer id {customer_id}
          secret key  {secret_key}
          login id    {login_id}
          bank users  {bank_user}, asked questions; {bank_user_no_mfa}; password {bank_password}

  curl -X POST {customer}/GenerateAuthorizeToken {json} -H 'flinks-auth-key: {secret_key}'
  curl {customer}/Authorize {json} -H "flinks-auth-key: $TOKEN" -d '{{"LoginId": "{login_id}", "MostRecentCached": true}}'
  in a browser, or in an iframe of your page: {base_url}/v2/?redirectUrl=https://app.example/&authorizeToken=$TOKEN
  in a browser: {base_url}/v3/oauth/authorize?institution_id={bank_id}&redirect_uri=https://app.example/&state=1

outbound  client id     {client_id}
          client secret {client_secret}
          code          {code}, once, with redirect_uri {redirect_uri}
          refresh token {refresh_token}

  curl {base_url}/api/v1/token {json} -d '{{{client}, "grant_type": "client_credentials"}}'
  in a browser: {base_url}/api/v1/authorize?client_id={encoded_client_id}&redirect_uri={encoded_redirect_uri}&state=1&response_type=code&scope=ACCOUNT_BASIC&provider_id={provider_id}
  curl {base_url}/api/v1/token {json} -d '{{{client}, "grant_type": "authorization_code", "code": "{code}", "redirect_uri": "{redirect_uri}"}}'
  curl {base_url}/api/v1/token {json} -d '{{{client}, "grant_type": "refresh_token", "refresh_token": "{refresh_token}"}}'
  curl {base_url}/api/fdx/5/accounts -H "Authorization: Bearer $ACCESS_TOKEN"
  curl -X DELETE {base_url}/api/v1/revoke -H "Authorization: Bearer $ACCESS_TOKEN"

control   what was received, what became of each token, time, and faults: its paths are listed by

  curl {base_url}/__emulator/
  curl {base_url}/__emulator/advance -d '{{"seconds": 300}}'
  curl {base_url}/__emulator/faults -d '{{"operation": "pay.authorize", "fault": {{"kind": "reset", "when": "after"}}}}'
  curl {base_url}/__emulator/requests
  curl {base_url}/__emulator/tokens
"#,
        username = pay.username,
        password = pay.password,
        quoted_username = quoted(&format!("Username={}", pay.username)),
        quoted_password = quoted(&format!("Password={}", pay.password)),
        customer_id = connect.customer_id,
        secret_key = connect.secret_key,
        login_id = credentials::CONNECT_LOGIN_ID,
        bank_user = credentials::BANK_USER,
        bank_user_no_mfa = credentials::BANK_USER_NO_MFA,
        bank_password = credentials::BANK_PASSWORD,
        bank_id = credentials::BANK_ID,
        client_id = outbound.client_id,
        client_secret = outbound.client_secret,
        code = credentials::OUTBOUND_CODE,
        refresh_token = credentials::OUTBOUND_REFRESH_TOKEN,
        encoded_client_id = encoded(&outbound.client_id),
        encoded_redirect_uri = encoded(redirect_uri),
        provider_id = credentials::OUTBOUND_PROVIDER_ID,
    )
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
