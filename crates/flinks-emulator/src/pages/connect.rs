//! The steps of the iframe page, and the bank's login page.

use maud::{Markup, html};
use url::Url;

use super::text::{Language, Text};
use super::{Document, Events, Form, Look, alert, continue_to, host, return_line};
use crate::bank::{Bank, BankKey, Banks, Question, User, UserKey};

fn steps(text: &Text) -> [&str; 4] {
    [text.step_bank, text.step_login, text.step_questions, text.step_done]
}

/// Returns the first step of the iframe page. This step's address differs from that of the later
/// steps.
pub(crate) fn choose_bank(
    look: Look,
    form: &Form<'_>,
    banks: &Banks,
    return_url: &Url,
    address: Option<&str>,
    events: &Events,
) -> Markup {
    let text = look.text();
    let list = html! {
        ul.banks {
            @for (_, bank) in banks.iter() {
                li {
                    button class={ "row " (bank.colour.class()) } type="submit" name="institution" value=(bank.name.get_ref()) {
                        span.logo aria-hidden="true" { (bank.name.get_ref().chars().next().unwrap_or('B')) }
                        span.name { (bank.name.get_ref()) }
                    }
                }
            }
        }
    };
    let steps = steps(text);
    let document =
        Document { progress: (&steps, 0), address, events: Some(events), ..Document::new(look, text.choose_title) };
    let content = html! {
        p { (text.choose_lead) }
        (form.render(&list))
        div.other { (form.button("cancel", text.cancel)) }
        (return_line(text, return_url))
    };
    document.render(&content, &html! {})
}

/// A visit to a login page.
pub(crate) struct LogIn<'a> {
    pub(crate) look: Look,
    pub(crate) banks: &'a Banks,
    pub(crate) bank: BankKey,
    /// The user whose name the field already contains.
    pub(crate) user: Option<UserKey>,
    /// The `FlinksCode` of the bank's last refusal.
    pub(crate) problem: Option<&'a str>,
    pub(crate) return_url: &'a Url,
}

/// Returns the iframe page with the bank's login form.
pub(crate) fn log_in(visit: &LogIn<'_>, form: &Form<'_>, has_back: bool, events: &Events) -> Markup {
    let steps = steps(visit.look.text());
    visit.page(form, has_back, (&steps, 1), Some(events))
}

/// Returns the bank's own page with the login form.
pub(crate) fn log_in_or_cancel(visit: &LogIn<'_>, form: &Form<'_>) -> Markup {
    let text = visit.look.text();
    visit.page(form, false, (&[text.step_login, text.step_done], 0), None)
}

impl LogIn<'_> {
    fn page(&self, form: &Form<'_>, has_back: bool, progress: (&[&str], usize), events: Option<&Events>) -> Markup {
        let text = self.look.text();
        let title = text.login_title.replace("{bank}", self.banks.name(self.bank));
        let bank = self.banks.bank(self.bank);
        let document = Document { bank, progress, events, ..Document::new(self.look, &title) };
        let content = html! {
            p { (text.login_lead) }
            (alert(self.problem.map(|code| text.refusal(code))))
            (form.render(&self.fields()))
            div.other {
                @if has_back { (form.button("back", text.back)) }
                (form.button("cancel", text.cancel))
            }
            (return_line(text, self.return_url))
        };
        document.render(&content, &bank.map_or_else(|| html! {}, |bank| users_hint(text, bank)))
    }

    fn fields(&self) -> Markup {
        let text = self.look.text();
        let username = self.user.and_then(|user| self.banks.user(user)).map(|user| user.username.get_ref());
        let has_name = username.is_some();
        html! {
            label for="username" { (text.username) }
            input #username name="username" value=[username] autocomplete="off" autocapitalize="none" spellcheck="false"
                required autofocus[!has_name];
            label for="password" { (text.password) }
            input #password name="password" type="password" autocomplete="off" required autofocus[has_name];
            button type="submit" { (text.log_in) }
        }
    }
}

/// The maximum number of users that a hint lists. A scenario can have many more.
const LISTED_USERS: usize = 6;

fn users_hint(text: &Text, bank: &Bank) -> Markup {
    let note = |user: &User| match user.refusal {
        Some(refusal) => Some(format!("{} {}", text.hint_refused, refusal.refusal().code)),
        None if user.questions.is_empty() => None,
        None => Some(text.hint_questions.to_owned()),
    };
    html! {
        aside.hint {
            h2 { (text.test_data) }
            p { (text.login_hint) }
            ul {
                @for user in bank.users.iter().take(LISTED_USERS) {
                    li {
                        code { (user.username.get_ref()) } ", " (text.hint_password) " " code { (user.password) }
                        @if let Some(note) = note(user) { " – " (note) }
                    }
                }
            }
        }
    }
}

