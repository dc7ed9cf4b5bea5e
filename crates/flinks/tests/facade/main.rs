//! The facade against the emulator, with time that is moved by hand.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::unwrap_used)] // helpers of tests are tests too

mod all;
mod callbacks;
mod configuration;
mod connect;
mod connections;
mod consents;
mod consents_model;
mod documents;
mod log_lines;
mod outbound;
mod pay;
mod pool;
mod refusals;
mod replies;
mod revocation;
mod runtimes;
mod shutdown;
mod surface;
mod wall_clock;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks::connect::{AuthorizeToken, LoginId, SecretKey};
use flinks::pay::{Credentials, NewSession};
use flinks::{BaseUrl, Clock, Secret, Settings, Sleep, connect as flinks_connect, pay as flinks_pay};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;
use tokio::sync::watch;

/// A clock that a test moves. A short wait, as between two tries, is over at once and moves it; a longer one, as the deadline
/// of a call, is over when the test has moved it so far.
#[derive(Clone)]
struct TestClock {
    now: Arc<Mutex<(Duration, SystemTime)>>,
    waits: Arc<Mutex<Vec<Duration>>>,
    /// The longest wait that is over at once. Default: each that is none for a deadline.
    short: Duration,
    moved: watch::Sender<()>,
}

/// The longest `Retry-After` that is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl TestClock {
    fn new() -> Self {
        let now = Arc::new(Mutex::new((Duration::from_secs(1_000_000), SystemTime::now())));
        Self { now, waits: Arc::default(), short: LONGEST_WAIT, moved: watch::Sender::new(()) }
    }

    fn advance(&self, by: Duration) {
        self.advance_monotonic(by);
        self.advance_wall(by);
    }

    fn advance_monotonic(&self, by: Duration) {
        self.now.lock().unwrap().0 += by;
        self.moved.send_replace(());
    }

    fn advance_wall(&self, by: Duration) {
        self.now.lock().unwrap().1 += by;
    }

    fn set_wall_back(&self, by: Duration) {
        self.now.lock().unwrap().1 -= by;
    }

    /// The waits between tries so far.
    fn waits(&self) -> Vec<Duration> {
        std::mem::take(&mut self.waits.lock().unwrap())
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap().0
    }

    fn wall(&self) -> SystemTime {
        self.now.lock().unwrap().1
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        let end = self.monotonic() + duration;
        let mut moved = self.moved.subscribe();
        Box::pin(async move {
            if duration <= LONGEST_WAIT {
                clock.waits.lock().unwrap().push(duration);
            }
            if duration <= clock.short {
                // As a real wait, it lets others go first.
                tokio::task::yield_now().await;
                clock.advance(duration);
            }
            while clock.monotonic() < end {
                moved.changed().await.unwrap();
            }
        })
    }
}

/// Far more than the waits of any call: its deadline ends it when a test wants that.
const TIMEOUT: Duration = Duration::from_secs(1000);

struct Local {
    emulator: Emulator,
    clock: TestClock,
    pay: flinks_pay::Client,
    connect: flinks_connect::Client,
}

async fn local() -> Local {
    local_with(|settings| settings).await
}

async fn local_with(change: impl FnOnce(Settings) -> Settings) -> Local {
    local_at(TestClock::new(), change).await
}

async fn local_at(clock: TestClock, change: impl FnOnce(Settings) -> Settings) -> Local {
    let emulator = Emulator::start().await.unwrap();
    let settings = change(Settings::new().clock(clock.clone()).timeout(TIMEOUT));
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let (pay, connect) = clients(&base_url, &settings);
    Local { emulator, clock, pay, connect }
}

fn clients(base_url: &BaseUrl, settings: &Settings) -> (flinks_pay::Client, flinks_connect::Client) {
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let pay = flinks_pay::Client::with_settings(base_url.clone(), credentials, settings).unwrap();
    let (customer_id, secret_key) = (CONNECT_CUSTOMER_ID.parse().unwrap(), SecretKey::new(CONNECT_SECRET_KEY).unwrap());
    let connect = flinks_connect::Client::with_settings(base_url.clone(), customer_id, secret_key, settings).unwrap();
    (pay, connect)
}

fn new_session() -> NewSession {
    NewSession::new("r-1", 10_50, "Ada", "ada@example.com").unwrap()
}

fn login_id() -> LoginId {
    LoginId::new(CONNECT_LOGIN_ID).unwrap()
}

impl Local {
    async fn authorize_token(&self) -> AuthorizeToken {
        self.connect.generate_authorize_token().await.unwrap()
    }
}

/// A status and the `Location` of a GET, by a browser that follows nothing.
async fn get(local: &Local, url: &str) -> (u16, Option<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = url.strip_prefix(local.emulator.base_url()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    (answer[9..12].parse().unwrap(), location.map(str::to_owned))
}

/// A parameter of an address.
fn parameter(url: &Secret, wanted: &str) -> String {
    let url = url::Url::parse(url.expose_secret()).unwrap();
    url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned()
}
