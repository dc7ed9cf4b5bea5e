//! Stores a new consent along with its owner and label and, on request, revokes the replaced
//! consent's connection.

use std::time::SystemTime;

use flinks::outbound::{AccessToken, AuthorizationCode, RefreshToken, Tokens};
use flinks::{Refusal, SpendError};

use crate::cached_token::CachedToken;
use crate::consent::Consent;
use crate::error::ConsentError;
use crate::event::Event;
use crate::metrics::StoreCall;
use crate::refresh::stored_token;
use crate::runtime;
use crate::shared_token::Source as _;
use crate::store::{End, EndReason, OwnerId, Page, Record, Standing, StoredToken};

/// A builder for a new consent, created by [`Consents::new_consent`](crate::Consents::new_consent).
///
/// ```no_run
/// # use flinks_consents::flinks::outbound::AuthorizationCode;
/// # use flinks_consents::{ConsentId, Consents, OwnerId, Replaced};
/// # async fn back(consents: Consents, id: ConsentId, owner: OwnerId, code: AuthorizationCode) -> Result<(), Box<dyn std::error::Error>> {
/// let stored = consents.new_consent(&id).owner(owner).label("My bank").revoke_replaced().exchange_code(code).await?;
/// if let Replaced::Failed(error) = stored.replaced {
///     println!("the old connection may still exist: {error}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is stored until `exchange_code` or `import` is called"]
pub struct NewConsent {
    consent: Consent,
    owner: Option<OwnerId>,
    label: Option<Box<str>>,
    on_replaced: OnReplaced,
}

/// Whether to revoke the replaced consent's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnReplaced {
    Keep,
    Revoke,
}

/// The result of storing a new consent.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "`replaced` reports whether the old connection may still exist"]
pub struct StoredConsent {
    /// The new consent.
    pub consent: Consent,
    /// Whether the replaced consent's connection was revoked.
    pub replaced: Replaced,
}

/// Whether a replaced consent's connection was revoked and, if not, why not.
#[derive(Debug)]
#[non_exhaustive]
pub enum Replaced {
    /// The new consent did not replace a stored consent.
    Nothing,
    /// The connection still exists, because [`NewConsent::revoke_replaced`] was not called.
    Kept,
    /// Flinks has ended the connection.
    Revoked,
    /// The connection had already ended.
    AlreadyEnded,
    /// The old consent has the same subject as the new consent or as another consent that belongs
    /// to the same owner. Revoking the old token would therefore also end a connection that is
    /// still in use, so nothing was revoked. ([O10](flinks::rules))
    SameSubject,
    /// Nothing was revoked, because the tokens do not show whether both consents belong to the same
    /// end user at the same provider.
    UnknownSubject,
    /// The connection could not be revoked, so it may still exist.
    Failed(ConsentError),
}

impl NewConsent {
    pub(crate) fn new(consent: Consent) -> Self {
        Self { consent, owner: None, label: None, on_replaced: OnReplaced::Keep }
    }

