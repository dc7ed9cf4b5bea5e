//! The pages' text in English. The `french` module contains the French text.
//!
//! `{bank}`, `{client}`, `{number}` and `{count}` are replaced with values.

use super::french::FRENCH;
use crate::http::Fields;

/// How a page is shown: the `language` and `theme` parameters of the request that opened it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    pub(crate) language: Language,
    pub(crate) theme: Theme,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    #[default]
    English,
    French,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Theme {
    /// The theme that the browser prefers.
    #[default]
    System,
    Light,
    Dark,
}

impl Look {
    /// Reads the parameters. In custom OAuth, the language parameter is called `lang`. An unknown
    /// value has no effect.
    pub(crate) fn from_query(query: &Fields<String>) -> Self {
        let language = query.text("language").or(query.text("lang")).unwrap_or_default();
        let language = match language.split(['-', '_']).next() {
            Some(name) if name.eq_ignore_ascii_case("fr") => Language::French,
            _ => Language::English,
        };
        let theme = match query.text("theme") {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::System,
        };
        Self { language, theme }
    }

    pub(crate) fn text(self) -> &'static Text {
        match self.language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }
}

impl Language {
    /// Returns the value of the `lang` attribute.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }
}

impl Theme {
    /// Returns the value of the `data-theme` attribute, if any.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

/// The page text in one language.
pub(crate) struct Text {
    pub(super) fictitious: &'static str,
    pub(super) emulator: &'static str,
    pub(super) progress: &'static str,
    pub(super) step_bank: &'static str,
    pub(super) step_login: &'static str,
    pub(super) step_questions: &'static str,
    pub(super) step_consent: &'static str,
    pub(super) step_done: &'static str,
    pub(super) return_to: &'static str,
    pub(super) back: &'static str,
    pub(super) cancel: &'static str,
    pub(super) continue_: &'static str,
    pub(super) test_data: &'static str,
    pub(super) choose_title: &'static str,
    pub(super) choose_lead: &'static str,
    pub(super) login_title: &'static str,
    pub(super) login_lead: &'static str,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
    pub(super) log_in: &'static str,
    pub(super) login_hint: &'static str,
    pub(super) hint_password: &'static str,
    pub(super) hint_questions: &'static str,
    pub(super) hint_refused: &'static str,
    pub(super) question_title: &'static str,
    pub(super) question_count: &'static str,
    pub(super) answer: &'static str,
    pub(super) answer_hint: &'static str,
    pub(super) connected_title: &'static str,
    pub(super) connected_lead: &'static str,
    pub(super) cancelled_title: &'static str,
    pub(super) cancelled_lead: &'static str,
    pub(super) start_over: &'static str,
    pub(super) return_without: &'static str,
    pub(super) complete_title: &'static str,
    pub(super) complete_lead: &'static str,
    pub(super) consent_title: &'static str,
    pub(super) consent_lead: &'static str,
    pub(super) consent_user: &'static str,
    pub(super) consent_revoke: &'static str,
    pub(super) agree: &'static str,
    pub(super) refuse: &'static str,
    pub(super) refused_title: &'static str,
    pub(super) refused_lead: &'static str,
    pub(super) next_title: &'static str,
    pub(super) next_application: &'static str,
    pub(super) next_window: &'static str,
    pub(super) next_developer: &'static str,
    pub(super) step_pay: &'static str,
    pub(super) pay_title: &'static str,
    pub(super) pay_amount: &'static str,
    pub(super) pay_reference: &'static str,
    pub(super) pay_approve: &'static str,
    pub(super) paid_title: &'static str,
    pub(super) paid_lead: &'static str,
    pub(super) unpaid_title: &'static str,
    pub(super) unpaid_lead: &'static str,
    pub(super) pay_expired_title: &'static str,
    pub(super) pay_expired_lead: &'static str,
    pub(super) unknown_title: &'static str,
    pub(super) unknown_lead: &'static str,
    /// The sentence for each scope.
    pub(super) scopes: [(&'static str, &'static str); 8],
    /// The sentence for each `FlinksCode`. All other codes share the `other_refusal` sentence.
    pub(super) refusals: [(&'static str, &'static str); 10],
    pub(super) other_refusal: &'static str,
}

impl Text {
    /// Returns a sentence that says what a scope allows the application to see.
    pub(super) fn scope<'a>(&self, scope: &'a str) -> &'a str
    where
        Self: 'a,
    {
        self.scopes.iter().find(|(known, _)| *known == scope).map_or(scope, |(_, sentence)| sentence)
    }

