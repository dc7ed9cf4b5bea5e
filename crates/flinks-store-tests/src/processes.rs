//! Tests consents that several processes share. Each process represents a machine.
//!
//! The test program starts the processes as child processes that run the same executable.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::flinks::{Clock as _, Settings};
use flinks_consents::store::{DueWindow, Record, StoreFuture, TokenStore};
use flinks_consents::{ConsentId, Consents, OwnerId, Page};
use libtest_mimic::Trial;

use crate::backend::Backend;
use crate::clock::AutoAdvancingClock;
use crate::common::{block_on, open, trial_with_server};
use crate::flinks::{Flinks, client_of, emulator};

/// The number of rounds in each test.
#[derive(Clone, Copy)]
pub struct Rounds {
    /// The number of rounds in which eight processes need the same token.
    pub sharing: u32,
    /// The number of rounds in which a lease holder is killed. It must be a multiple of 8,
    /// because there are four steps, each with and without rotation.
    pub killed: u32,
}

/// If this process is a child of a test, runs its role and exits. Each test program that runs the
/// [`tests`] must call this function first.
pub fn run_if_child<B: Backend>() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, server, flinks] = arguments.as_slice()
        && let Some(role) = role.strip_prefix("role:")
    {
        run(run_role::<B>(role, server, flinks));
        std::process::exit(0);
    }
}

/// Returns the tests. The `STORE_TEST_ROUNDS` environment variable overrides both numbers of
/// rounds.
pub fn tests<B: Backend>(rounds: Rounds) -> Vec<Trial> {
    let count = std::env::var("STORE_TEST_ROUNDS").ok().map(|text| text.parse().unwrap());
    let rounds = count.map_or(rounds, |count| Rounds { sharing: count, killed: count });
    vec![
        trial_with_server::<B>("o4_eight_processes_make_one_refresh_of_a_rotating_token", move || {
            run(one_refresh::<B>(rounds.sharing));
        }),
        trial_with_server::<B>("o4_processes_without_compare_and_swap_make_several_refreshes", || {
            run(several_refreshes::<B>());
        }),
        trial_with_server::<B>("o4_killed_lease_holder_delays_others_by_one_lease_at_most", move || {
            run(killed_lease_holder::<B>(rounds.killed));
        }),
    ]
}

/// Runs a test. Panics if the test takes longer than 15 minutes.
fn run(test: impl Future<Output = ()>) {
    block_on(Duration::from_secs(15 * 60), test);
}

/// Another process that runs this program. Dropping this value kills the process.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start<B: Backend>(role: &str, server: &B, flinks: &Flinks) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(format!("role:{role}")).args([&server.address(), flinks.address()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        Self { child, input, output: BufReader::new(output) }
    }

    fn write_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the role that [`Process::start`] passed to this process.
async fn run_role<B: Backend>(role: &str, server: &str, flinks: &str) {
    let client = client_of(flinks, &Settings::new());
    match role {
        "fenced" => print_tokens(Consents::builder(client).store(open::<B>(server)).build()).await,
        "unfenced" => print_tokens(Consents::builder(client).store(Unfenced(open::<B>(server))).build()).await,
        step => {
            let store = Stopping { store: open::<B>(server), step: step.parse().unwrap(), swaps: AtomicU32::new(0) };
            print_tokens(Consents::builder(client).store(store).build()).await;
        }
    }
}

/// For each consent named on standard input, requests the access token in fifty concurrent tasks.
/// Prints the distinct results.
async fn print_tokens(consents: Consents) {
    println!("ready");
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(line)) = lines.next() {
        let id: ConsentId = line.parse().unwrap();
        let barrier = Arc::new(tokio::sync::Barrier::new(50));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let consent = consents.consent(&id);
                let barrier = Arc::clone(&barrier);
                tokio::spawn(async move {
                    barrier.wait().await;
                    consent
                        .access_token()
                        .await
                        .map_or_else(|_| "failed".to_owned(), |token| token.expose_secret().to_owned())
                })
            })
            .collect();
        let mut tokens = Vec::new();
        for task in tasks {
            tokens.push(task.await.unwrap());
        }
        tokens.dedup();
        // The tokens are not secret, because an emulator issued them.
        println!("{}", tokens.join(" "));
    }
}

/// A store that writes every record without comparing generations. `Unfenced` behaves like a store
/// that uses locks without fencing.
struct Unfenced<S>(S);

impl<S: TokenStore> TokenStore for Unfenced<S> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        TokenStore::load(&self.0, id)
    }

    fn compare_and_swap<'a>(&'a self, _: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            loop {
                let found = TokenStore::load(&self.0, record.id()).await?;
                if TokenStore::compare_and_swap(&self.0, found.map(|found| found.generation()), record).await? {
                    return Ok(true);
                }
            }
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        TokenStore::remove(&self.0, id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.0.list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        TokenStore::due(&self.0, window, limit)
    }
}

