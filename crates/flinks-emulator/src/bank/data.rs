//! The banks' data, as described in a TOML file: users, security questions, accounts and
//! transactions.
//!
//! A name that must be unique, or that a step refers to, is [`Spanned`], so that an error can state
//! the line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::Refusal;
use crate::credentials::BANK_PASSWORD;

/// A bank and its users.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bank {
    pub(crate) name: Spanned<String>,
    /// The institution id that Connect uses.
    pub(crate) id: Spanned<u32>,
    /// The `provider_id` that Outbound uses.
    pub(crate) provider_id: Spanned<String>,
    #[serde(default)]
    pub(crate) colour: Colour,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
}

/// The colour of a bank's pages. The stylesheet has one class for each colour.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Colour {
    #[default]
    Blue,
    Green,
    Purple,
    Red,
    Teal,
}

impl Colour {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Purple => "purple",
            Self::Red => "red",
            Self::Teal => "teal",
        }
    }
}

/// A person who has a login at a bank.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) username: Spanned<String>,
    #[serde(default = "default_password")]
    pub(crate) password: String,
    /// The error with which the bank refuses every login by this user, if any.
    #[serde(default)]
    pub(crate) refusal: Option<UserRefusal>,
    /// The security questions, in the order in which the end user sees them.
    #[serde(default, rename = "question")]
    pub(crate) questions: Vec<Spanned<Question>>,
    #[serde(default, rename = "account")]
    pub(crate) accounts: Vec<Account>,
}

fn default_password() -> String {
    BANK_PASSWORD.to_owned()
}

/// The `FlinksCode` with which a bank refuses every login by a user.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum UserRefusal {
    AlreadyAuthorized,
    CardInUse,
    ConcurrentSession,
    DisabledLogin,
    NewAccount,
    RetryLater,
    Unauthorized,
}

impl UserRefusal {
    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::AlreadyAuthorized => {
                Refusal::new(400, "ALREADY_AUTHORIZED", "The end user has already authorized this login")
            }
            Self::CardInUse => Refusal::new(400, "CARD_IN_USE", "The login is in use by another request"),
            Self::ConcurrentSession => {
                Refusal::new(400, "CONCURRENT_SESSION", "The end user is logged in to the bank elsewhere")
            }
            Self::DisabledLogin => Refusal::new(401, "DISABLED_LOGIN", "The bank has disabled the login"),
            Self::NewAccount => {
                Refusal::new(401, "NEW_ACCOUNT", "The end user must first activate the login at the bank")
            }
            Self::RetryLater => super::UNAVAILABLE,
            Self::Unauthorized => Refusal::new(401, "UNAUTHORIZED", "The bank refused the login"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) prompt: String,
    /// The prompt on a French page. JSON responses always contain `prompt`.
    #[serde(default)]
    pub(crate) prompt_fr: Option<String>,
    /// The possible answers, or an empty list if the answer is free text.
    #[serde(default)]
    pub(crate) choices: Vec<String>,
    /// The possible answers on a French page, in the same order as `choices`.
    #[serde(default)]
    pub(crate) choices_fr: Vec<String>,
    pub(crate) answer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) id: Spanned<String>,
    #[serde(rename = "type")]
    pub(crate) kind: AccountType,
    pub(crate) name: String,
    /// The account number.
    pub(crate) number: String,
    /// The number of the branch.
    #[serde(default)]
    pub(crate) transit_number: Option<String>,
    #[serde(default = "default_currency")]
    pub(crate) currency: String,
    #[serde(deserialize_with = "money")]
    pub(crate) balance: f64,
    #[serde(default, rename = "transaction")]
    pub(crate) transactions: Vec<Spanned<Transaction>>,
}

fn default_currency() -> String {
    "CAD".to_owned()
}

/// The `accountType` of an account in the FDX format.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum AccountType {
    Checking,
    Savings,
    CreditCard,
    LineOfCredit,
}

impl Account {
    /// Returns the transactions with their times, newest first. `loaded_at` is the time at which the
    /// scenario was loaded.
    pub(crate) fn transactions_at(&self, loaded_at: Duration) -> Vec<(Duration, &Transaction)> {
        let with_time = |transaction| (Transaction::posted_at(transaction, loaded_at), transaction);
        let mut found: Vec<_> = self.transactions.iter().map(Spanned::get_ref).map(with_time).collect();
        found.sort_by_key(|(posted, _)| std::cmp::Reverse(*posted));
        found
    }
}

impl AccountType {
    /// Returns the type of the account in Connect's `GetAccountsDetail`.
    pub(crate) fn connect_name(self) -> &'static str {
        match self {
            Self::Checking => "Chequing",
            Self::Savings => "Savings",
            Self::CreditCard => "CreditCard",
            Self::LineOfCredit => "LineOfCredit",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Checking => "CHECKING",
            Self::Savings => "SAVINGS",
            Self::CreditCard => "CREDITCARD",
            Self::LineOfCredit => "LINEOFCREDIT",
        }
    }

    /// Returns whether the account's balance is an amount that the end user owes.
    pub(crate) fn is_credit(self) -> bool {
        matches!(self, Self::CreditCard | Self::LineOfCredit)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    /// The age of the transaction, in days, when the scenario is loaded.
    #[serde(default)]
    pub(crate) days_ago: Option<u32>,
    /// The time of the transaction in RFC 3339 format, such as `2026-01-31T12:00:00Z`.
    #[serde(default, deserialize_with = "timestamp")]
    pub(crate) posted: Option<Duration>,
    pub(crate) description: String,
    /// The amount, which is negative for a debit.
    #[serde(deserialize_with = "money")]
    pub(crate) amount: f64,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Transaction {
    /// Returns the time of the transaction as a duration since the Unix epoch. `loaded_at` is the
    /// time at which the scenario was loaded.
    pub(crate) fn posted_at(&self, loaded_at: Duration) -> Duration {
        let age = DAY.saturating_mul(self.days_ago.unwrap_or_default());
        self.posted.unwrap_or_else(|| loaded_at.saturating_sub(age))
    }
}

fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let amount = f64::deserialize(deserializer)?;
    if !amount.is_finite() {
        return Err(serde::de::Error::custom("an amount must be a finite number"));
    }
    Ok(amount)
}

fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_timestamp(&text)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("`posted` must be a time such as 2026-01-31T12:00:00Z, in quotes"))
}

/// Formats a time as an RFC 3339 timestamp in UTC with milliseconds. Returns `None` for a time
/// after the year 9999.
pub(crate) fn rfc3339(time: Duration) -> Option<String> {
    let time = UNIX_EPOCH.checked_add(time).filter(|_| time.as_secs() < YEAR_10000)?;
    Some(humantime::format_rfc3339_millis(time).to_string())
}

/// The first second of the year 10000.
const YEAR_10000: u64 = 253_402_300_800;

/// Parses an RFC 3339 timestamp at or after the Unix epoch.
pub(crate) fn parse_timestamp(text: &str) -> Option<Duration> {
    let time: SystemTime = humantime::parse_rfc3339(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok()
}