    /// Returns a sentence that says what the end user can do about a `FlinksCode`.
    pub(super) fn refusal(&self, code: &str) -> &'static str {
        self.refusals.iter().find(|(known, _)| *known == code).map_or(self.other_refusal, |(_, sentence)| sentence)
    }
}

const ENGLISH: Text = Text {
    fictitious: "Fictitious bank, for testing only",
    emulator: "Flinks emulator",
    progress: "Progress",
    step_bank: "Bank",
    step_login: "Log in",
    step_questions: "Questions",
    step_consent: "Consent",
    step_done: "Done",
    return_to: "You will return to",
    back: "Back",
    cancel: "Cancel",
    continue_: "Continue",
    test_data: "Test data",
    choose_title: "Choose your bank",
    choose_lead: "Select the bank where you have your accounts.",
    login_title: "Log in to {bank}",
    login_lead: "Use the user name and the password of your online banking.",
    username: "User name",
    password: "Password",
    log_in: "Log in",
    login_hint: "Log in as one of these users:",
    hint_password: "password",
    hint_questions: "with security questions",
    hint_refused: "refused with",
    question_title: "Security question",
    question_count: "{bank} needs to make sure that it is you. Question {number} of {count}.",
    answer: "Answer",
    answer_hint: "The answer to this question is",
    connected_title: "Your account is connected",
    connected_lead: "{bank} has confirmed your login. You can return to the application.",
    cancelled_title: "You have cancelled",
    cancelled_lead: "No account was connected, and nothing was shared. You can close this page or start over.",
    start_over: "Start over",
    return_without: "Return without connecting",
    complete_title: "Already completed",
    complete_lead: "You have already completed this step. Use the link to return to the application.",
    consent_title: "Share your data?",
    consent_lead: "asks for access to this data at {bank}:",
    consent_user: "Whose accounts do you share?",
    consent_revoke: "You can end this access at {bank} at any time.",
    agree: "Agree",
    refuse: "Refuse",
    refused_title: "This page cannot be shown",
    refused_lead: "The application that sent you here made a request that the bank cannot accept. Nothing was shared.",
    next_title: "What to do next",
    next_application: "Return to the application and start again from there.",
    next_window: "If the problem remains, contact the people who run the application. They need the message below.",
    next_developer: "For the developer",
    step_pay: "Payment",
    pay_title: "Approve the payment?",
    pay_amount: "Amount",
    pay_reference: "Reference",
    pay_approve: "Pay from {bank}",
    paid_title: "Payment approved",
    paid_lead: "You have approved the payment. You can close this page.",
    unpaid_title: "Payment cancelled",
    unpaid_lead: "You have cancelled the payment. You can close this page.",
    pay_expired_title: "Payment expired",
    pay_expired_lead: "The payment request has expired. Ask the sender for a new one.",
    unknown_title: "This page has expired",
    unknown_lead: "The emulator has been reset, or it has removed this visit because there were newer ones.",
    scopes: [
        ("ACCOUNT_BASIC", "See your accounts and balances"),
        ("ACCOUNT_DETAILED", "See the details of your accounts, such as limits and interest rates"),
        ("ACCOUNT_PAYMENTS", "See the account numbers that payments need"),
        ("INVESTMENTS", "See your investments"),
        ("STATEMENTS", "Download your statements"),
        ("CUSTOMER_CONTACT", "See your address, phone number and email address"),
        ("CUSTOMER_PERSONAL", "See your name and date of birth"),
        ("TRANSACTIONS", "See your transactions"),
    ],
    refusals: [
        ("INVALID_USERNAME", "We do not know this user name. Check it and try again."),
        ("INVALID_PASSWORD", "The password is wrong. Check it and try again."),
        ("INVALID_SECURITY_RESPONSE", "The answer is wrong. Check it and try again."),
        ("DISABLED_LOGIN", "This login is disabled. Contact your bank to unlock it, or use another login."),
        ("RETRY_LATER", "The bank is unavailable at the moment. Try again in a few minutes."),
        ("ALREADY_AUTHORIZED", "This login is connected already. Return to the application."),
        ("CARD_IN_USE", "This login is in use at the moment. Wait a minute and try again."),
        ("CONCURRENT_SESSION", "You are logged in to the bank elsewhere. Log out there and try again."),
        ("NEW_ACCOUNT", "This login is not activated yet. Activate it on your bank's website and try again."),
        ("UNAUTHORIZED", "The bank refused the login. Contact your bank, or use another login."),
    ],
    other_refusal: "The bank refused the login. Try again.",
};
