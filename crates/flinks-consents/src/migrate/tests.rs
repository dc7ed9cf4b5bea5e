//! A model check for the protocol: tasks that move, read, refresh, replace and forget one consent
//! run in random order, and a move may stop at any store call. Each seed determines one order.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use flinks::outbound::RefreshToken;

use super::marks::{self, EndReport, Mark};
use super::transfer::{Outcome, move_record, settle_if_moved};
use super::{MigratingStore, Migration};
use crate::keep_alive::{Lookup, WorkLeases as _};
use crate::store::testing::{FaultyStore, StoreFault, StoreOperation};
use crate::store::{
    ConsentId, DueWindow, Lease, MemoryStore, OwnerId, Page, Record, ScanPage, ScanRecords, Standing, StoreError,
    StoreFuture, TokenStore, conformance,
};

/// A store that yields to other tasks both before and after each call takes effect.
#[derive(Clone, Default)]
struct SteppedStore(MemoryStore);

/// Lets other tasks run once.
#[derive(Default)]
struct Step {
    has_run: bool,
}

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.has_run, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn stepped<'a, T: Send + 'a>(call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
    Box::pin(async move {
        Step::default().await;
        let result = call.await;
        Step::default().await;
        result
    })
}

impl TokenStore for SteppedStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        stepped(self.0.load(id))
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        stepped(self.0.compare_and_swap(expected, record))
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        stepped(self.0.remove(id, generation))
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        stepped(self.0.list(owner, page))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        stepped(self.0.due(window, limit))
    }
}

impl ScanRecords for SteppedStore {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        stepped(self.0.scan(cursor, limit))
    }
}

/// A server that replaces each refresh token when it is used, and detects a second use.
#[derive(Default)]
struct Server {
    issued: u64,
    valid: HashSet<String>,
    used: HashSet<String>,
    reused: u64,
}

impl Server {
    fn issue(&mut self) -> RefreshToken {
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.valid.insert(token.clone());
        RefreshToken::new(token).unwrap()
    }

    fn refresh(&mut self, token: &RefreshToken) -> Option<RefreshToken> {
        let token = token.expose_secret().to_owned();
        if self.valid.remove(&token) {
            self.used.insert(token);
            return Some(self.issue());
        }
        self.reused += u64::from(self.used.contains(&token));
        None
    }
}

type Stores = MigratingStore<SteppedStore, SteppedStore>;

/// The state of one run of the model.
#[derive(Clone)]
struct World {
    old: SteppedStore,
    new: SteppedStore,
    store: Stores,
    server: Rc<RefCell<Server>>,
    /// The grants that were forgotten, which later calls must not find.
    forgotten: Rc<RefCell<HashSet<u64>>>,
    moves: Rc<RefCell<u64>>,
}

fn id() -> ConsentId {
    "user-7".parse().unwrap()
}

impl World {
    fn new() -> Self {
        let (old, new) = (SteppedStore::default(), SteppedStore::default());
        Self {
            store: MigratingStore::new(old.clone(), new.clone()),
            old,
            new,
            server: Rc::default(),
            forgotten: Rc::default(),
            moves: Rc::default(),
        }
    }

    fn record(&self) -> Record {
        let now = SystemTime::now();
        Record::new(id(), self.server.borrow_mut().issue(), now, now)
    }

    async fn load(&self) -> Option<Record> {
        let forgotten = self.forgotten.borrow().clone();
        let found = self.store.load(&id()).await.unwrap();
        if let Some(record) = &found {
            assert_eq!(Mark::of(record), Mark::None, "a mark is visible");
            assert!(!forgotten.contains(&record.grant), "a forgotten consent is back");
        }
        found
    }

    /// Moves the consent as a migration would some time after its scan.
    async fn run_mover(self, rounds: u32) {
        for _ in 0..rounds {
            let Some(seen) = self.old.load(&id()).await.unwrap() else { return };
            for _ in 0..3 {
                Step::default().await;
            }
            if move_record(&self.old, &self.new, seen).await.unwrap() == Outcome::Moved {
                *self.moves.borrow_mut() += 1;
            }
        }
    }

