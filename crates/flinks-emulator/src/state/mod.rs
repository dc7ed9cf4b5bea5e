//! An emulator's state between requests. The rules read and change it. Nothing in this module
//! creates a response.

mod connect;
mod outbound;
mod pay;

use std::time::Duration;

use uuid::Uuid;

pub(crate) use self::connect::{
    BankRedirect, Challenge, ConnectState, DataRequest, DataSession, Iframe, Login, Return, Stage,
};
pub(crate) use self::outbound::{Connection, Consent, OutboundState};
pub(crate) use self::pay::{Decision, PayState, PaymentRequest, PaymentStatus, Session};

use crate::bank::{self, BankKey, Banks, Refusal, UserKey};
use crate::clock::Clock;
use crate::config::{Config, Party};
use crate::credentials::{OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN};
use crate::fault::FaultPlan;
use crate::http::Call;
use crate::ledger::{Issued, Kind, Ledger, Usage};
use crate::scenario::ScenarioRun;

pub(crate) struct EmulatorState {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) faults: FaultPlan,
    pub(crate) banks: Banks,
    pub(crate) scenario: ScenarioRun,
    /// The time at which the emulator was started or reset.
    pub(crate) started_at: Duration,
    pub(crate) pay: PayState,
    pub(crate) connect: ConnectState,
    pub(crate) outbound: OutboundState,
    /// The number of resets so far.
    pub(crate) resets: u64,
    /// Whether [`issue`](Self::issue) returns the newest existing token of a kind instead of a new
    /// one. This field is `true` only while a request with the `duplicate_token` fault is being
    /// processed.
    pub(crate) repeats_token: bool,
}

impl EmulatorState {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_banks(config, Banks::default())
    }

    fn with_banks(config: Config, banks: Banks) -> Self {
        let clock = Clock::new(config.frozen_clock);
        let mut state = Self {
            pay: PayState::default(),
            connect: ConnectState::new(&config.limits, &banks),
            outbound: OutboundState::default(),
            banks,
            scenario: ScenarioRun::default(),
            started_at: clock.now(),
            clock,
            config,
            ledger: Ledger::default(),
            faults: FaultPlan::default(),
            resets: 0,
            repeats_token: false,
        };
        state.issue_first_tokens();
        state
    }

    /// Issues the code and the refresh token from [`credentials`](crate::credentials).
    fn issue_first_tokens(&mut self) {
        let subject = Some(self.new_subject(None, None));
        let code = self.token(Kind::Code, OUTBOUND_CODE.into(), None, self.config.outbound.code_seconds);
        let redirect_uri = Some(OUTBOUND_REDIRECT_URI.into());
        self.issue(Issued { subject: subject.clone(), redirect_uri, ..code });
        let idle = self.config.outbound.refresh_token_idle_seconds;
        let refresh_token = self.token(Kind::RefreshToken, OUTBOUND_REFRESH_TOKEN.into(), None, idle);
        self.issue(Issued { subject, ..refresh_token });
    }

    /// Replaces the state with a new state that has the same configuration and scenario.
    ///
    /// The numbering of requests continues, so that a request that arrived before the reset is not
    /// mistaken for a later request.
    pub(crate) fn reset(&mut self) {
        let mut new = Self::with_banks(self.config.clone(), self.banks.clone());
        new.ledger.continue_numbering(self.ledger.newest_number());
        new.resets = self.resets.wrapping_add(1);
        new.scenario = std::mem::take(&mut self.scenario).restarted(new.now());
        *self = new;
        self.apply_due_steps();
    }

    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.clock.set_frozen(self.config.frozen_clock);
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Creates a token that expires after `seconds`. It becomes valid when it is
    /// [issued](Self::issue).
    pub(crate) fn token(&self, kind: Kind, value: String, call: Option<&Call>, seconds: u64) -> Issued {
        Issued {
            kind,
            value,
            issued_at: self.now(),
            issued_by: call.map(|call| call.number),
            expires_at: self.now().saturating_add(Duration::from_secs(seconds)),
            spent: None,
            revoked: None,
            subject: None,
            redirect_uri: None,
            code_challenge: None,
            party: Party::Main,
        }
    }

    /// Adds a token to the ledger and returns its value. If the `duplicate_token` fault applies,
    /// returns the newest existing token of the same kind instead. The fault never applies to
    /// refresh tokens.
    pub(crate) fn issue(&mut self, token: Issued) -> String {
        if self.repeats_token
            && token.kind != Kind::RefreshToken
            && let Some(newest) = self.ledger.newest(token.kind)
        {
            return newest.clone();
        }
        self.ledger.issue(token, self.config.limits.tokens)
    }

    /// Issues a code, as if an end user had just consented to all scopes.
    pub(crate) fn issue_code(&mut self, redirect_uri: String) -> String {
        let subject = self.new_subject(None, None);
        let code = self.code(subject, redirect_uri, None);
        self.issue(code)
    }

    /// Creates a code for a connection. It becomes valid when it is [issued](Self::issue).
    pub(crate) fn code(&self, subject: String, redirect_uri: String, call: Option<&Call>) -> Issued {
        let code = self.token(Kind::Code, fake_id(), call, self.config.outbound.code_seconds);
        Issued { subject: Some(subject), redirect_uri: Some(redirect_uri), ..code }
    }

    /// Adds a connection and returns its subject. If `user` is `None`, the connection belongs to
    /// the first user who can log in. If `scopes` is `None`, the connection has all scopes.
    pub(crate) fn new_subject(&mut self, user: Option<UserKey>, scopes: Option<Vec<String>>) -> String {
        let user = user.or_else(|| self.banks.able_users().first().copied());
        self.outbound.connections.add(Connection { user, scopes }, self.config.limits.tokens)
    }

    /// Returns the bank's refusal if a scenario has made the bank unavailable.
    pub(crate) fn require_bank(&self, bank: BankKey) -> Result<(), Refusal> {
        if self.scenario.is_unavailable(bank, self.now()) { Err(bank::UNAVAILABLE) } else { Ok(()) }
    }

    /// Logs a user in to a bank with a password.
    pub(crate) fn log_in(
        &self,
        bank: BankKey,
        username: &str,
        password: &str,
    ) -> Result<(UserKey, bank::LoginStep), Refusal> {
        self.require_bank(bank)?;
        self.banks.log_in(bank, username, password)
    }

    pub(crate) fn spend(&mut self, kind: Kind, value: &str, call: &Call) {
        let spent = self.usage(call);
        if let Some(issued) = self.ledger.issued_mut(kind, value) {
            issued.spent.get_or_insert(spent);
        }
    }

    /// Revokes every token of an end user, as if the end user had revoked the consent at the bank.
    /// Returns whether the ledger contains a token of this end user.
    pub(crate) fn revoke_connection(&mut self, subject: &str) -> bool {
        let revoked = Usage { at: self.now(), by: Usage::NO_REQUEST };
        self.ledger.revoke(subject, revoked)
    }

    pub(crate) fn usage(&self, call: &Call) -> Usage {
        Usage { at: self.now(), by: call.number }
    }
}

/// Returns a random value with the prefix `emu_`, which Flinks never uses.
pub(crate) fn fake_id() -> String {
    format!("emu_{}", Uuid::new_v4())
}
