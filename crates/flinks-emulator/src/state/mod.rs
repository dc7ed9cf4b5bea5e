//! An emulator's state between requests. The rules read and change it. Nothing in this module
//! creates a response.

mod connect;
mod outbound;
mod pay;

use std::time::Duration;

use uuid::Uuid;

pub(crate) use self::connect::{BankRedirect, Challenge, ConnectState, DataRequest, DataSession, Iframe, Login, Stage};
pub(crate) use self::outbound::{Consent, OutboundState};
pub(crate) use self::pay::{Decision, PayState, PaymentRequest, PaymentStatus, Session};

use crate::clock::Clock;
use crate::config::{Config, Party};
use crate::credentials::{OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN};
use crate::fault::FaultPlan;
use crate::http::Call;
use crate::ledger::{Issued, Kind, Ledger, Usage};

pub(crate) struct EmulatorState {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) faults: FaultPlan,
    pub(crate) pay: PayState,
    pub(crate) connect: ConnectState,
    pub(crate) outbound: OutboundState,
    /// The number of resets so far.
    pub(crate) resets: u64,
    /// Whether [`issue`](Self::issue) returns the newest existing token of a kind instead of a new
    /// one. It does so while a request with the `duplicate_token` fault is being processed.
    pub(crate) repeats_token: bool,
}

impl EmulatorState {
    pub(crate) fn new(config: Config) -> Self {
        let mut state = Self {
            pay: PayState::default(),
            connect: ConnectState::new(&config.limits),
            outbound: OutboundState::default(),
            clock: Clock::new(config.frozen_clock),
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
        let subject = Some(Uuid::new_v4().to_string());
        let code = self.token(Kind::Code, OUTBOUND_CODE.into(), None, self.config.outbound.code_seconds);
        let redirect_uri = Some(OUTBOUND_REDIRECT_URI.into());
        self.issue(Issued { subject: subject.clone(), redirect_uri, ..code });
        let idle = self.config.outbound.refresh_token_idle_seconds;
        let refresh_token = self.token(Kind::RefreshToken, OUTBOUND_REFRESH_TOKEN.into(), None, idle);
        self.issue(Issued { subject, ..refresh_token });
    }

    /// Replaces the state with a new state that has the same configuration.
    ///
    /// The numbering of requests continues, so that a request that arrived before the reset is not
    /// mistaken for a later request.
    pub(crate) fn reset(&mut self) {
        let mut new = Self::new(self.config.clone());
        new.ledger.continue_numbering(self.ledger.newest_number());
        new.resets = self.resets.wrapping_add(1);
        *self = new;
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

    /// Issues a code, as if a new end user had just given consent.
    pub(crate) fn issue_code(&mut self, redirect_uri: String, call: Option<&Call>) -> String {
        let code = self.code(redirect_uri, call);
        self.issue(code)
    }

    /// Creates a code for a new end user. It becomes valid when it is [issued](Self::issue).
    pub(crate) fn code(&self, redirect_uri: String, call: Option<&Call>) -> Issued {
        let code = self.token(Kind::Code, fake_id(), call, self.config.outbound.code_seconds);
        let subject = Some(Uuid::new_v4().to_string());
        Issued { subject, redirect_uri: Some(redirect_uri), ..code }
    }

    pub(crate) fn spend(&mut self, kind: Kind, value: &str, call: &Call) {
        let spent = self.usage(call);
        if let Some(issued) = self.ledger.issued_mut(kind, value) {
            issued.spent.get_or_insert(spent);
        }
    }

    pub(crate) fn usage(&self, call: &Call) -> Usage {
        Usage { at: self.now(), by: call.number }
    }
}

/// Returns a random value with the prefix `emu_`, which Flinks never uses.
pub(crate) fn fake_id() -> String {
    format!("emu_{}", Uuid::new_v4())
}
