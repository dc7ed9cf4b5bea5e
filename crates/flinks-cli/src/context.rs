//! The clients and the store for the selected profile.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use flinks_consents::flinks::{ClientBuilder, connect, outbound, pay, tls};
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::store::{FileStore, ScanRecords};
use flinks_consents::{ConsentId, Consents, Event, ShutdownError};
use flinks_postgres::{PostgresStore, PostgresStoreBuilder};
use flinks_redis::{RedisStore, RedisStoreBuilder};

use crate::cli::Options;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::profile::{Folders, Profile, Section, StoreKind};

/// The input to every command: the program's options, and the clients for the selected profile.
pub(crate) struct Context {
    pub(crate) options: Options,
    /// The consents in use, whose changes must be completed before the program exits.
    consents: Mutex<Vec<Consents>>,
    profile: OnceLock<Profile>,
}

/// A consent store of any kind.
pub(crate) trait ConsentStore: WorkLeases + ScanRecords {}

impl<S: WorkLeases + ScanRecords> ConsentStore for S {}

/// A consent store with its concrete type.
pub(crate) enum OpenStore {
    File(FileStore),
    Redis(RedisStore),
    Postgres(PostgresStore),
}

impl OpenStore {
    pub(crate) fn into_dyn(self) -> Arc<dyn ConsentStore> {
        match self {
            Self::File(store) => Arc::new(store),
            Self::Redis(store) => Arc::new(store),
            Self::Postgres(store) => Arc::new(store),
        }
    }
}

impl Context {
    pub(crate) fn new(options: Options) -> Self {
        // Redis over TLS requires a default crypto provider.
        tls::install_default_crypto_provider();
        Self { options, consents: Mutex::default(), profile: OnceLock::new() }
    }

    /// Returns the selected profile.
    ///
    /// # Errors
    ///
    /// Returns a failure if the configuration file is invalid or does not contain the profile.
    pub(crate) fn profile(&self) -> Result<&Profile, Failure> {
        if let Some(profile) = self.profile.get() {
            return Ok(profile);
        }
        let profile = self.open_profile(self.options.profile())?;
        Ok(self.profile.get_or_init(|| profile))
    }

    /// Opens another profile, such as the destination of a migration.
    pub(crate) fn open_profile(&self, name: Option<&str>) -> Result<Profile, Failure> {
        Profile::open(Folders::find()?, name)
    }

    pub(crate) fn pay(&self) -> Result<pay::Client, Failure> {
        Ok(self.profile()?.builder::<ClientBuilder<pay::Client>>(Section::Pay)?.build()?)
    }

    pub(crate) fn connect(&self) -> Result<connect::Client, Failure> {
        Ok(self.profile()?.builder::<ClientBuilder<connect::Client>>(Section::Connect)?.build()?)
    }

    pub(crate) fn outbound(&self) -> Result<outbound::Client, Failure> {
        Ok(self.profile()?.builder::<ClientBuilder<outbound::Client>>(Section::Outbound)?.build()?)
    }

    /// Opens the selected profile's store and prints the warnings about the store's configuration.
    pub(crate) async fn store(&self) -> Result<Arc<dyn ConsentStore>, Failure> {
        let store = open_store(self.profile()?)?;
        warn_about(&store).await;
        Ok(store.into_dyn())
    }

    /// Like [`store`](Self::store), but fails if the folder of a file store is missing, for example
    /// because a volume is not mounted.
    pub(crate) async fn existing_store(&self) -> Result<Arc<dyn ConsentStore>, Failure> {
        let profile = self.profile()?;
        match profile.store_kind()? {
            StoreKind::File => {
                Ok(OpenStore::File(FileStore::options().must_exist().open(profile.store_folder()?)?).into_dyn())
            }
            StoreKind::Redis | StoreKind::Postgres => self.store().await,
        }
    }

    /// Returns the consents in the selected profile's store.
    pub(crate) async fn consents(&self) -> Result<(Consents, Arc<dyn ConsentStore>), Failure> {
        self.consents_with_events(|_, _| {}).await
    }

    /// Like [`consents`](Self::consents), with a callback for events.
    pub(crate) async fn consents_with_events(
        &self,
        on_event: impl Fn(&ConsentId, &Event) + Send + Sync + 'static,
    ) -> Result<(Consents, Arc<dyn ConsentStore>), Failure> {
        let client = self.outbound()?;
        let store = self.store().await?;
        let consents = Consents::builder(client).store(Arc::clone(&store)).on_event(on_event).build();
        self.consents.lock().unwrap_or_else(PoisonError::into_inner).push(consents.clone());
        Ok((consents, store))
    }

    /// Returns whether the command uses consents, in which case changes may be in flight.
    pub(crate) fn has_consents(&self) -> bool {
        !self.consents.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Completes the in-flight changes to consents. A refresh takes at most as long as its request
    /// timeout, and storing its result takes a few seconds.
    ///
    /// # Errors
    ///
    /// Returns a failure if a change could not be stored.
    pub(crate) async fn shutdown(&self) -> Result<(), Failure> {
        const TIME_TO_STORE: Duration = Duration::from_secs(15);
        let open = std::mem::take(&mut *self.consents.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        for consents in open {
            let limit = consents.client().timeout().saturating_add(TIME_TO_STORE);
            if let Err(error) = consents.shutdown(limit).await {
                outcome = Err(shutdown_failure(&error));
            }
        }
        outcome
    }
}

fn shutdown_failure(error: &ShutdownError) -> Failure {
    let ids: Vec<&str> = error.unstored().iter().map(ConsentId::as_str).collect();
    let failure = Failure::new(error.to_string()).with_exit(Exit::Failed);
    if ids.is_empty() {
        return failure;
    }
    failure.with_next(format!("the end users of these consents must consent again: {}", ids.join(", ")))
}

/// Opens a profile's store.
///
/// # Errors
///
/// Returns a failure if the store's configuration is invalid, or if the store's folder cannot be
/// used.
pub(crate) fn open_store(profile: &Profile) -> Result<OpenStore, Failure> {
    let invalid = |error: String| {
        Failure::configuration(format!("store: {error}"))
            .with_next(format!("run {}", crate::shell::command("doctor store")))
    };
    match profile.store_kind()? {
        StoreKind::File => {
            let folder = profile.store_folder()?;
            Ok(OpenStore::File(FileStore::open(folder)?))
        }
        StoreKind::Redis => {
            let builder: RedisStoreBuilder = profile.builder(Section::Store)?;
            Ok(OpenStore::Redis(builder.build().map_err(|error| invalid(error.to_string()))?))
        }
        StoreKind::Postgres => {
            let builder: PostgresStoreBuilder = profile.builder(Section::Store)?;
            Ok(OpenStore::Postgres(builder.build().map_err(|error| invalid(error.to_string()))?))
        }
    }
}

/// Prints the warnings about a server's configuration. If the server cannot be reached, the command
/// itself reports the error.
pub(crate) async fn warn_about(store: &OpenStore) {
    let warnings: Vec<String> = match store {
        OpenStore::File(_) => Vec::new(),
        OpenStore::Redis(store) => store.warnings().await.unwrap_or_default().iter().map(ToString::to_string).collect(),
        OpenStore::Postgres(store) => {
            store.warnings().await.unwrap_or_default().iter().map(ToString::to_string).collect()
        }
    };
    for warning in warnings {
        output::warning(&warning);
    }
}