    /// Settles what stopped movers have left behind, as a migration would some time after its scan.
    async fn run_settler(self) {
        let Some(found) = self.new.load(&id()).await.unwrap() else { return };
        for _ in 0..3 {
            Step::default().await;
        }
        settle_if_moved(&self.old, &self.new, found).await.unwrap();
    }

    /// Reads the consent. The generation of a grant never decreases, and a consent that no task
    /// forgets is always found.
    async fn run_reader(self, may_be_missing: bool) {
        let mut generations: HashMap<u64, u64> = HashMap::new();
        for _ in 0..10 {
            let Some(record) = self.load().await else {
                assert!(may_be_missing, "the consent is missing");
                continue;
            };
            let newest = generations.entry(record.grant).or_insert(record.generation);
            assert!(record.generation >= *newest, "an older record is back");
            *newest = record.generation;
        }
    }

    /// Refreshes the consent in the same way as `refresh.rs` and `save.rs`.
    async fn run_refresher(self, owner: &'static str) {
        for _ in 0..4 {
            let Some(record) = self.load().await else { return };
            if record.lease.as_ref().is_some_and(|lease| lease.owner != owner) {
                Step::default().await;
                continue;
            }
            let now = SystemTime::now();
            let lease = Lease { owner: owner.to_owned(), expires_at: now, duration: Duration::from_secs(45) };
            let expected = record.generation;
            let leased = Record { lease: Some(Box::new(lease)), ..record }.after(expected);
            if !self.store.compare_and_swap(Some(expected), &leased).await.unwrap() {
                continue;
            }
            Step::default().await;
            let Some(refreshed) = self.server.borrow_mut().refresh(&leased.refresh_token) else { continue };
            Step::default().await;
            let mut expected = leased.generation;
            let used = leased.refresh_token.expose_secret().to_owned();
            let result = Record { refresh_token: refreshed, lease: None, has_rotated: true, ..leased };
            loop {
                let next = result.clone().after(expected);
                if self.store.compare_and_swap(Some(expected), &next).await.unwrap() {
                    break;
                }
                match self.load().await {
                    Some(found) if found.refresh_token.expose_secret() == used => expected = found.generation,
                    _ => break,
                }
            }
        }
    }

    /// Stores a new consent in the same way as `save.rs`, replacing any existing consent.
    async fn run_end_user(self) {
        let record = self.record();
        let mut next = record.clone();
        let mut expected = None;
        while !self.store.compare_and_swap(expected, &next).await.unwrap() {
            expected = self.load().await.map(|found| found.generation);
            next = expected.map_or_else(|| record.clone(), |generation| record.clone().after(generation));
        }
    }

    async fn run_forgetter(self) {
        while let Some(record) = self.load().await {
            if self.store.remove(&id(), record.generation).await.unwrap() {
                self.forgotten.borrow_mut().insert(record.grant);
                return;
            }
        }
    }
}

/// A task in a run. Only movers and readers may be dropped.
struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    can_crash: bool,
}

fn task(future: impl Future<Output = ()> + 'static) -> Task {
    Task { future: Box::pin(future), can_crash: false }
}

fn crashing(future: impl Future<Output = ()> + 'static) -> Task {
    Task { future: Box::pin(future), can_crash: true }
}

/// Runs tasks in a random order until all have completed or crashed.
fn run_all(random: &mut fastrand::Rng, mut tasks: Vec<Task>, crash_percent: u32) {
    let mut context = Context::from_waker(std::task::Waker::noop());
    while !tasks.is_empty() {
        let chosen = random.usize(..tasks.len());
        let has_crashed = tasks[chosen].can_crash && random.u32(..100) < crash_percent;
        if has_crashed || tasks[chosen].future.as_mut().poll(&mut context).is_ready() {
            tasks.swap_remove(chosen);
        }
    }
}