    /// Sets the consent's owner. Use [`Consents::list`](crate::Consents::list) to list an owner's
    /// consents. Default: the owner of the replaced consent.
    pub fn owner(mut self, owner: OwnerId) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Sets a label for the consent, such as the bank's name. A store that encrypts its records
    /// also encrypts the label. Default: the label of the replaced consent.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into().into_boxed_str());
        self
    }

    /// Revokes the replaced consent's connection once the new consent is stored.
    ///
    /// A revocation ends the end user's entire connection to a provider. Therefore, nothing is
    /// revoked in the following cases, and [`StoredConsent::replaced`] reports which one applies:
    ///
    /// - The old access token has the same `sub` as the new access token or as the access token of
    ///   another consent that belongs to the same owner.
    /// - The `sub` of the old or the new access token is unknown.
    ///
    /// Nor is anything revoked if the new consent cannot be stored immediately.
    /// ([O10](flinks::rules))
    pub fn revoke_replaced(mut self) -> Self {
        self.on_replaced = OnReplaced::Revoke;
        self
    }

    /// Exchanges an authorization code for tokens and stores them. Any consent that is already
    /// stored under this id is replaced. The code is sent only once. ([O9](flinks::rules))
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Consents::exchange_code`](crate::Consents::exchange_code). If
    /// the old connection cannot be revoked, this method still succeeds and reports
    /// [`Replaced::Failed`].
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the exchange still completes and its result is stored. If
    /// [`revoke_replaced`](Self::revoke_replaced) was called, the revocation is still attempted as
    /// well.
    pub async fn exchange_code(
        self,
        code: AuthorizationCode,
    ) -> Result<StoredConsent, SpendError<AuthorizationCode, ConsentError>> {
        let shared = std::sync::Arc::clone(&self.consent.shared);
        let runtime = match runtime::current(shared.clock().as_ref()) {
            Ok(runtime) => runtime,
            Err(error) => return Err(SpendError::Unspent(code, error)),
        };
        let outcome = shared.run_in_task(&runtime, async move { self.exchange(code).await }).await;
        outcome.unwrap_or_else(|| Err(SpendError::Unknown(ConsentError::abandoned().with_unknown_outcome())))
    }

    /// Imports a refresh token that you stored elsewhere, as
    /// [`Consents::import`](crate::Consents::import) does. Nothing is revoked.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails. In that case, the consent is kept in memory until a
    /// later call stores it.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the import still completes.
    pub async fn import(
        self,
        refresh_token: RefreshToken,
        last_refreshed_at: SystemTime,
    ) -> Result<Consent, ConsentError> {
        let shared = std::sync::Arc::clone(&self.consent.shared);
        let import = async move {
            let now = self.consent.shared.clock().wall();
            let record = self.record(refresh_token, now, last_refreshed_at);
            self.consent.store_new_consent(record, None).await?;
            Ok(self.consent)
        };
        shared.run_store_task(import).await
    }

    async fn exchange(
        self,
        code: AuthorizationCode,
    ) -> Result<StoredConsent, SpendError<AuthorizationCode, ConsentError>> {
        let shared = &self.consent.shared;
        let now = shared.clock().wall();
        // Load the old consent before the code is spent, because storing the new consent replaces
        // the old record.
        let old = match self.on_replaced {
            OnReplaced::Keep => None,
            OnReplaced::Revoke => match self.consent.current_record().await {
                Ok(old) => old,
                Err(error) => return Err(SpendError::Unspent(code, error)),
            },
        };
        let tokens = shared.client.exchange_code(code).await;
        let Tokens { access_token, refresh_token, .. } = tokens.map_err(|error| match error {
            SpendError::Unknown(error) => SpendError::Unknown(ConsentError::from(error).with_unknown_outcome()),
            error => error.map_error(ConsentError::from),
        })?;
        let Some(refresh_token) = refresh_token else {
            return Err(SpendError::Spent(ConsentError::no_refresh_token()));
        };
        let record = Record { access_token: stored_token(&access_token), ..self.record(refresh_token, now, now) };
        let grant = record.grant;
        let cached = CachedToken::new(access_token.clone(), Some(grant), shared.clock().as_ref());
        let stored = self.consent.store_new_consent(record, Some(cached)).await;
        let has_replaced = stored.map_err(|error| SpendError::Spent(error.after_sending()))?;
        self.consent.emit(&Event::Refreshed { expires_at: access_token.expires_at() });
        let replaced = match (self.on_replaced, old) {
            (OnReplaced::Revoke, Some(old)) => self.revoke_unless_ended(&old, &access_token, grant).await,
            (OnReplaced::Revoke, None) => Replaced::Nothing,
            (OnReplaced::Keep, _) if has_replaced => Replaced::Kept,
            (OnReplaced::Keep, _) => Replaced::Nothing,
        };
        Ok(StoredConsent { consent: self.consent, replaced })
    }

    fn record(&self, refresh_token: RefreshToken, now: SystemTime, refreshed_at: SystemTime) -> Record {
        let record = self.consent.new_record(refresh_token, now, refreshed_at);
        Record { owner: self.owner.clone(), label: self.label.clone(), ..record }
    }

    async fn revoke_unless_ended(&self, old: &Record, new: &AccessToken, grant: u64) -> Replaced {
        match old.standing {
            Standing::Ended(Some(End { reason: EndReason::Refused | EndReason::Idle, .. })) => Replaced::AlreadyEnded,
            _ if old.idle_deadline() <= self.consent.shared.clock().wall() => Replaced::AlreadyEnded,
            _ => self.revoke(old, new, grant).await,
        }
    }

    /// Revokes the old consent's connection, unless another stored consent might use the same
    /// connection.
    async fn revoke(&self, old: &Record, new: &AccessToken, grant: u64) -> Replaced {
        let client = &self.consent.shared.client;
        let Some(old_subject) = self.subject_of_record(old).await else { return Replaced::UnknownSubject };
        let Some(new_subject) = subject(new) else { return Replaced::UnknownSubject };
        if old_subject == new_subject {
            return Replaced::SameSubject;
        }
        match self.is_stored_elsewhere(&old_subject, grant).await {
            Ok(false) => {}
            Ok(true) => return Replaced::SameSubject,
            Err(error) => return Replaced::Failed(error),
        }
        match self.token_of(old).await {
            // This token might not belong to the same connection as the last stored token.
            Ok(token) if subject(&token).as_ref() != Some(&old_subject) => Replaced::UnknownSubject,
            Ok(token) => match client.revoke(&token).await {
                Ok(()) => Replaced::Revoked,
                Err(error) => Replaced::Failed(error.into()),
            },
            Err(replaced) => replaced,
        }
    }

    /// Returns the subject of the stored access token, even if the token has expired.
    async fn subject_of_record(&self, record: &Record) -> Option<String> {
        let StoredToken { secret, lifetime, .. } = record.access_token.as_deref()?;
        let shared = &self.consent.shared;
        // The token is restored only to read its claims, so its age does not matter.
        let token = shared.client.restore_access_token(secret.clone(), shared.clock().wall(), *lifetime)?;
        subject(&token)
    }

    /// Returns whether another stored consent has the subject `old_subject`. Checks the first page
    /// of the owner's other consents and, if the end user has authorized again since the exchange,
    /// the consent that is now stored under this id.
    async fn is_stored_elsewhere(&self, old_subject: &str, grant: u64) -> Result<bool, ConsentError> {
        let shared = &self.consent.shared;
        let Some(current) = self.consent.current_record().await? else { return Ok(false) };
        let mut others = Vec::new();
        if let Some(owner) = &current.owner {
            others = shared.call_store(StoreCall::List, |store| store.list(owner, &FIRST_SIBLINGS)).await?;
            others.retain(|other| other.id != current.id);
        }
        // The end user has authorized again since the exchange.
        if current.grant != grant {
            others.push(current);
        }
        for other in &others {
            if self.subject_of_record(other).await.as_deref() == Some(old_subject) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns an access token for the old consent: either the stored token or one from a new
    /// refresh.
    async fn token_of(&self, old: &Record) -> Result<AccessToken, Replaced> {
        let shared = &self.consent.shared;
        if let Some(StoredToken { secret, issued_at, lifetime }) = old.access_token.as_deref()
            && let Some(token) = shared.client.restore_access_token(secret.clone(), *issued_at, *lifetime)
        {
            return Ok(token);
        }
        match shared.client.refresh(&old.refresh_token).await {
            Ok(tokens) => Ok(tokens.access_token),
            Err(error) if error.refusal() == Some(Refusal::Final) => Err(Replaced::AlreadyEnded),
            Err(error) => Err(Replaced::Failed(error.into())),
        }
    }
}

/// The first page of an owner's consents. Their subjects are compared with the old consent's
/// subject before a connection is revoked.
const FIRST_SIBLINGS: Page = Page { after: None, limit: 1000 };

fn subject(token: &AccessToken) -> Option<String> {
    token.unverified_claims().and_then(|claims| claims.sub)
}
