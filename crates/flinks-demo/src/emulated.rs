//! The emulator that replaces Flinks, and the clients that connect to it.

use std::io;
use std::time::Duration;

use flinks_consents::flinks::{BaseUrl, Error, ManualClock, Settings, connect, outbound, pay};
use flinks_emulator::{Emulator, credentials};

use crate::service::Clients;

// ANCHOR: emulated
/// An in-process emulator. The emulator's clock and its clients' clock are advanced together.
#[derive(Debug)]
pub struct Emulated {
    /// The emulator.
    pub emulator: Emulator,
    clock: ManualClock,
}

impl Emulated {
    /// Starts an emulator.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is available.
    pub async fn start() -> io::Result<Self> {
        Ok(Self { emulator: Emulator::start().await?, clock: ManualClock::running() })
    }

    /// Creates clients for the three products with the emulator's credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if a client cannot be built.
    pub fn clients(&self) -> Result<Clients, Error> {
        let settings = Settings::new().clock(self.clock.clone());
        let base_url: BaseUrl = self.emulator.base_url().parse()?;
        let payments = pay::Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
        let secret_key = connect::SecretKey::new(credentials::CONNECT_SECRET_KEY)?;
        let customer_id = credentials::CONNECT_CUSTOMER_ID.parse()?;
        let application =
            outbound::ClientCredentials::new(credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET)?;
        Ok((
            pay::Client::builder(base_url.clone(), payments).settings(&settings).build()?,
            connect::Client::builder(base_url.clone(), customer_id, secret_key).settings(&settings).build()?,
            outbound::Client::builder(base_url, application).settings(&settings).build()?,
        ))
    }

    /// Advances the clocks of the emulator and the clients.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.emulator.advance(by);
    }
}
// ANCHOR_END: emulated
