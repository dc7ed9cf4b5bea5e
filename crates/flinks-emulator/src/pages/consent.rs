//! Outbound's consent page.

use maud::{Markup, html};
use url::Url;

use super::{Document, Form, Look, alert, return_line};
use crate::bank::{BankKey, Banks, UserKey};

/// A visit to the consent page.
pub(crate) struct ConsentPage<'a> {
    pub(crate) look: Look,
    pub(crate) banks: &'a Banks,
    pub(crate) bank: BankKey,
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) return_url: &'a Url,
    /// Whether the bank is unavailable. If it is, the end user cannot agree.
    pub(crate) is_unavailable: bool,
}

/// Returns the consent page. The button that grants consent is not focused, so a stray key press
/// does not grant it.
pub(crate) fn consent(page: &ConsentPage<'_>, form: &Form<'_>, address: Option<&str>) -> Markup {
    let text = page.look.text();
    let bank = page.banks.name(page.bank);
    let users: Vec<UserKey> = page.banks.able_users().into_iter().filter(|user| user.bank == page.bank).collect();
    let buttons = html! {
        @if users.len() > 1 { (choice_of_users(page, &users)) }
        button type="submit" name="decision" value="agree" disabled[page.is_unavailable] { (text.agree) }
        button.quiet type="submit" name="decision" value="refuse" { (text.refuse) }
    };
    let document = Document {
        bank: page.banks.bank(page.bank),
        progress: (&[text.step_consent, text.step_done], 0),
        address,
        ..Document::new(page.look, text.consent_title)
    };
    let content = html! {
        (alert(page.is_unavailable.then(|| text.refusal("RETRY_LATER"))))
        p { strong { (page.client_id) } " " (text.consent_lead.replace("{bank}", bank)) }
        ul.scopes { @for scope in page.scopes { li data-scope=(scope) { (text.scope(scope)) } } }
        (form.render(&buttons))
        p.small { (text.consent_revoke.replace("{bank}", bank)) }
        (return_line(text, page.return_url))
    };
    document.render(&content, &html! {})
}

/// The maximum number of users that the page lists.
const LISTED_USERS: usize = 6;

fn choice_of_users(page: &ConsentPage<'_>, users: &[UserKey]) -> Markup {
    let users = users.iter().filter_map(|user| page.banks.user(*user)).take(LISTED_USERS);
    html! {
        fieldset {
            legend { (page.look.text().consent_user) }
            @for (index, user) in users.enumerate() {
                label {
                    input type="radio" name="user" value=(user.username.get_ref()) checked[index == 0];
                    " " (user.username.get_ref())
                }
            }
        }
    }
}
