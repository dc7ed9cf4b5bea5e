//! Simulates a fleet of machines that share consents, in virtual time.
//!
//! The machines use the real `Consents`, the real store and a real `redis-server`, connected over
//! sockets. Only time and Flinks are simulated.

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
use crate::meter::{Count, Meter};
use crate::server::{self, Server};
use crate::support;

/// The parameters of a simulation.
pub(crate) struct Plan {
    pub(crate) consents: u32,
    pub(crate) machines: u32,
    /// The time between two consecutive calls on behalf of end users.
    pub(crate) call_interval: Duration,
    /// The duration of each outage.
    pub(crate) outage: Duration,
    /// The maximum error of a machine's wall clock, in seconds.
    pub(crate) skew_seconds: u64,
}

/// The results of one phase of a simulation.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) duration: Duration,
    /// The number of calls that requested an access token.
    pub(crate) calls: u64,
    /// The number of calls that returned an error.
    pub(crate) failed_calls: u64,
    /// The requests to Flinks.
    pub(crate) requests: Count,
    /// The commands to Redis.
    pub(crate) commands: Count,
    /// The number of consents that the workers refreshed.
    pub(crate) kept_alive: u64,
    /// The number of the workers' refreshes that failed.
    pub(crate) failed_refreshes: u64,
}

/// The results of an entire simulation.
pub(crate) struct Outcome {
    /// The number of consents that have ended or whose stored refresh token is invalid.
    pub(crate) lost: u64,
    /// The number of requests with an invalid refresh token.
    pub(crate) invalid_requests: u32,
    /// The number of consents that had been due for two hours but had not been refreshed.
    pub(crate) overdue: usize,
    /// The memory that Redis used.
    pub(crate) redis_memory: Memory,
    /// The resident memory of this process, which runs all machines and the simulated Flinks
    /// server.
    pub(crate) resident_memory: Memory,
}

/// Memory use, in bytes, at two points in a simulation.
pub(crate) struct Memory {
    /// The memory in use after all consents were stored in Redis.
    pub(crate) start: u64,
    /// The memory in use at the end of the last phase.
    pub(crate) end: u64,
}

/// A clock that follows the Tokio runtime's time but may report a wrong wall-clock time.
#[derive(Clone, Copy)]
struct VirtualClock {
    start: Instant,
    wall: SystemTime,
}

impl Clock for VirtualClock {
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

/// The state that all machines share.
struct World {
    plan: Plan,
    clock: VirtualClock,
    /// The URL of the simulated Flinks server.
    flinks: String,
    gate: Gate,
    kept_alive: AtomicU64,
    failed_refreshes: AtomicU64,
    calls: AtomicU64,
    failed_calls: AtomicU64,
}

/// A machine with its own `Consents` and its own keep-alive worker.
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

fn consents(flinks: &str, clock: VirtualClock, store: RedisStore) -> Consents {
    let credentials = ClientCredentials::new("client", "secret").unwrap();
    let settings = Settings::new().clock(clock);
    let client = Client::builder(flinks.parse().unwrap(), credentials).settings(&settings).build().unwrap();
    Consents::builder(client).store(store).build()
}

fn id(consent: u32) -> ConsentId {
    format!("user-{consent:08}").parse().unwrap()
}

/// Runs a simulation and calls `report` with the results of each phase.
pub(crate) fn run(plan: Plan, report: impl FnMut(Phase)) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(simulate(plan, report))
}

async fn simulate(plan: Plan, mut report: impl FnMut(Phase)) -> Outcome {
    let redis = support::Server::start(&[]);
    let wall = SystemTime::now();
    // As in a fleet that has run for a long time, each consent was refreshed within the last 23
    // days. A worker refreshes a consent 23 days after its last refresh.
    let last_refreshed_at: Vec<SystemTime> =
        (0..plan.consents).map(|_| wall - (DAY * 23).mul_f64(fastrand::f64())).collect();
    let clock = VirtualClock { start: Instant::now(), wall };
    fill(&redis.address(), clock, &last_refreshed_at).await;
    let redis_memory_at_start = redis.used_memory();
    let resident_memory_at_start = resident_memory();

    tokio::time::pause();
    let clock = VirtualClock { start: Instant::now(), wall };
    let requests = Meter::new();
    let commands = Meter::new();
    let last_refreshed_at = last_refreshed_at.into_iter().map(server::seconds).collect();
    let flinks = Server::new(last_refreshed_at, Arc::clone(&requests), move || clock.wall());
    let gate = Gate::to(&redis.address(), Arc::clone(&commands)).await.unwrap();
    let address = flinks.listen().await.unwrap();
    let world = Arc::new(World {
        plan,
        clock,
        flinks: address,
        gate: gate.clone(),
        kept_alive: AtomicU64::new(0),
        failed_refreshes: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        failed_calls: AtomicU64::new(0),
    });
    let fleet: Vec<Machine> = (0..world.plan.machines).map(|_| Machine::start(&world)).collect();
    let fleet = Arc::new(Mutex::new(fleet));
    let users = tokio::spawn(simulate_users(Arc::clone(&world), Arc::clone(&fleet)));

    let mut end_phase = |name: &'static str, duration: Duration| {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let phase = Phase {
            name,
            duration,
            calls: take(&world.calls),
            failed_calls: take(&world.failed_calls),
            requests: requests.take(),
            commands: commands.take(),
            kept_alive: take(&world.kept_alive),
            failed_refreshes: take(&world.failed_refreshes),
        };
        report(phase);
    };
    let outage = world.plan.outage;
    tokio::time::sleep(HOUR).await;
    end_phase("normal hour", HOUR);
    flinks.set_unavailable(true);
    tokio::time::sleep(outage).await;
    flinks.set_unavailable(false);
    end_phase("Flinks is unavailable", outage);
    tokio::time::sleep(HOUR).await;
    end_phase("next hour", HOUR);
    let minute = Duration::from_secs(60);
    for machine in 0..world.plan.machines {
        tokio::time::sleep(minute / world.plan.machines).await;
        let started = Machine::start(&world);
        fleet.lock().unwrap()[machine as usize] = started;
    }
    end_phase("all machines restart", minute);
    tokio::time::sleep(HOUR).await;
    end_phase("next hour", HOUR);
    gate.set_blocked(true);
    tokio::time::sleep(outage).await;
    gate.set_blocked(false);
    end_phase("Redis is unavailable", outage);
    tokio::time::sleep(HOUR * 2).await;
    end_phase("next two hours", HOUR * 2);

    users.abort();
    // Lets in-flight calls and refreshes complete.
    tokio::time::sleep(HOUR / 12).await;
    let machines = std::mem::take(&mut *fleet.lock().unwrap());
    for machine in &machines {
        machine.consents.flush().await.unwrap();
    }
    let resident_memory = Memory { start: resident_memory_at_start, end: resident_memory() };
    drop(machines);
    tokio::time::resume();
    let lost = count_lost(&redis.address(), &flinks, world.plan.consents).await;
    let window = DueWindow::new(clock.wall(), DAY * 7 - HOUR * 2);
    let overdue = store(&redis.address(), minute).due(window, usize::MAX).await.unwrap().len();
    let redis_memory = Memory { start: redis_memory_at_start, end: redis.used_memory() };
    Outcome { lost, invalid_requests: flinks.invalid_requests(), overdue, redis_memory, resident_memory }
}

