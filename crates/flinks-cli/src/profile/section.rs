//! The sections of a profile and their fields.

use flinks_consents::flinks::{ClientBuilder, connect, outbound, pay};
use flinks_postgres::PostgresStoreBuilder;
use flinks_redis::RedisStoreBuilder;

/// A section of a profile, with settings for one of the crates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Pay,
    Connect,
    Outbound,
    Store,
}

impl Section {
    pub(crate) const ALL: [Self; 4] = [Self::Pay, Self::Connect, Self::Outbound, Self::Store];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Connect => "connect",
            Self::Outbound => "outbound",
            Self::Store => "store",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }

    /// Returns the fields that are secrets and are therefore not stored in `config.toml`. The
    /// store's address is one of these fields, because it may contain a password.
    pub(crate) fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Pay => &["password"],
            Self::Connect => &["secret_key"],
            Self::Outbound => &["client_secret"],
            Self::Store => &["url", "name_key", "keys"],
        }
    }

    pub(crate) fn is_secret(self, field: &str) -> bool {
        self.secrets().contains(&field)
    }

    /// Returns the names of all fields. The fields of a store depend on its kind.
    pub(crate) fn fields(self, store: StoreKind) -> Vec<&'static str> {
        let mut fields: Vec<&str> = self.variables(store).into_iter().map(|(field, _)| field).collect();
        if self == Self::Store {
            fields.push("kind");
            if store == StoreKind::File {
                fields.push("path");
            }
        }
        fields
    }

    /// Returns the name of each field, along with its environment variable.
    pub(crate) fn variables(self, store: StoreKind) -> Vec<(&'static str, &'static str)> {
        match (self, store) {
            (Self::Pay, _) => ClientBuilder::<pay::Client>::variables().collect(),
            (Self::Connect, _) => ClientBuilder::<connect::Client>::variables().collect(),
            (Self::Outbound, _) => ClientBuilder::<outbound::Client>::variables().collect(),
            (Self::Store, StoreKind::File) => Vec::new(),
            (Self::Store, StoreKind::Redis) => RedisStoreBuilder::variables().collect(),
            (Self::Store, StoreKind::Postgres) => PostgresStoreBuilder::variables().collect(),
        }
    }
}

/// The kind of a consent store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StoreKind {
    File,
    Redis,
    Postgres,
}

impl StoreKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::File, Self::Redis, Self::Postgres].into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the kind whose address is set in the environment, or `File`.
    pub(crate) fn from_environment() -> Self {
        if std::env::var_os("FLINKS_POSTGRES_URL").is_some() {
            return Self::Postgres;
        }
        if std::env::var_os("FLINKS_REDIS_URL").is_some() {
            return Self::Redis;
        }
        Self::File
    }
}
