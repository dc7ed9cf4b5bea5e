//! A fleet of machines that share consents, for half a day of virtual time: the real facade, the real store and its real
//! `redis-server`, over sockets. Only the time and Flinks are simulated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks_consents::flinks::{Clock, Settings, Sleep};
use flinks_consents::store::{DueWindow, TokenStore as _};
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore, Summary};
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::gate::Gate;
use crate::meter::Meter;
use crate::server::{self, Server};
use crate::support;

pub(crate) struct Plan {
    pub(crate) consents: u32,
    pub(crate) machines: u32,
    /// How long after one end user the next comes back.
    pub(crate) every: Duration,
    pub(crate) outage: Duration,
    /// How many seconds the wall clocks of the machines differ, at most.
    pub(crate) skew: u64,
}

/// What came of a part of the plan.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) lasted: Duration,
    /// Access tokens that end users' calls asked for, and how many of those calls got none.
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    /// Requests to Flinks, and commands to Redis: all, and the most in a second.
    pub(crate) requests: (u64, u64),
    pub(crate) commands: (u64, u64),
    /// What the workers did.
    pub(crate) kept: u64,
    pub(crate) failed: u64,
}

pub(crate) struct Outcome {
    /// Consents whose refresh token is not the one that Flinks takes, or that are said to be over.
    pub(crate) lost: u64,
    /// Requests with a refresh token that was not good.
    pub(crate) refused: u32,
    /// How many a worker with its time would still keep alive.
    pub(crate) due: usize,
    /// The bytes that Redis has in use, at the beginning and at the end.
    pub(crate) redis: (u64, u64),
    /// The resident bytes of this process, with all machines and Flinks: when all is in Redis, and at the end.
    pub(crate) resident: (u64, u64),
}

/// The time of the runtime, on a wall clock that is off.
#[derive(Clone, Copy)]
struct Virtual {
    start: Instant,
    wall: SystemTime,
}

impl Clock for Virtual {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// What all machines have in common.
struct World {
    plan: Plan,
    clock: Virtual,
    flinks: String,
    gate: Gate,
    kept: AtomicU64,
    failed: AtomicU64,
    calls: AtomicU64,
    refused: AtomicU64,
}

struct Machine {
    consents: Consents,
    worker: JoinHandle<()>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

fn store(address: &str, timeout: Duration) -> RedisStore {
    RedisStore::builder(address, keys()).timeout(timeout).build().unwrap()
}

fn consents(flinks: &str, clock: Virtual, store: RedisStore) -> Consents {
    let credentials = ClientCredentials::new("client", "secret").unwrap();
    let settings = Settings::new().clock(clock);
    let client = Client::builder(flinks.parse().unwrap(), credentials).settings(&settings).build().unwrap();
    Consents::builder(client).store(store).build()
}

fn id(consent: u32) -> ConsentId {
    format!("user-{consent:08}").parse().unwrap()
}

pub(crate) fn run(plan: Plan, tell: impl FnMut(Phase)) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(simulate(plan, tell))
}

async fn simulate(plan: Plan, mut tell: impl FnMut(Phase)) -> Outcome {
    let redis = support::Server::start(&[]);
    let wall = SystemTime::now();
    // As in a fleet that has run for long: each was exchanged within the 23 days after which a worker does it.
    let last_refreshed_at: Vec<SystemTime> =
        (0..plan.consents).map(|_| wall - (DAY * 23).mul_f64(fastrand::f64())).collect();
    let clock = Virtual { start: Instant::now(), wall };
    fill(&redis.address(), clock, &last_refreshed_at).await;
    let filled = (redis.used_memory(), resident());

    tokio::time::pause();
    let clock = Virtual { start: Instant::now(), wall };
    let (requests, commands) = (Meter::new(), Meter::new());
    let last_refreshed_at = last_refreshed_at.into_iter().map(server::seconds).collect();
    let flinks = Server::new(last_refreshed_at, Arc::clone(&requests), move || clock.wall());
    let gate = Gate::to(&redis.address(), Arc::clone(&commands)).await.unwrap();
    let address = flinks.listen().await.unwrap();
    let [kept, failed, calls, refused] = [const { AtomicU64::new(0) }; 4];
    let world = Arc::new(World { plan, clock, flinks: address, gate: gate.clone(), kept, failed, calls, refused });
    let fleet: Vec<Machine> = (0..world.plan.machines).map(|_| Machine::start(&world)).collect();
    let fleet = Arc::new(Mutex::new(fleet));
    let users = tokio::spawn(users(Arc::clone(&world), Arc::clone(&fleet)));

    let mut done = |name: &'static str, lasted: Duration| {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let phase = Phase {
            name,
            lasted,
            calls: take(&world.calls),
            refused: take(&world.refused),
            requests: requests.take(),
            commands: commands.take(),
            kept: take(&world.kept),
            failed: take(&world.failed),
        };
        tell(phase);
    };
    let outage = world.plan.outage;
    tokio::time::sleep(HOUR).await;
    done("an hour like others", HOUR);
    flinks.leave(true);
    tokio::time::sleep(outage).await;
    flinks.leave(false);
    done("Flinks is away", outage);
    tokio::time::sleep(HOUR).await;
    done("the hour after", HOUR);
    let minute = Duration::from_secs(60);
    for machine in 0..world.plan.machines {
        tokio::time::sleep(minute / world.plan.machines).await;
        let started = Machine::start(&world);
        fleet.lock().unwrap()[machine as usize] = started;
    }
    done("all machines restart", minute);
    tokio::time::sleep(HOUR).await;
    done("the hour after", HOUR);
    gate.shut(true);
    tokio::time::sleep(outage).await;
    gate.shut(false);
    done("Redis is away", outage);
    tokio::time::sleep(HOUR * 2).await;
    done("the two hours after", HOUR * 2);

    users.abort();
    // What is under way ends.
    tokio::time::sleep(HOUR / 12).await;
    let machines = std::mem::take(&mut *fleet.lock().unwrap());
    for machine in &machines {
        machine.consents.flush().await.unwrap();
    }
    let resident = (filled.1, resident());
    drop(machines);
    tokio::time::resume();
    let lost = lost(&redis.address(), &flinks, world.plan.consents).await;
    let window = DueWindow::new(clock.wall(), DAY * 7 - HOUR * 2);
    let due = store(&redis.address(), minute).due(window, usize::MAX).await.unwrap().len();
    Outcome { lost, refused: flinks.refused(), due, redis: (filled.0, redis.used_memory()), resident }
}

