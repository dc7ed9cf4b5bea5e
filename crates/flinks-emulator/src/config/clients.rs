//! The users, customers and clients of an emulator. Each product has a main user, customer or
//! client, whose credentials are in the product's settings, and any number of additional ones.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ConnectConfig, OutboundConfig, PayConfig};

/// An additional user of Flinks Pay.
///
/// Each user has their own sessions and payment requests.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PayUser {
    /// The `Username`.
    pub username: String,
    /// The `Password`.
    pub password: String,
}

/// An additional customer of Flinks Connect.
///
/// Each customer has its own authorize tokens, logins and sessions.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectCustomer {
    /// The customer id, a GUID.
    pub customer_id: String,
    /// The secret key, which only `GenerateAuthorizeToken` accepts.
    pub secret_key: String,
    /// The API key, which only the data endpoints accept.
    pub api_key: String,
    /// The whitelisted origins for `redirectUrl` and `redirect_uri`. An empty list allows every
    /// origin.
    pub redirect_origins: Vec<String>,
}

/// An additional client of Flinks Outbound.
///
/// Each client has its own codes and tokens.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboundClient {
    /// The `client_id`.
    pub client_id: String,
    /// The `client_secret`.
    pub client_secret: String,
    /// The whitelisted redirect URIs. An empty list allows every URI.
    pub redirect_uris: Vec<String>,
}

impl PayUser {
    /// Creates a user with these credentials.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }
}

impl ConnectCustomer {
    /// Creates a customer with these credentials, an empty API key and no whitelist.
    pub fn new(customer_id: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { customer_id: customer_id.into(), secret_key: secret_key.into(), ..Self::default() }
    }
}

impl OutboundClient {
    /// Creates a client with these credentials and no whitelist.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into(), ..Self::default() }
    }
}

/// The user, customer or client that owns a token, session or login.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Party {
    /// The product's main user, customer or client. The id is not stored here, because a change to
    /// the configuration can replace it.
    #[default]
    Main,
    /// The additional user, customer or client with this id.
    Additional(String),
}

impl Party {
    /// Returns the id of an additional user, customer or client, or `None` for the main one.
    pub(crate) fn additional_id(&self) -> Option<&str> {
        match self {
            Self::Main => None,
            Self::Additional(id) => Some(id),
        }
    }
}

impl PayConfig {
    /// Returns the user with these credentials.
    pub(crate) fn user(&self, username: &str, password: &str) -> Option<Party> {
        if (username, password) == (&self.username, &self.password) {
            return Some(Party::Main);
        }
        let user = self.users.iter().find(|user| (username, password) == (&user.username, &user.password))?;
        Some(Party::Additional(user.username.clone()))
    }

    pub(super) fn has_distinct_users(&self) -> bool {
        are_distinct(std::iter::once(&self.username).chain(self.users.iter().map(|user| &user.username)))
    }
}

/// A Connect customer, either the main one or an additional one.
pub(crate) struct Customer<'a> {
    pub(crate) party: Party,
    id: &'a str,
    pub(crate) secret_key: &'a str,
    pub(crate) api_key: &'a str,
    pub(crate) redirect_origins: &'a [String],
}

impl ConnectConfig {
    pub(crate) fn customer(&self, id: &str) -> Option<Customer<'_>> {
        self.all_customers().find(|customer| customer.id.eq_ignore_ascii_case(id))
    }

    /// Returns the customer for a party, or `None` if the customer was removed from the
    /// configuration.
    pub(crate) fn customer_of(&self, party: &Party) -> Option<Customer<'_>> {
        self.all_customers().find(|customer| customer.party == *party)
    }

    /// Returns all customers, starting with the main one.
    pub(crate) fn all_customers(&self) -> impl Iterator<Item = Customer<'_>> {
        let main = Customer {
            party: Party::Main,
            id: &self.customer_id,
            secret_key: &self.secret_key,
            api_key: &self.api_key,
            redirect_origins: &self.redirect_origins,
        };
        let additional = self.customers.iter().map(|customer| Customer {
            party: Party::Additional(customer.customer_id.to_ascii_lowercase()),
            id: &customer.customer_id,
            secret_key: &customer.secret_key,
            api_key: &customer.api_key,
            redirect_origins: &customer.redirect_origins,
        });
        std::iter::once(main).chain(additional)
    }

    pub(super) fn has_distinct_customers(&self) -> bool {
        let ids: Vec<_> = self.all_customers().map(|customer| Uuid::parse_str(customer.id)).collect();
        ids.iter().all(Result::is_ok) && are_distinct(ids.iter().flatten())
    }
}

/// An Outbound client, either the main one or an additional one.
pub(crate) struct Client<'a> {
    pub(crate) party: Party,
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) redirect_uris: &'a [String],
}

impl OutboundConfig {
    pub(crate) fn client(&self, id: &str) -> Option<Client<'_>> {
        self.all_clients().find(|client| client.id == id)
    }

    /// Returns the client for a party, or `None` if the client was removed from the configuration.
    pub(crate) fn client_of(&self, party: &Party) -> Option<Client<'_>> {
        self.all_clients().find(|client| client.party == *party)
    }

    /// Returns all clients, starting with the main one.
    pub(crate) fn all_clients(&self) -> impl Iterator<Item = Client<'_>> {
        let main = Client {
            party: Party::Main,
            id: &self.client_id,
            secret: &self.client_secret,
            redirect_uris: &self.redirect_uris,
        };
        let additional = self.clients.iter().map(|client| Client {
            party: Party::Additional(client.client_id.clone()),
            id: &client.client_id,
            secret: &client.client_secret,
            redirect_uris: &client.redirect_uris,
        });
        std::iter::once(main).chain(additional)
    }

    pub(super) fn has_distinct_clients(&self) -> bool {
        are_distinct(self.all_clients().map(|client| client.id))
    }
}

fn are_distinct<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