/// Checks one order. Returns the number of moves.
fn check(seed: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new();
    let may_be_missing = random.bool();
    let is_old = random.u32(..8) > 0;
    let record = world.record();
    let start = { if is_old { world.old.clone() } else { world.new.clone() } };
    run_all(&mut random, vec![task(async move { assert!(start.0.compare_and_swap(None, &record).await.unwrap()) })], 0);
    let mut tasks = Vec::new();
    for _ in 0..random.u32(1..5) {
        tasks.push(crashing(world.clone().run_mover(random.u32(1..4))));
    }
    for _ in 0..random.u32(..3) {
        tasks.push(crashing(world.clone().run_settler()));
    }
    for owner in ["one", "other"] {
        tasks.push(task(world.clone().run_refresher(owner)));
        tasks.push(crashing(world.clone().run_reader(may_be_missing)));
    }
    if may_be_missing {
        tasks.push(task(world.clone().run_forgetter()));
    }
    for _ in 0..random.u32(..3) {
        tasks.push(task(world.clone().run_end_user()));
    }
    if may_be_missing && random.bool() {
        tasks.push(task(world.clone().run_forgetter()));
    }
    let crash_percent = random.u32(..8);
    run_all(&mut random, tasks, crash_percent);

    // After the migration has been run again, the consent is in the new store with the newest
    // token.
    run_all(&mut random, vec![task(world.clone().run_mover(3))], 0);
    run_all(&mut random, vec![task(world.clone().run_settler())], 0);
    let last = world.clone();
    let check_end = async move {
        assert!(last.old.0.load(&id()).await.unwrap().is_none(), "the consent is still in the old store");
        if let Some(record) = last.new.0.load(&id()).await.unwrap() {
            assert_eq!(Mark::of(&record), Mark::None, "a mark is left in the new store");
        }
        match last.load().await {
            Some(record) => {
                let is_valid = last.server.borrow().valid.contains(record.refresh_token.expose_secret());
                assert!(is_valid, "the newest refresh token is lost");
                assert!(last.store.compare_and_swap(Some(record.generation), &record).await.unwrap());
            }
            None => assert!(!last.forgotten.borrow().is_empty(), "the consent is lost"),
        }
        assert_eq!(last.server.borrow().reused, 0, "a refresh token was used twice");
    };
    run_all(&mut random, vec![task(check_end)], 0);
    *world.moves.borrow()
}

#[test]
fn o5_moves_lose_nothing_and_use_no_token_twice_in_any_order() {
    let seeds = std::env::var("FLINKS_MODEL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let mut moves = 0;
    for seed in 0..seeds {
        let checked = std::panic::catch_unwind(|| check(seed));
        moves += checked.unwrap_or_else(|_| panic!("seed {seed} failed"));
    }
    assert!(moves > seeds / 2, "{moves}");
}

/// A combined store that stores new consents in the old store.
#[derive(Clone)]
struct StartsInOld(MigratingStore<MemoryStore, MemoryStore>, MemoryStore);

impl TokenStore for StartsInOld {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.0.load(id)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            if expected.is_none() && self.0.load(record.id()).await?.is_none() {
                return self.1.compare_and_swap(None, record).await;
            }
            self.0.compare_and_swap(expected, record).await
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.0.remove(id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.0.list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.0.due(window, limit)
    }
}

#[tokio::test]
async fn migrating_store_conforms() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let store = MigratingStore::new(old.clone(), new.clone());
    conformance::check(|| store.clone()).await.unwrap();
    conformance::check(|| StartsInOld(store.clone(), old.clone())).await.unwrap();
    assert_eq!(new.count().await.unwrap(), Some(0));
}

fn record(id: &str) -> Record {
    let now = SystemTime::now();
    Record::new(id.parse().unwrap(), RefreshToken::new("r").unwrap(), now, now)
}

