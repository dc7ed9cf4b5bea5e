//! Runs random steps in two processes that share a store, and checks the results against a model.
//! The test fails if an expired token is returned, a refresh is repeated, or a refresh token is
//! lost.

use proptest::prelude::*;

use crate::prelude::*;

/// The time after which an unused refresh token expires.
const IDLE_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Clone, Debug)]
enum Step {
    /// Several callers in one process request a token concurrently. A fault, if any, affects the
    /// first requests to the server.
    RequestToken {
        index: usize,
        callers: usize,
        fault: Option<(Failure, u32)>,
    },
    /// An API rejects a process's newest access token.
    Invalidate {
        index: usize,
    },
    /// A caller requests a token and is cancelled.
    CancelCaller {
        index: usize,
    },
    RefreshNow {
        index: usize,
    },
    /// A process exits, and a new process replaces it.
    Restart {
        index: usize,
    },
    /// The end user consents again.
    ConsentAgain {
        index: usize,
    },
    /// Advances the clocks by this percentage of the lifetime of an access token.
    Advance {
        hundredths: u32,
    },
    AdvanceDays {
        days: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Status(u16),
    /// The connection is reset before the server processes the request.
    Reset,
    /// The response is lost after the server has processed the request. The test skips this fault
    /// if the server rotates refresh tokens, because the new refresh token would be lost.
    LostResponse,
    Malformed,
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0..2_usize;
    let failure = prop_oneof![
        prop_oneof![Just(400_u16), Just(404), Just(429), Just(500), Just(503)].prop_map(Failure::Status),
        Just(Failure::Reset),
        Just(Failure::LostResponse),
        Just(Failure::Malformed),
    ];
    prop_oneof![
        8 => (index.clone(), 1..6_usize)
            .prop_map(|(index, callers)| Step::RequestToken { index, callers, fault: None }),
        4 => (index.clone(), 1..6_usize, failure, 1..5_u32).prop_map(|(index, callers, failure, times)| {
            Step::RequestToken { index, callers, fault: Some((failure, times)) }
        }),
        2 => index.clone().prop_map(|index| Step::Invalidate { index }),
        2 => index.clone().prop_map(|index| Step::CancelCaller { index }),
        1 => index.clone().prop_map(|index| Step::RefreshNow { index }),
        1 => index.clone().prop_map(|index| Step::Restart { index }),
        1 => index.prop_map(|index| Step::ConsentAgain { index }),
        6 => (1..150_u32).prop_map(|hundredths| Step::Advance { hundredths }),
        1 => (1..40_u32).prop_map(|days| Step::AdvanceDays { days }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn o3_o4_o5_o6_two_processes_agree_with_the_model(
        steps in prop::collection::vec(step(), 1..50),
        rotates in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run_steps(&steps, rotates));
    }
}

/// Two processes and their expected state.
struct Model {
    setup: Setup,
    rotates: bool,
    store: MemoryStore,
    processes: [Process; 2],
    /// The time when the refresh token was last issued or used.
    last_refreshed_at: SystemTime,
}

struct Process {
    consents: Consents,
    consent: Consent,
    /// The newest access token that the process received.
    token: Option<AccessToken>,
    /// Whether an API has rejected this token.
    is_rejected: bool,
    /// The time until which the process may return the error from an earlier refresh.
    backs_off_until: SystemTime,
}

impl Process {
    fn start(setup: &Setup, store: &MemoryStore) -> Self {
        let consents = setup.consents(store.clone());
        let consent = consents.consent(&user());
        Self { consents, consent, token: None, is_rejected: false, backs_off_until: SystemTime::UNIX_EPOCH }
    }
}

async fn run_steps(steps: &[Step], rotates: bool) {
    let setup = start().await;
    setup.emulator.configure(|config| {
        config.outbound.rotate_refresh_tokens = rotates;
        // Waits advance the client's clock but not the emulator's.
        config.outbound.access_token_seconds = LIFETIME.as_secs();
    });
    let store = MemoryStore::new();
    let processes = [(); 2].map(|()| Process::start(&setup, &store));
    let last_refreshed_at = setup.clock.wall();
    processes[0].consents.import(&user(), refresh_token(), last_refreshed_at).await.unwrap();
    let mut model = Model { setup, rotates, store, processes, last_refreshed_at };
    for step in steps {
        model.run(step).await;
        model.check_that_refresh_token_is_stored().await;
    }
    // After all steps, each process returns a token, unless the refresh token has idled out.
    for index in 0..2 {
        model.setup.advance(MINUTE);
        model.request_token(index, 1, None).await;
    }
}

impl Model {
    async fn run(&mut self, step: &Step) {
        match *step {
            Step::RequestToken { index, callers, fault } => self.request_token(index, callers, fault).await,
            Step::Invalidate { index } => {
                let process = &mut self.processes[index];
                if let Some(token) = &process.token {
                    process.consent.invalidate(token);
                    process.is_rejected = true;
                }
            }
            Step::CancelCaller { index } => self.cancel_caller(index).await,
            Step::RefreshNow { index } => {
                let before = self.setup.token_requests();
                let is_refreshable = self.is_refreshable();
                match self.processes[index].consent.refresh_now().await {
                    Ok(token) => {
                        assert_eq!(self.setup.token_requests(), before + 1);
                        self.last_refreshed_at = self.setup.clock.wall();
                        self.remember_token(index, Some(token));
                    }
                    Err(error) => assert!(!is_refreshable || self.backs_off(index), "{error}"),
                }
            }
            Step::Restart { index } => self.processes[index] = Process::start(&self.setup, &self.store),
            Step::ConsentAgain { index } => {
                let code = self.setup.code();
                let consent = self.processes[index].consents.exchange_code(&user(), code).await.unwrap();
                self.last_refreshed_at = self.setup.clock.wall();
                let token = consent.access_token().await.unwrap();
                self.remember_token(index, Some(token));
                // The other process still has a token from the previous consent, which the emulator
                // does not revoke.
            }
            Step::Advance { hundredths } => self.setup.advance(LIFETIME / 100 * hundredths),
            Step::AdvanceDays { days } => self.setup.advance(DAY * days),
        }
    }

    async fn cancel_caller(&mut self, index: usize) {
        let before = self.setup.token_requests();
        self.setup.emulator.fail_next(TOKEN, hold(When::After));
        let call = spawn(&self.processes[index].consent);
        // The call either reaches the server or completes without a refresh.
        while !call.is_finished() && self.setup.token_requests() == before {
            tokio::task::yield_now().await;
        }
        call.abort();
        let _ = call.await;
        self.setup.emulator.release();
        self.setup.emulator.clear_faults();
        // The refresh continues, and later callers receive its result.
        if self.setup.token_requests() > before && self.is_refreshable() {
            self.last_refreshed_at = self.setup.clock.wall();
        }
        let outcome = self.processes[index].consent.access_token().await;
        self.wait_for_background_refresh().await;
        assert!(self.setup.token_requests() <= before + 1 || outcome.is_err());
        self.remember_token(index, outcome.ok());
    }

    async fn request_token(&mut self, index: usize, callers: usize, fault: Option<(Failure, u32)>) {
        let fault = fault.filter(|(failure, _)| !(self.rotates && matches!(failure, Failure::LostResponse)));
        if let Some((failure, times)) = fault {
            let fault = match failure {
                Failure::Status(status) => Fault::reply(status, r#"{"error":"temporarily_unavailable"}"#),
                Failure::Reset => Fault::Reset { when: When::Before },
                Failure::LostResponse => Fault::Drop { when: When::After },
                Failure::Malformed => Fault::reply(200, "{}"),
            };
            self.setup.emulator.fail_times(TOKEN, fault, times.into());
        }
        let before = self.setup.token_requests();
        let is_refreshable = self.is_refreshable();
        let backs_off = self.backs_off(index);
        let has_fresh_token = self.has_fresh_token(index);
        let process = &self.processes[index];
        let calls: Vec<_> = (0..callers).map(|_| spawn(&process.consent)).collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.unwrap());
        }
        // An early refresh may still run in the background, and the next call would wait for it.
        self.wait_for_background_refresh().await;
        self.setup.emulator.clear_faults();

        let requests = self.setup.token_requests() - before;
        let max_requests = if has_fresh_token {
            0
        } else if fault.is_some() {
            3
        } else {
            1
        };
        assert!(requests <= max_requests, "expected at most {max_requests} requests, got {requests}");
        let texts: Vec<_> = outcomes.iter().flatten().map(|token| token.expose_secret().to_owned()).collect();
        assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "callers received different tokens");
        let is_successful = fault.is_none_or(|(failure, _)| matches!(failure, Failure::LostResponse));
        if requests > 0 && is_refreshable && is_successful {
            self.last_refreshed_at = self.setup.clock.wall();
        }
        for outcome in outcomes {
            match outcome {
                Ok(token) => {
                    self.check_that_token_is_valid(&token);
                    self.remember_token(index, Some(token));
                }
                Err(error) if error.needs_consent() => assert!(!is_refreshable, "{error}"),
                Err(error) => assert!(fault.is_some() || backs_off, "{error}"),
            }
        }
        if fault.is_some() {
            // The process may back off, even if only a background refresh failed.
            self.processes[index].backs_off_until = self.setup.clock.wall() + MINUTE;
            // A later attempt may have succeeded, so the expected time is read from the record.
            self.last_refreshed_at = self.last_used_at().await;
        }
    }

