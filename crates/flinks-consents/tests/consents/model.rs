//! Two processes that share a store, against a model: whatever happens to them, no token is used
//! beyond its end, no two exchanges are made where one does, and no refresh token is lost.

use proptest::prelude::*;

use crate::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Several callers of one process request a token at once. The server may fail a few times.
    Get {
        who: usize,
        callers: usize,
        fault: Option<(Failure, u32)>,
    },
    /// An API refuses the token that was returned last.
    Reject {
        who: usize,
    },
    /// A caller starts a refresh and is cancelled.
    Abandon {
        who: usize,
    },
    ExchangeNow {
        who: usize,
    },
    /// A process ends, and another takes its place.
    Restart {
        who: usize,
    },
    /// The end user consents again.
    ConsentAgain {
        who: usize,
    },
    /// In hundredths of a lifetime.
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
    /// Before the server has done it.
    Reset,
    /// After the server has done it. Not if refresh tokens rotate, because that would lose one.
    LostReply,
    Malformed,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..2_usize;
    let failure = prop_oneof![
        prop_oneof![Just(400_u16), Just(404), Just(429), Just(500), Just(503)].prop_map(Failure::Status),
        Just(Failure::Reset),
        Just(Failure::LostReply),
        Just(Failure::Malformed),
    ];
    prop_oneof![
        8 => (who.clone(), 1..6_usize).prop_map(|(who, callers)| Step::Get { who, callers, fault: None }),
        4 => (who.clone(), 1..6_usize, failure, 1..5_u32)
            .prop_map(|(who, callers, failure, times)| Step::Get { who, callers, fault: Some((failure, times)) }),
        2 => who.clone().prop_map(|who| Step::Reject { who }),
        2 => who.clone().prop_map(|who| Step::Abandon { who }),
        1 => who.clone().prop_map(|who| Step::ExchangeNow { who }),
        1 => who.clone().prop_map(|who| Step::Restart { who }),
        1 => who.prop_map(|who| Step::ConsentAgain { who }),
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
        runtime.block_on(play(&steps, rotates));
    }
}

struct World {
    local: Local,
    rotates: bool,
    store: MemoryStore,
    processes: [Process; 2],
    /// When the server last issued or exchanged the refresh token.
    last_refreshed_at: SystemTime,
}

struct Process {
    consents: Consents,
    consent: Consent,
    /// The token that it received last, and whether it was rejected since.
    token: Option<AccessToken>,
    is_rejected: bool,
    /// Until when it may return an error that it remembers.
    pauses_until: SystemTime,
}

impl Process {
    fn start(local: &Local, store: &MemoryStore) -> Self {
        let consents = local.consents(store.clone());
        let consent = consents.consent(&user());
        Self { consents, consent, token: None, is_rejected: false, pauses_until: SystemTime::UNIX_EPOCH }
    }
}

async fn play(steps: &[Step], rotates: bool) {
    let local = start().await;
    local.emulator.configure(|config| {
        config.outbound.rotate_refresh_tokens = rotates;
        // The server uses the same time as the client, but waits advance only the client.
        config.outbound.access_token_seconds = LIFETIME.as_secs();
    });
    let store = MemoryStore::new();
    let processes = [(); 2].map(|()| Process::start(&local, &store));
    let last_refreshed_at = local.clock.wall();
    processes[0].consents.import(&user(), refresh_token(), last_refreshed_at).await.unwrap();
    let mut world = World { local, rotates, store, processes, last_refreshed_at };
    for step in steps {
        world.step(step).await;
        world.check_that_nothing_is_lost().await;
    }
    // After all steps each process works, unless the refresh token has idled out.
    for who in 0..2 {
        world.local.advance(MINUTE);
        world.get(who, 1, None).await;
    }
}