async fn text_of(store: &MemoryStore, id: &ConsentId) -> String {
    store.load(id).await.unwrap().unwrap().encode().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn migration_moves_every_record_unchanged() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let lease =
        Lease { owner: "one".to_owned(), expires_at: SystemTime::UNIX_EPOCH, duration: Duration::from_secs(45) };
    let mut records = vec![
        Record { lease: Some(Box::new(lease)), ..record("leased") },
        Record { standing: Standing::Ended(None), ..record("ended") },
        Record { owner: Some("user-7".parse().unwrap()), label: Some("bank".into()), ..record("owned") },
    ];
    records.extend((0..2500).map(|number| record(&format!("user-{number}"))));
    for record in &records {
        assert!(old.compare_and_swap(None, record).await.unwrap());
    }
    let calls = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&calls);
    let migration =
        Migration::new(old.clone(), new.clone()).on_progress(move |progress| log.lock().unwrap().push(*progress));
    let summary = migration.run().await.unwrap();
    assert_eq!(summary.moved, 2503);
    assert!(summary.is_complete());
    assert_eq!(old.count().await.unwrap(), Some(0));
    for record in &records {
        assert_eq!(text_of(&new, record.id()).await, record.encode().unwrap().expose_secret());
    }
    let last = *calls.lock().unwrap().last().unwrap();
    assert_eq!(last.total, Some(2503));
    assert_eq!(last.summary, summary);
    assert_eq!(migration.run().await.unwrap(), super::MigrationSummary::default());
}

#[tokio::test]
async fn migration_continues_after_any_failed_call() {
    let id: ConsentId = "user-7".parse().unwrap();
    let operations = [StoreOperation::Load, StoreOperation::CompareAndSwap, StoreOperation::Remove];
    let mut failures = 0;
    for operation in operations {
        for (nth, fault) in (1..=4).flat_map(|nth| [(nth, StoreFault::unavailable()), (nth, StoreFault::lost_reply())])
        {
            for is_old in [true, false] {
                let (old, new) = (FaultyStore::default(), FaultyStore::default());
                let record = record("user-7");
                assert!(old.inner().compare_and_swap(None, &record).await.unwrap());
                if is_old { &old } else { &new }.fail_nth(operation, nth, fault.clone());
                let migration = Migration::new(old.clone(), new.clone());
                failures += u32::from(migration.run().await.is_err());
                old.clear_faults();
                new.clear_faults();
                let store = MigratingStore::new(old.clone(), new.clone());
                assert!(store.load(&id).await.unwrap().is_some());
                migration.run().await.unwrap();
                assert_eq!(old.inner().count().await.unwrap(), Some(0));
                let found = store.load(&id).await.unwrap().unwrap();
                assert_eq!(found.encode().unwrap().expose_secret(), record.encode().unwrap().expose_secret());
            }
        }
    }
    assert!(failures >= 12, "{failures}");
}

