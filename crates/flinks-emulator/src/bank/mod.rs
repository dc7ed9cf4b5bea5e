//! The banks: their users, and the rules for logging in. The default is FlinksCapital, the bank in
//! Flinks' sandbox. A scenario can replace it.

mod data;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

pub(crate) use self::data::{Account, Bank, Question, Transaction, User, parse_timestamp, rfc3339};

/// A Connect error: `{HttpStatusCode, Message, FlinksCode}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message }
    }
}

/// The refusal from a bank that is unavailable.
pub(crate) const UNAVAILABLE: Refusal = Refusal::new(401, "RETRY_LATER", "The bank is unavailable");

/// The answers, keyed by prompt.
pub(crate) type Responses = BTreeMap<String, Vec<String>>;

/// The next step of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoginStep {
    LoggedIn,
    /// The bank asks the security question with this index.
    Questioned(usize),
}

/// The position of a bank in [`Banks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BankKey(usize);

/// The position of a user in [`Banks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserKey {
    pub(crate) bank: BankKey,
    user: usize,
}

/// All banks. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Banks(Arc<Vec<Bank>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DefaultFile {
    bank: Vec<Bank>,
}

impl Default for Banks {
    fn default() -> Self {
        static DEFAULT: LazyLock<Banks> = LazyLock::new(|| {
            // The test `the_default_data_is_valid` parses this file.
            let file = toml::from_str::<DefaultFile>(include_str!("default.toml"));
            Banks::new(file.map_or_else(|_| Vec::new(), |file| file.bank))
        });
        DEFAULT.clone()
    }
}

impl Banks {
    pub(crate) fn new(banks: Vec<Bank>) -> Self {
        Self(Arc::new(banks))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (BankKey, &Bank)> {
        self.0.iter().enumerate().map(|(index, bank)| (BankKey(index), bank))
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = (UserKey, &User)> {
        self.iter().flat_map(|(bank, data)| {
            data.users.iter().enumerate().map(move |(user, data)| (UserKey { bank, user }, data))
        })
    }

    pub(crate) fn bank(&self, BankKey(index): BankKey) -> Option<&Bank> {
        self.0.get(index)
    }

    pub(crate) fn user(&self, UserKey { bank, user }: UserKey) -> Option<&User> {
        self.bank(bank)?.users.get(user)
    }

    /// Returns a bank's name. In Connect, this name is the value of `Institution`.
    pub(crate) fn name(&self, bank: BankKey) -> &str {
        self.bank(bank).map_or("", |bank| bank.name.get_ref())
    }

    pub(crate) fn named(&self, name: &str) -> Option<BankKey> {
        self.find(|bank| bank.name.get_ref() == name)
    }

    /// Returns the bank with this name or institution id.
    pub(crate) fn institution(&self, name_or_id: &str) -> Option<BankKey> {
        self.named(name_or_id).or_else(|| self.find(|bank| bank.id.get_ref().to_string() == name_or_id))
    }

    pub(crate) fn provider(&self, id: &str) -> Option<BankKey> {
        self.find(|bank| bank.provider_id.get_ref() == id)
    }

    fn find(&self, is_wanted: impl Fn(&Bank) -> bool) -> Option<BankKey> {
        self.iter().find(|(_, bank)| is_wanted(bank)).map(|(key, _)| key)
    }

    /// Returns the user with this name at a bank.
    pub(crate) fn user_named(&self, bank: BankKey, username: &str) -> Option<UserKey> {
        let is_wanted = |(key, user): &(UserKey, &User)| key.bank == bank && user.username.get_ref() == username;
        self.users().find(is_wanted).map(|(key, _)| key)
    }

    /// Returns the users who can log in, ordered by bank. At each bank, users without security
    /// questions come first.
    pub(crate) fn able_users(&self) -> Vec<UserKey> {
        let mut able: Vec<_> = self.users().filter(|(_, user)| user.refusal.is_none()).collect();
        able.sort_by_key(|(key, user)| (key.bank, !user.questions.is_empty()));
        able.into_iter().map(|(key, _)| key).collect()
    }

    pub(crate) fn question(&self, user: UserKey, index: usize) -> Option<&Question> {
        self.user(user)?.questions.get(index).map(toml::Spanned::get_ref)
    }

    pub(crate) fn log_in(
        &self,
        bank: BankKey,
        username: &str,
        password: &str,
    ) -> Result<(UserKey, LoginStep), Refusal> {
        let unknown = Refusal::new(401, "INVALID_USERNAME", "The user name is unknown to the bank");
        let key = self.user_named(bank, username).ok_or(unknown)?;
        let user = self.user(key).ok_or(unknown)?;
        if user.password != password {
            return Err(Refusal::new(401, "INVALID_PASSWORD", "The bank rejected the password"));
        }
        Ok((key, self.log_in_again(key)?))
    }

    /// Logs in without a password, as Flinks does for an existing login.
    pub(crate) fn log_in_again(&self, key: UserKey) -> Result<LoginStep, Refusal> {
        let refusal = self.user(key).and_then(|user| user.refusal);
        match refusal {
            Some(refusal) => Err(refusal.refusal()),
            None if self.question(key, 0).is_some() => Ok(LoginStep::Questioned(0)),
            None => Ok(LoginStep::LoggedIn),
        }
    }

    /// Checks the answer to a question. The responses must contain exactly one answer, under a
    /// prompt that matches the question byte for byte.
    pub(crate) fn answer(&self, user: UserKey, index: usize, responses: &Responses) -> Result<LoginStep, Refusal> {
        let Some(question) = self.question(user, index) else { return Ok(LoginStep::LoggedIn) };
        if responses.keys().any(|prompt| *prompt != question.prompt) {
            return Err(Refusal::new(401, "QUESTION_NOT_FOUND", "A prompt does not match the bank's question"));
        }
        let Some([answer]) = responses.get(&question.prompt).map(Vec::as_slice) else {
            return Err(Refusal::new(401, "SECURITYRESPONSES_INCOMPLETE", "Each prompt must have exactly one answer"));
        };
        if *answer != question.answer {
            return Err(Refusal::new(401, "INVALID_SECURITY_RESPONSE", "The bank rejected the answer"));
        }
        let next = index.saturating_add(1);
        if self.question(user, next).is_none() {
            return Ok(LoginStep::LoggedIn);
        }
        Ok(LoginStep::Questioned(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::*;

    #[test]
    fn the_default_data_is_valid() {
        let file = toml::from_str::<DefaultFile>(include_str!("default.toml"));
        assert!(file.is_ok(), "{}", file.err().unwrap());
        let banks = Banks::default();
        let bank = banks.named(BANK).unwrap();
        assert_eq!(banks.institution(&BANK_ID.to_string()), Some(bank));
        assert_eq!(banks.provider(OUTBOUND_PROVIDER_ID), Some(bank));
        for user in [BANK_USER, BANK_USER_NO_MFA, BANK_USER_DISABLED, BANK_USER_UNAVAILABLE] {
            assert!(banks.user_named(bank, user).is_some(), "{user}");
        }
        assert_eq!(banks.able_users().first(), banks.user_named(bank, BANK_USER_NO_MFA).as_ref());
    }
}