    /// Waits until no refresh is running in the background. A refresh holds the consent's lease
    /// until the refresh completes.
    async fn wait_for_background_refresh(&self) {
        let mut polls_without_lease = 0;
        while polls_without_lease < 20 {
            tokio::task::yield_now().await;
            let record = self.record().await.encode().unwrap();
            if record.expose_secret().contains("\"claim\":null") {
                polls_without_lease += 1;
            } else {
                polls_without_lease = 0;
            }
        }
    }

    fn remember_token(&mut self, index: usize, token: Option<AccessToken>) {
        if token.is_some() {
            self.processes[index].token = token;
            self.processes[index].is_rejected = false;
        }
    }

    /// Returns whether the refresh token was used recently enough to be still valid.
    fn is_refreshable(&self) -> bool {
        let idle = self.setup.clock.wall().duration_since(self.last_refreshed_at).unwrap_or_default();
        idle < IDLE_LIMIT
    }

    fn backs_off(&self, index: usize) -> bool {
        self.setup.clock.wall() < self.processes[index].backs_off_until
    }

    /// Returns whether a process has a token that has not been rejected and is not yet due for an
    /// early refresh.
    fn has_fresh_token(&self, index: usize) -> bool {
        let Process { token, is_rejected, .. } = &self.processes[index];
        if *is_rejected {
            return false;
        }
        let expires_at = token.as_ref().and_then(AccessToken::expires_at);
        expires_at.is_some_and(|end| end.duration_since(self.setup.clock.wall()).is_ok_and(|left| left > LIFETIME / 5))
    }

    fn check_that_token_is_valid(&self, token: &AccessToken) {
        assert!(!token.is_expired());
        let issued = self.setup.emulator.find(token.expose_secret()).unwrap();
        let now = self.setup.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        // The emulator's clock also advances with real time, but the client's waits do not advance
        // it.
        assert!(issued.expires_at + TIMEOUT > now);
        assert!(issued.revoked.is_none());
    }

    async fn record(&self) -> Record {
        self.store.load(&user()).await.unwrap().unwrap()
    }

    /// Returns the time when the stored refresh token was last used.
    async fn last_used_at(&self) -> SystemTime {
        self.record().await.idle_deadline() - IDLE_LIMIT
    }

    /// Checks that the store contains the newest refresh token that the server issued.
    async fn check_that_refresh_token_is_stored(&self) {
        let issued = self.setup.emulator.issued();
        let newest = issued.iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
        let record = self.record().await.encode().unwrap();
        assert!(record.expose_secret().contains(&newest.value), "the newest refresh token is not in the store");
    }
}