/// A copy is delayed until another migration has moved the consent, the consent has been forgotten,
/// and a third migration has left a reservation.
#[tokio::test]
async fn delayed_copy_does_not_bring_back_a_forgotten_consent() {
    let (old, new) = (MemoryStore::new(), FaultyStore::default());
    let one = record("user-7");
    assert!(old.compare_and_swap(None, &one).await.unwrap());
    new.fail_nth(StoreOperation::CompareAndSwap, 2, StoreFault::Hold);
    let delayed = tokio::spawn({
        let (old, new, one) = (old.clone(), new.clone(), one.clone());
        async move { move_record(&old, &new, one).await }
    });
    new.received(StoreOperation::CompareAndSwap, 2).await;
    let store = MigratingStore::new(old.clone(), new.inner().clone());
    assert_eq!(move_record(&old, new.inner(), one.clone()).await, Ok(Outcome::Moved));
    assert!(store.remove(one.id(), one.generation).await.unwrap());
    let reservation = marks::reservation(&one, EndReport::NotNeeded);
    assert!(new.inner().compare_and_swap(None, &reservation).await.unwrap());
    new.release();
    assert_eq!(delayed.await.unwrap(), Ok(Outcome::Absent));
    assert!(store.load(one.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn record_that_the_new_store_changes_stays_in_the_old_store() {
    let (old, new) = (MemoryStore::new(), FaultyStore::default());
    let one = record("user-7");
    assert!(old.compare_and_swap(None, &one).await.unwrap());
    let wrong = marks::copy_of(&Record { refresh_token: RefreshToken::new("wrong").unwrap(), ..one.clone() });
    new.fail_next(StoreOperation::Load, StoreFault::Substitute(Box::new(wrong)));
    let summary = Migration::new(old.clone(), new).run().await.unwrap();
    assert_eq!(summary.unreadable, 1);
    assert!(!summary.is_complete());
    assert!(old.load(one.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn record_in_both_stores_is_a_conflict() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let (one, other) = (record("user-7"), record("user-7"));
    assert!(old.compare_and_swap(None, &one).await.unwrap());
    assert!(new.compare_and_swap(None, &other).await.unwrap());
    let conflicts = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&conflicts);
    let migration =
        Migration::new(old.clone(), new.clone()).on_conflict(move |id| log.lock().unwrap().push(id.clone()));
    let summary = migration.run().await.unwrap();
    assert_eq!(summary.conflicts, 1);
    assert_eq!(*conflicts.lock().unwrap(), [id()]);
    let store = MigratingStore::new(old, new);
    assert_eq!(store.load(&id()).await.unwrap().unwrap().grant, other.grant);
}

/// A migration that was killed after its last commit leaves the old store empty. The next one removes
/// the marks, and the new store can then be used alone.
#[tokio::test]
async fn marks_of_a_killed_migration_are_removed() {
    let (old, new) = (MemoryStore::new(), FaultyStore::default());
    for number in 0..1500 {
        let record = record(&format!("user-{number}"));
        let mark =
            if number % 2 == 0 { marks::copy_of(&record) } else { marks::reservation(&record, EndReport::NotNeeded) };
        assert!(new.inner().compare_and_swap(None, &mark).await.unwrap());
    }
    let migration = Migration::new(old, new.clone());
    new.fail_next(StoreOperation::CompareAndSwap, StoreFault::Fail(StoreError::busy("is locked")));
    let summary = migration.run().await.unwrap();
    assert_eq!(summary.busy, 1);
    assert!(!summary.is_complete());
    assert!(migration.run().await.unwrap().is_complete());
    assert_eq!(new.inner().count().await.unwrap(), Some(750));
    for number in (0..1500).step_by(2) {
        let found = new.inner().load(&format!("user-{number}").parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(Mark::of(&found), Mark::None);
    }
}

/// Processes that use only the old store must not lose a consent because another process stops
/// while removing that consent.
#[tokio::test]
async fn removal_moves_nothing_before_the_migration() {
    let (old, new) = (MemoryStore::new(), FaultyStore::default());
    let one = record("user-7");
    assert!(old.compare_and_swap(None, &one).await.unwrap());
    let store = MigratingStore::prepare(old.clone(), new.clone());
    assert!(!store.remove(one.id(), one.generation + 1).await.unwrap());
    assert!(store.remove(one.id(), one.generation).await.unwrap());
    assert!(old.load(one.id()).await.unwrap().is_none());
    assert_eq!(new.count(StoreOperation::CompareAndSwap), 0);
}

/// Two processes store the same new consent at the same time, each in a different store.
#[tokio::test]
async fn new_consent_is_stored_in_one_store_only() {
    for is_old_delayed in [true, false] {
        let (old, new) = (FaultyStore::default(), FaultyStore::default());
        let prepared = MigratingStore::prepare(old.clone(), new.clone());
        let migrating = MigratingStore::new(old.clone(), new.clone());
        let held = if is_old_delayed { old.clone() } else { new.clone() };
        let (delayed, other) = if is_old_delayed { (prepared, migrating) } else { (migrating, prepared) };
        let (one, two) = (record("user-7"), record("user-7"));
        held.fail_next(StoreOperation::CompareAndSwap, StoreFault::Hold);
        let call = tokio::spawn({
            let (delayed, one) = (delayed.clone(), one.clone());
            async move { delayed.compare_and_swap(None, &one).await }
        });
        held.received(StoreOperation::CompareAndSwap, 1).await;
        assert!(other.compare_and_swap(None, &two).await.unwrap());
        held.release();
        assert!(!call.await.unwrap().unwrap());
        for store in [&delayed, &other] {
            assert_eq!(store.load(&id()).await.unwrap().unwrap().grant, two.grant);
        }
        assert!(held.inner().load(&id()).await.unwrap().is_none());
    }
}

/// During the deployments before and after a migration, processes with different stores run at the
/// same time. Each process finds the consents that the others store.
#[tokio::test]
async fn deployments_overlap_without_losing_a_consent() {
    type Both = MigratingStore<MemoryStore, MemoryStore>;
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let prepared = Both::prepare(old.clone(), new.clone());
    let migrating = Both::new(old.clone(), new.clone());
    let steps: [(&str, [&dyn TokenStore; 2]); 3] =
        [("one", [&old, &prepared]), ("two", [&prepared, &migrating]), ("three", [&migrating, &new])];
    for (name, stores) in steps {
        if name == "three" {
            assert!(Migration::new(old.clone(), new.clone()).run().await.unwrap().is_complete());
        }
        for (number, (store, other)) in [(0, 1), (1, 0)].map(|(one, other)| (one, (stores[one], stores[other]))) {
            let record = record(&format!("{name}-{number}"));
            assert!(store.compare_and_swap(None, &record).await.unwrap());
            assert!(!other.compare_and_swap(None, &record).await.unwrap());
            let changed = record.clone().after(record.generation);
            assert!(other.compare_and_swap(Some(record.generation), &changed).await.unwrap());
            assert_eq!(store.load(record.id()).await.unwrap().unwrap().generation, changed.generation);
        }
    }
    assert_eq!(old.count().await.unwrap(), Some(0));
    assert_eq!(new.count().await.unwrap(), Some(6));
}

#[tokio::test]
async fn list_and_due_contain_each_consent_once() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let owner: OwnerId = "owner".parse().unwrap();
    let owned = |id| Record { owner: Some("owner".parse().unwrap()), ..record(id) };
    let (in_old, in_new, copied, reserved) = (owned("a"), owned("b"), owned("c"), owned("d"));
    for record in [&in_old, &copied, &reserved] {
        assert!(old.compare_and_swap(None, record).await.unwrap());
    }
    assert!(new.compare_and_swap(None, &in_new).await.unwrap());
    assert!(new.compare_and_swap(None, &marks::copy_of(&copied)).await.unwrap());
    assert!(new.compare_and_swap(None, &marks::reservation(&reserved, EndReport::Pending)).await.unwrap());
    // This copy is out of date: the consent no longer has an owner.
    let changed = owned("e");
    assert!(new.compare_and_swap(None, &marks::copy_of(&changed)).await.unwrap());
    assert!(old.compare_and_swap(None, &Record { owner: None, ..changed }.after(1)).await.unwrap());
    let store = MigratingStore::new(old, new);
    let ids = |records: Vec<Record>| records.iter().map(|record| record.id().to_string()).collect::<String>();
    assert_eq!(ids(store.list(&owner, &Page::first(10)).await.unwrap()), "abcd");
    assert_eq!(ids(store.list(&owner, &Page::first(2)).await.unwrap()), "ab");
    assert_eq!(ids(store.list(&owner, &Page::after("b".parse().unwrap(), 2)).await.unwrap()), "cd");
    let window = DueWindow::new(SystemTime::now(), Duration::MAX);
    assert_eq!(store.due(window, 10).await.unwrap().len(), 5);
    assert_eq!(store.due(window, 3).await.unwrap().len(), 3);
    // A worker finds each consent through a shard of either store.
    for shard in 0..store.shards() {
        for item in store.due_in(shard, window, 10).await.unwrap() {
            assert_eq!(item.shard, shard);
            assert!(
                matches!(store.look_up(&item).await.unwrap(), Lookup::Record(record) if Mark::of(&record) == Mark::None)
            );
        }
    }
}

#[tokio::test]
async fn cursor_of_another_store_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::FileStore::open(folder.path().join("consents")).unwrap();
    assert!(matches!(store.scan(Some("user-7"), 10).await, Err(StoreError::Misconfigured(_))));
}