/// A visit to the page with a security question.
pub(crate) struct Questioned<'a> {
    pub(crate) look: Look,
    pub(crate) banks: &'a Banks,
    pub(crate) user: UserKey,
    pub(crate) index: usize,
    /// The `FlinksCode` of the bank's last refusal.
    pub(crate) problem: Option<&'a str>,
    pub(crate) return_url: &'a Url,
}

pub(crate) fn question(visit: &Questioned<'_>, form: &Form<'_>, has_back: bool, events: &Events) -> Markup {
    let text = visit.look.text();
    let Some(question) = visit.banks.question(visit.user, visit.index) else {
        return super::unknown_visit(visit.look);
    };
    let count = visit.banks.user(visit.user).map_or(0, |user| user.questions.len());
    let lead = text
        .question_count
        .replace("{bank}", visit.banks.name(visit.user.bank))
        .replace("{number}", &visit.index.saturating_add(1).to_string())
        .replace("{count}", &count.to_string());
    let steps = steps(text);
    let document = Document {
        bank: visit.banks.bank(visit.user.bank),
        progress: (&steps, 2),
        events: Some(events),
        ..Document::new(visit.look, text.question_title)
    };
    let content = html! {
        p { (lead) }
        (alert(visit.problem.map(|code| text.refusal(code))))
        (form.render(&question_fields(visit.look, question)))
        div.other {
            @if has_back { (form.button("back", text.back)) }
            (form.button("cancel", text.cancel))
        }
        (return_line(text, visit.return_url))
    };
    let hint = html! {
        aside.hint {
            h2 { (text.test_data) }
            p { (text.answer_hint) " " code { (question.answer) } "." }
        }
    };
    document.render(&content, &hint)
}

fn question_fields(look: Look, question: &Question) -> Markup {
    let is_french = look.language == Language::French;
    let prompt = question.prompt_fr.as_ref().filter(|_| is_french).unwrap_or(&question.prompt);
    let labels = if is_french && !question.choices_fr.is_empty() { &question.choices_fr } else { &question.choices };
    html! {
        @if question.choices.is_empty() {
            label for="answer" { (prompt) }
            input #answer name="answer" autocomplete="off" required autofocus;
        } @else {
            fieldset {
                legend { (prompt) }
                @for (choice, label) in question.choices.iter().zip(labels) {
                    label { input type="radio" name="answer" value=(choice) required; " " (label) }
                }
            }
        }
        button type="submit" { (look.text().answer) }
    }
}

/// Returns the last step of the iframe page. When the page is shown for the first time, it sends
/// the remaining events to the parent page, and the browser navigates to the return URL. When it is
/// shown again, it only links to the return URL.
pub(crate) fn connected(look: Look, bank: Option<&Bank>, return_url: &Url, events: &Events) -> Markup {
    let text = look.text();
    let url = if events.events.is_empty() { None } else { Some(return_url) };
    let steps = steps(text);
    let document = Document {
        bank,
        progress: (&steps, 3),
        events: Some(events),
        url,
        ..Document::new(look, text.connected_title)
    };
    let name = bank.map_or("", |bank| bank.name.get_ref());
    let content = html! {
        p { (text.connected_lead.replace("{bank}", name)) }
        (continue_to(text.continue_, return_url))
        (return_line(text, return_url))
    };
    document.render(&content, &html! {})
}

/// Returns the iframe page for an end user who has cancelled the login and can start over.
pub(crate) fn cancelled(look: Look, form: &Form<'_>, return_url: &Url, events: &Events) -> Markup {
    let text = look.text();
    let document = Document { events: Some(events), ..Document::new(look, text.cancelled_title) };
    let content = html! {
        p { (text.cancelled_lead) }
        (form.render(&html! { button type="submit" name="restart" value="true" { (text.start_over) } }))
        p.actions { a href=(return_url.as_str()) { (text.return_without) " (" (host(return_url)) ")" } }
    };
    document.render(&content, &html! {})
}

/// Returns the page for a completed visit.
pub(crate) fn complete(look: Look, bank: Option<&Bank>, return_url: &Url) -> Markup {
    let text = look.text();
    let content = html! {
        p { (text.complete_lead) }
        (continue_to(text.continue_, return_url))
        (return_line(text, return_url))
    };
    Document { bank, ..Document::new(look, text.complete_title) }.render(&content, &html! {})
}