/// Stores all consents in Redis.
async fn fill(redis: &str, clock: VirtualClock, last_refreshed_at: &[SystemTime]) {
    let consents = consents("http://127.0.0.1:9", clock, store(redis, HOUR));
    let import = async |(consent, last_refreshed_at): (u32, &SystemTime)| {
        let token = RefreshToken::new(server::refresh_token(consent as usize, 0)).unwrap();
        consents.import(&id(consent), token, *last_refreshed_at).await.unwrap();
    };
    futures_util::stream::iter((0..).zip(last_refreshed_at))
        .map(import)
        .buffer_unordered(256)
        .for_each(async |()| ())
        .await;
}

impl Machine {
    fn start(world: &Arc<World>) -> Self {
        // The wall clock is up to `skew_seconds` ahead or behind.
        let skew = Duration::from_secs(fastrand::u64(0..=2 * world.plan.skew_seconds));
        let wall = world.clock.wall + skew - Duration::from_secs(world.plan.skew_seconds);
        let store = store(&world.gate.address, Duration::from_secs(1));
        let consents = consents(&world.flinks, VirtualClock { wall, ..world.clock }, store.clone());
        let keep_alive = KeepAlive::new(consents.clone(), store);
        let world = Arc::clone(world);
        let worker = tokio::spawn(async move {
            // The machines start their hourly runs at different times.
            tokio::time::sleep(HOUR.mul_f64(fastrand::f64())).await;
            loop {
                if let Ok(Summary { refreshed, failed, .. }) = keep_alive.run_once().await {
                    world.kept_alive.fetch_add(refreshed, Ordering::Relaxed);
                    world.failed_refreshes.fetch_add(failed, Ordering::Relaxed);
                }
                tokio::time::sleep(HOUR).await;
            }
        });
        Self { consents, worker }
    }
}

/// Simulates calls on behalf of end users. Each call requests an access token on a random machine.
/// One in ten calls uses a consent from a small group of frequently used consents.
async fn simulate_users(world: Arc<World>, fleet: Arc<Mutex<Vec<Machine>>>) {
    let frequent = (world.plan.consents / 10_000).max(1);
    loop {
        tokio::time::sleep(world.plan.call_interval).await;
        let candidates = if fastrand::u8(0..10) == 0 { frequent } else { world.plan.consents };
        let id = id(fastrand::u32(0..candidates));
        let machine = fastrand::usize(0..world.plan.machines as usize);
        let consent = fleet.lock().unwrap()[machine].consents.consent(&id);
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let result = consent.access_token().await;
            world.calls.fetch_add(1, Ordering::Relaxed);
            world.failed_calls.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        });
    }
}

/// Returns the number of consents that have ended or whose refresh token in Redis is not valid on
/// the simulated Flinks server.
async fn count_lost(redis: &str, flinks: &Server, consents: u32) -> u64 {
    let store = store(redis, HOUR);
    let is_lost = async |consent: u32| {
        let Some(record) = store.load(&id(consent)).await.unwrap() else { return true };
        let text = record.encode().unwrap();
        let fields: serde_json::Value = serde_json::from_str(text.expose_secret()).unwrap();
        record.is_ended() || !flinks.is_valid(fields["refresh_token"].as_str().unwrap_or_default())
    };
    let results = futures_util::stream::iter(0..consents).map(is_lost).buffer_unordered(256);
    results.fold(0, async |sum, is_lost| sum + u64::from(is_lost)).await
}

/// Returns the resident memory of this process in bytes, or 0 if the system does not report it.
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
