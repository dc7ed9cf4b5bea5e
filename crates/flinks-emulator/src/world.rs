//! All that an emulator knows, and the one door from operations to their rules. Nothing about sockets is here.

use std::time::Duration;

use hyper::StatusCode;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Config;
use crate::credentials::{OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN};
use crate::fault::Plan;
use crate::http::{Call, Reply};
use crate::ledger::{Issued, Kind, Ledger, Use};
use crate::{Operation, connect, outbound, pay};

pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Plan,
    pub(crate) pay: pay::State,
    pub(crate) connect: connect::State,
    pub(crate) outbound: outbound::State,
    /// How often everything was forgotten.
    pub(crate) resets: u64,
    /// Whether the token that is issued next is the one of the time before: the fault of that name.
    repeats_token: bool,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let mut world = Self {
            connect: connect::State::new(&config),
            clock: Clock::new(config.frozen_clock),
            config,
            ledger: Ledger::default(),
            faults: Plan::default(),
            pay: pay::State::default(),
            outbound: outbound::State::default(),
            resets: 0,
            repeats_token: false,
        };
        let subject = Uuid::new_v4().to_string();
        let code_life = world.config.outbound.code_seconds;
        let code = world.token(Kind::Code, OUTBOUND_CODE.into(), None, code_life);
        let redirect_uri = Some(OUTBOUND_REDIRECT_URI.into());
        world.issue(Issued { subject: Some(subject.clone()), redirect_uri, ..code });
        let idle = world.config.outbound.refresh_token_idle_seconds;
        let refresh_token = world.token(Kind::RefreshToken, OUTBOUND_REFRESH_TOKEN.into(), None, idle);
        world.issue(Issued { subject: Some(subject), ..refresh_token });
        world
    }

    /// Forgets everything but the configuration and how many requests there were, so that a request that is under way is
    /// not taken for another.
    pub(crate) fn reset(&mut self) {
        let (numbered, resets) = (self.ledger.numbered(), self.resets);
        *self = Self::new(self.config.clone());
        self.ledger.number_on(numbered);
        self.resets = resets.wrapping_add(1);
    }

    /// Answers a request by the rules.
    pub(crate) fn process(&mut self, operation: Operation, call: &Call, repeats_token: bool) -> Reply {
        self.repeats_token = repeats_token;
        let reply = self.answer(operation, call);
        self.repeats_token = false;
        reply
    }

    fn answer(&mut self, operation: Operation, call: &Call) -> Reply {
        if let Some(request) = self.ledger.request_mut(call.number) {
            request.processed = true;
        }
        match operation {
            Operation::PayAuthorize => pay::authorize(self, call),
            Operation::PayInitiateSession => pay::initiate_session(self, call),
            Operation::PayCreatePaymentRequest => pay::create_payment_request(self, call),
            Operation::PayGetPaymentRequest => pay::get_payment_request(self, call),
            Operation::ConnectGenerateAuthorizeToken => connect::generate_authorize_token(self, call),
            Operation::ConnectAuthorize => connect::authorize(self, call),
            Operation::ConnectIframe => connect::iframe(self, call),
            Operation::ConnectIframeStep => connect::iframe_step(self, call),
            Operation::ConnectOAuthAuthorize => connect::oauth_authorize(self, call),
            Operation::ConnectOAuthStep => connect::oauth_step(self, call),
            Operation::OutboundAuthorize => outbound::authorize(self, call),
            Operation::OutboundAuthorizeStep => outbound::authorize_step(self, call),
            Operation::OutboundToken => outbound::token(self, call),
            Operation::OutboundRevoke => outbound::revoke(self, call),
            Operation::OutboundAccounts => outbound::accounts(self, call),
        }
    }

    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.clock.set_frozen(self.config.frozen_clock);
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// A token that is issued now and lives for so many seconds, before it is entered with [`issue`](Self::issue).
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
        }
    }

    /// Enters a token into the ledger and hands it out; or, by the fault of that name, the one of the time before.
    pub(crate) fn issue(&mut self, token: Issued) -> String {
        if self.repeats_token
            && token.kind != Kind::RefreshToken
            && let Some(newest) = self.ledger.newest(token.kind)
        {
            return newest.clone();
        }
        self.ledger.issue(token, self.config.limits.tokens)
    }

    pub(crate) fn spend(&mut self, kind: Kind, value: &str, call: &Call) {
        let spent = self.stamp(call);
        if let Some(issued) = self.ledger.issued_mut(kind, value) {
            issued.spent.get_or_insert(spent);
        }
    }

    pub(crate) fn stamp(&self, call: &Call) -> Use {
        Use { at: self.now(), by: call.number }
    }
}

/// A value that no real Flinks issues.
pub(crate) fn made_up() -> String {
    format!("emu_{}", Uuid::new_v4())
}

/// What Flinks does not document: the answer to a body that is no object, and the like.
pub(crate) fn bad_request(message: &str) -> Reply {
    Reply::problem(StatusCode::BAD_REQUEST, message)
}
