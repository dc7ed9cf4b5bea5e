//! Creates the service's clients and stores, for the real Flinks API or for an emulator in this
//! process.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use flinks_consents::flinks::{BaseUrl, Error, RedirectUrl, connect, outbound, pay};
use flinks_consents::{Consents, FileStore};
use flinks_emulator::{Emulator, credentials};

use crate::sessions::Sessions;

/// The service's clients, stores and sessions.
pub struct App {
    pub(crate) pay: pay::Client,
    pub(crate) connect: connect::Client,
    pub(crate) consents: Consents,
    pub(crate) sessions: Sessions,
    pub(crate) http: reqwest::Client,
    pub(crate) public_url: String,
}

/// The service's own settings.
pub struct Options {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The URL that browsers use to reach the service. The service's redirect URLs start with this
    /// URL.
    pub public_url: String,
    /// The directory where consents are stored.
    pub store: PathBuf,
}

impl Options {
    /// Reads the environment variables whose names start with `DEMO_`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the invalid variable.
    pub fn from_env() -> Result<Self, String> {
        let address = variable("DEMO_ADDRESS", "127.0.0.1:8000")?;
        Ok(Self {
            address: address.parse().map_err(|_| "invalid DEMO_ADDRESS: expected an address such as 127.0.0.1:8000")?,
            public_url: variable("DEMO_PUBLIC_URL", "http://127.0.0.1:8000")?,
            store: variable("DEMO_STORE", "demo-consents")?.into(),
        })
    }
}

/// The Flinks API that the service uses.
pub enum Flinks {
    /// The real Flinks API, configured by the environment variables whose names start with
    /// `FLINKS_`.
    Configured,
    /// An emulator in this process.
    Emulated(Emulator),
}

impl Flinks {
    /// Chooses the real Flinks API if `FLINKS_OUTBOUND_URL` is set. Otherwise, starts an emulator.
    ///
    /// # Errors
    ///
    /// Returns an error if the emulator cannot start.
    pub async fn from_env() -> std::io::Result<Self> {
        if env::var_os("FLINKS_OUTBOUND_URL").is_some() {
            return Ok(Self::Configured);
        }
        Ok(Self::Emulated(Emulator::start().await?))
    }
}

impl App {
    /// Creates the service's clients and stores.
    ///
    /// # Errors
    ///
    /// Returns an error that names the missing or invalid variable or value.
    pub fn new(flinks: &Flinks, options: Options) -> Result<Self, Box<dyn std::error::Error>> {
        let (pay, connect, outbound) = match flinks {
            Flinks::Configured => {
                (pay::Client::from_env()?, connect::Client::from_env()?, outbound::Client::from_env()?)
            }
            Flinks::Emulated(emulator) => emulated(emulator)?,
        };
        Ok(Self {
            pay,
            connect,
            consents: Consents::builder(outbound).store(FileStore::open(options.store)?).build(),
            sessions: Sessions::default(),
            http: http_client(flinks)?,
            public_url: options.public_url,
        })
    }

    pub(crate) fn redirect_url(&self, path: &str) -> Result<RedirectUrl, Error> {
        format!("{}{path}", self.public_url).parse()
    }
}

fn emulated(emulator: &Emulator) -> Result<(pay::Client, connect::Client, outbound::Client), Error> {
    let base_url: BaseUrl = emulator.base_url().parse()?;
    let payments = pay::Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
    let secret_key = connect::SecretKey::new(credentials::CONNECT_SECRET_KEY)?;
    let customer_id = credentials::CONNECT_CUSTOMER_ID.parse()?;
    let application =
        outbound::ClientCredentials::new(credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET)?;
    Ok((
        pay::Client::builder(base_url.clone(), payments).build()?,
        connect::Client::builder(base_url.clone(), customer_id, secret_key).build()?,
        outbound::Client::builder(base_url, application).build()?,
    ))
}

/// Creates the HTTP client for the Open Banking API. The client's requests contain access tokens,
/// so the client never follows redirects. It uses no proxy for the emulator, because the emulator
/// uses plain HTTP.
fn http_client(flinks: &Flinks) -> reqwest::Result<reqwest::Client> {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30));
    match flinks {
        Flinks::Configured => client.https_only(true).build(),
        Flinks::Emulated(_) => client.no_proxy().build(),
    }
}

/// Returns the value of an environment variable, or `default` if the variable is not set.
fn variable(name: &str, default: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(text) => Ok(text),
        Err(env::VarError::NotPresent) => Ok(default.to_owned()),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
    }
}