/// Puts all consents into Redis.
async fn fill(redis: &str, clock: Virtual, last_refreshed_at: &[SystemTime]) {
    let consents = consents("http://127.0.0.1:9", clock, store(redis, HOUR));
    let insert = async |(consent, last_refreshed_at): (u32, &SystemTime)| {
        let token = RefreshToken::new(server::refresh_token(consent as usize, 0)).unwrap();
        consents.import(&id(consent), token, *last_refreshed_at).await.unwrap();
    };
    futures_util::stream::iter((0..).zip(last_refreshed_at))
        .map(insert)
        .buffer_unordered(256)
        .for_each(async |()| ())
        .await;
}

impl Machine {
    fn start(world: &Arc<World>) -> Self {
        let skew = Duration::from_secs(fastrand::u64(0..=2 * world.plan.skew));
        let wall = world.clock.wall + skew - Duration::from_secs(world.plan.skew);
        let store = store(&world.gate.address, Duration::from_secs(1));
        let consents = consents(&world.flinks, Virtual { wall, ..world.clock }, store.clone());
        let keep_alive = KeepAlive::new(consents.clone(), store);
        let world = Arc::clone(world);
        let worker = tokio::spawn(async move {
            // They are started by whatever starts things every hour.
            tokio::time::sleep(HOUR.mul_f64(fastrand::f64())).await;
            loop {
                if let Ok(Summary { refreshed, failed, .. }) = keep_alive.run_once().await {
                    world.kept.fetch_add(refreshed, Ordering::Relaxed);
                    world.failed.fetch_add(failed, Ordering::Relaxed);
                }
                tokio::time::sleep(HOUR).await;
            }
        });
        Self { consents, worker }
    }
}

/// End users come back, one in ten of whom many are: each needs an access token, on whatever machine.
async fn users(world: Arc<World>, fleet: Arc<Mutex<Vec<Machine>>>) {
    let many = (world.plan.consents / 10_000).max(1);
    loop {
        tokio::time::sleep(world.plan.every).await;
        let among = if fastrand::u8(0..10) == 0 { many } else { world.plan.consents };
        let id = id(fastrand::u32(0..among));
        let machine = fastrand::usize(0..world.plan.machines as usize);
        let consent = fleet.lock().unwrap()[machine].consents.consent(&id);
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let got = consent.access_token().await;
            world.calls.fetch_add(1, Ordering::Relaxed);
            world.refused.fetch_add(u64::from(got.is_err()), Ordering::Relaxed);
        });
    }
}

/// How many consents are not in Redis as they are at Flinks.
async fn lost(redis: &str, flinks: &Server, consents: u32) -> u64 {
    let store = store(redis, HOUR);
    let is_lost = async |consent: u32| {
        let Some(record) = store.load(&id(consent)).await.unwrap() else { return true };
        let text = record.encode().unwrap();
        let fields: serde_json::Value = serde_json::from_str(text.expose_secret()).unwrap();
        record.is_ended() || !flinks.takes(fields["refresh_token"].as_str().unwrap_or_default())
    };
    let each = futures_util::stream::iter(0..consents).map(is_lost).buffer_unordered(256);
    each.fold(0, async |sum, is_lost| sum + u64::from(is_lost)).await
}

/// Of this process; 0 where nobody tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