impl World {
    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Get { who, callers, fault } => self.get(who, callers, fault).await,
            Step::Reject { who } => {
                let process = &mut self.processes[who];
                if let Some(token) = &process.token {
                    process.consent.invalidate(token);
                    process.is_rejected = true;
                }
            }
            Step::Abandon { who } => {
                let before = self.local.tokens();
                self.local.emulator.fail_next(TOKEN, hold(When::After));
                let call = spawn(&self.processes[who].consent);
                // Either it reaches the server, or it needs no refresh.
                while !call.is_finished() && self.local.tokens() == before {
                    tokio::task::yield_now().await;
                }
                call.abort();
                let _ = call.await;
                self.local.emulator.release();
                self.local.emulator.clear_faults();
                // The refresh continues, and serves later callers.
                if self.local.tokens() > before && self.is_alive() {
                    self.last_refreshed_at = self.local.clock.wall();
                }
                let outcome = self.processes[who].consent.access_token().await;
                self.settle().await;
                assert!(self.local.tokens() <= before + 1 || outcome.is_err());
                self.keep(who, outcome.ok());
            }
            Step::ExchangeNow { who } => {
                let before = self.local.tokens();
                let is_alive = self.is_alive();
                match self.processes[who].consent.refresh_now().await {
                    Ok(token) => {
                        assert_eq!(self.local.tokens(), before + 1);
                        self.last_refreshed_at = self.local.clock.wall();
                        self.keep(who, Some(token));
                    }
                    Err(error) => assert!(!is_alive || self.pauses(who), "{error}"),
                }
            }
            Step::Restart { who } => self.processes[who] = Process::start(&self.local, &self.store),
            Step::ConsentAgain { who } => {
                let code = self.local.code();
                let consent = self.processes[who].consents.exchange_code(&user(), code).await.unwrap();
                self.last_refreshed_at = self.local.clock.wall();
                let token = consent.access_token().await.unwrap();
                self.keep(who, Some(token));
                // The other still has the tokens of the consent before, which the emulator does not
                // revoke.
            }
            Step::Advance { hundredths } => self.local.advance(LIFETIME / 100 * hundredths),
            Step::AdvanceDays { days } => self.local.advance(DAY * days),
        }
    }

    async fn get(&mut self, who: usize, callers: usize, fault: Option<(Failure, u32)>) {
        let fault = fault.filter(|(failure, _)| !(self.rotates && matches!(failure, Failure::LostReply)));
        if let Some((failure, times)) = fault {
            let fault = match failure {
                Failure::Status(status) => Fault::reply(status, r#"{"error":"temporarily_unavailable"}"#),
                Failure::Reset => Fault::Reset { when: When::Before },
                Failure::LostReply => Fault::Drop { when: When::After },
                Failure::Malformed => Fault::reply(200, "{}"),
            };
            self.local.emulator.fail_times(TOKEN, fault, times.into());
        }
        let before = self.local.tokens();
        let is_alive = self.is_alive();
        let pauses = self.pauses(who);
        let needs_none = self.has_fresh(who);
        let process = &self.processes[who];
        let calls: Vec<_> = (0..callers).map(|_| spawn(&process.consent)).collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.unwrap());
        }
        // An early refresh runs in the background, and the next call waits for it.
        self.settle().await;
        self.local.emulator.clear_faults();

        let exchanges = self.local.tokens() - before;
        let most = if fault.is_some() { 3 } else { 1 };
        assert!(exchanges <= if needs_none { 0 } else { most }, "{exchanges} exchanges");
        let texts: Vec<_> = outcomes.iter().flatten().map(|token| token.expose_secret().to_owned()).collect();
        assert!(texts.windows(2).all(|two| two[0] == two[1]), "all get the same");
        if exchanges > 0 && is_alive && fault.is_none_or(|(failure, _)| matches!(failure, Failure::LostReply)) {
            self.last_refreshed_at = self.local.clock.wall();
        }
        for outcome in outcomes {
            match outcome {
                Ok(token) => {
                    self.check_that_it_is_good(&token);
                    self.keep(who, Some(token));
                }
                Err(error) if error.needs_consent() => assert!(!is_alive, "{error}"),
                Err(error) => assert!(fault.is_some() || pauses, "{error}"),
            }
        }
        if fault.is_some() {
            // There may be a pause, also after a background refresh.
            self.processes[who].pauses_until = self.local.clock.wall() + MINUTE;
        }
        // A later attempt may have succeeded.
        if fault.is_some() && self.record_time().await != self.last_refreshed_at {
            self.last_refreshed_at = self.record_time().await;
        }
    }

    /// Waits for a background refresh, which has leased the consent, and then needs a moment to
    /// complete.
    async fn settle(&self) {
        let mut quiet = 0;
        while quiet < 20 {
            tokio::task::yield_now().await;
            let record = self.record().await;
            quiet = if record.encode().unwrap().expose_secret().contains("\"claim\":null") { quiet + 1 } else { 0 };
        }
    }

    fn keep(&mut self, who: usize, token: Option<AccessToken>) {
        if token.is_some() {
            self.processes[who].token = token;
            self.processes[who].is_rejected = false;
        }
    }

    fn is_alive(&self) -> bool {
        let idle = self.local.clock.wall().duration_since(self.last_refreshed_at).unwrap_or_default();
        idle < Duration::from_secs(30 * 24 * 60 * 60)
    }

    fn pauses(&self, who: usize) -> bool {
        self.local.clock.wall() < self.processes[who].pauses_until
    }

    /// Whether a process has a token that does not need a refresh yet.
    fn has_fresh(&self, who: usize) -> bool {
        let Process { token, is_rejected, .. } = &self.processes[who];
        let expires_at = token.as_ref().filter(|_| !is_rejected).and_then(AccessToken::expires_at);
        expires_at.is_some_and(|end| end.duration_since(self.local.clock.wall()).is_ok_and(|left| left > LIFETIME / 5))
    }

    fn check_that_it_is_good(&self, token: &AccessToken) {
        assert!(!token.is_expired());
        let issued = self.local.emulator.find(token.expose_secret()).unwrap();
        let now = self.local.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        // The emulator's clock also runs by itself, and waits of the client do not advance it.
        assert!(issued.expires_at + TIMEOUT > now);
        assert!(issued.revoked.is_none());
    }

    async fn record(&self) -> Record {
        self.store.load(&user()).await.unwrap().unwrap()
    }

    async fn record_time(&self) -> SystemTime {
        self.record().await.idle_deadline() - Duration::from_secs(30 * 24 * 60 * 60)
    }

    /// The newest refresh token that the server knows is in the store.
    async fn check_that_nothing_is_lost(&self) {
        let issued = self.local.emulator.issued();
        let newest = issued.iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
        let record = self.record().await.encode().unwrap();
        assert!(record.expose_secret().contains(&newest.value), "the refresh token is lost");
    }
}