/// Runs rounds with eight processes and returns the number of failed rounds. A round succeeds if
/// the processes perform exactly one refresh in total and all receive the same token.
async fn count_failed_rounds<B: Backend>(role: &str, rounds: u32) -> u32 {
    let server = B::start();
    let flinks = emulator().await;
    flinks.rotate_refresh_tokens();
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    let mut processes: Vec<Process> = (0..8).map(|_| Process::start(role, &server, &flinks)).collect();
    for process in &mut processes {
        assert_eq!(process.read_line(), "ready");
    }
    let mut failed = 0;
    for round in 0..rounds {
        let id: ConsentId = format!("round-{round}").parse().unwrap();
        consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
        let before = flinks.refreshes();
        for process in &mut processes {
            process.write_line(id.as_str());
        }
        let mut lines: Vec<String> = processes.iter_mut().map(Process::read_line).collect();
        lines.sort();
        lines.dedup();
        let have_one_token = lines.len() == 1 && !lines[0].contains(' ') && lines[0] != "failed";
        if !have_one_token || flinks.refreshes() - before != 1 {
            failed += 1;
        }
    }
    failed
}

async fn one_refresh<B: Backend>(rounds: u32) {
    assert_eq!(count_failed_rounds::<B>("fenced", rounds).await, 0);
}

async fn several_refreshes<B: Backend>() {
    assert!(count_failed_rounds::<B>("unfenced", 5).await > 0);
}

/// A store that blocks indefinitely at one of four steps:
///
/// - 0: before the lease is written
/// - 1: after the lease is written
/// - 2: before the result is written
/// - 3: after the result is written
struct Stopping<S> {
    store: S,
    step: u32,
    swaps: AtomicU32,
}

impl<S> Stopping<S> {
    async fn stop_at(&self, step: u32) {
        if self.step == step {
            println!("stopped");
            std::future::pending::<()>().await;
        }
    }
}

impl<S: TokenStore> TokenStore for Stopping<S> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        TokenStore::load(&self.store, id)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let swap = self.swaps.fetch_add(1, Ordering::SeqCst);
            self.stop_at(2 * swap).await;
            let swapped = TokenStore::compare_and_swap(&self.store, expected, record).await;
            self.stop_at(2 * swap + 1).await;
            swapped
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        TokenStore::remove(&self.store, id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.store.list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        TokenStore::due(&self.store, window, limit)
    }
}

/// Kills a lease holder equally often at each of the four steps of a [`Stopping`] store. Refresh
/// tokens rotate in the second half of the rounds.
///
/// The next process waits no longer than the lease duration, as measured by its own clock, and then
/// receives a token. There is one exception: if only the killed process had the new refresh token,
/// the consent has ended. The next process then detects this with a single request.
async fn killed_lease_holder<B: Backend>(rounds: u32) {
    let server = B::start();
    let flinks = emulator().await;
    for round in 0..rounds {
        let step = round % 4;
        let rotates = round >= rounds / 2;
        if rotates {
            flinks.rotate_refresh_tokens();
        }
        let id: ConsentId = format!("round-{round}").parse().unwrap();
        // 600 ms is longer than the longest pause before a process checks a lease again.
        let clock = AutoAdvancingClock::new(Duration::from_millis(600));
        let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
        let consents = Consents::builder(client).store(open::<B>(&server.address())).build();
        let token: RefreshToken = flinks.new_refresh_token().await;
        consents.import(&id, token, SystemTime::now()).await.unwrap();
        let mut holder = Process::start(&step.to_string(), &server, &flinks);
        assert_eq!(holder.read_line(), "ready");
        holder.write_line(id.as_str());
        assert_eq!(holder.read_line(), "stopped");
        drop(holder);

        // The clock did not advance while the other process was running.
        clock.set_wall(SystemTime::now());
        let start = clock.monotonic();
        let before = flinks.refreshes();
        let outcome = consents.consent(&id).access_token().await.map(drop);
        let has_ended = rotates && step == 2;
        assert_eq!(
            outcome.as_ref().is_err_and(flinks_consents::ConsentError::needs_consent),
            has_ended,
            "round {round}: {outcome:?}"
        );
        assert_eq!(outcome.is_err(), has_ended, "round {round}: {outcome:?}");
        let waited = clock.monotonic() - start;
        // A lease lasts 45 seconds: 30 seconds for the call to Flinks, 5 seconds for each of two
        // store calls and a margin of 5 seconds. One more pause of half a second may follow.
        assert!(waited <= Duration::from_secs(46), "round {round}: {waited:?}");
        // If the result was stored, the next process does not refresh.
        let expected_refreshes = if step == 3 { 0 } else { 1 };
        assert_eq!(flinks.refreshes() - before, expected_refreshes, "round {round}");
        // The next process waits only if the lease was stored and the result was not.
        assert_eq!(waited.is_zero(), matches!(step, 0 | 3), "round {round}: {waited:?}");
    }
}
