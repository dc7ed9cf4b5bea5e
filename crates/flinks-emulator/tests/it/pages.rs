//! Tests for what all pages for end users have in common: language, theme, ways back, and where the
//! end user returns to.

use flinks_emulator::credentials::*;
use flinks_emulator::{Kind, Operation};
use serde_json::Value;

use crate::page::{action, attribute, events, step, submit};
use crate::{Local, local, send};

const RETURN_URL: &str = "http://127.0.0.1:8080/done";

async fn iframe(local: &Local, extra: &[(&str, &str)]) -> Value {
    let token = local.authorize_token().await;
    let query = [("authorizeToken", &*token), ("redirectUrl", RETURN_URL)];
    send(local.get("/v2/").query(&query).query(extra)).await.body
}

async fn consent(local: &Local, extra: &[(&str, &str)]) -> Value {
    let query = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", RETURN_URL),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC TRANSACTIONS"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    send(local.get("/api/v1/authorize").query(&query).query(extra)).await.body
}

async fn bank(local: &Local, extra: &[(&str, &str)]) -> Value {
    let query = [("institution_id", "14"), ("redirect_uri", RETURN_URL)];
    let redirect = send(local.get("/v3/oauth/authorize").query(&query).query(extra)).await;
    send(local.get(&redirect.location.unwrap())).await.body
}

fn text(page: &Value) -> &str {
    page.as_str().unwrap()
}

#[tokio::test]
async fn c5_c7_o10_the_pages_are_in_the_requested_language_and_theme() {
    let local = local().await;
    for (extra, lang, theme, [choose, log_in, share, refused]) in [
        (
            vec![],
            "en",
            None,
            ["Choose your bank", "Log in to FlinksCapital", "See your accounts and balances", "What to do next"],
        ),
        (
            vec![("language", "fr"), ("theme", "dark")],
            "fr",
            Some("dark"),
            ["Choisissez votre banque", "Connexion à FlinksCapital", "Voir vos comptes et leurs soldes", "Que faire"],
        ),
        (
            vec![("language", "fr-CA"), ("theme", "light")],
            "fr",
            Some("light"),
            ["Choisissez votre banque", "Connexion à FlinksCapital", "Voir vos comptes et leurs soldes", "Que faire"],
        ),
        (
            vec![("language", "<script>"), ("theme", "<script>")],
            "en",
            None,
            ["Choose your bank", "Log in to FlinksCapital", "See your accounts and balances", "What to do next"],
        ),
    ] {
        let first = iframe(&local, &extra).await;
        let login = submit(&local, &first, &[("institution", BANK)]).await;
        let refusal = send(local.get("/v2/?redirectUrl=x").query(&extra)).await.body;
        for (page, expected) in [
            (&first, choose),
            (&login, log_in),
            (&bank(&local, &extra).await, log_in),
            (&consent(&local, &extra).await, share),
            (&refusal, refused),
        ] {
            assert_eq!(attribute(page, "lang").as_deref(), Some(lang), "{page}");
            assert_eq!(attribute(page, "data-theme").as_deref(), theme, "{page}");
            assert!(text(page).contains(expected), "{expected}: {page}");
            assert!(!text(page).contains("<script>"), "{page}");
        }
    }
    // Custom OAuth calls the parameter `lang`.
    assert_eq!(attribute(&bank(&local, &[("lang", "fr")]).await, "lang").as_deref(), Some("fr"));
}

#[tokio::test]
async fn c5_the_questions_are_in_french_and_their_answers_are_the_banks() {
    let local = local().await;
    let page = submit(&local, &iframe(&local, &[("language", "fr")]).await, &[("institution", BANK)]).await;
    let mut page = submit(&local, &page, &[("username", BANK_USER), ("password", BANK_PASSWORD)]).await;
    for (prompt, answer) in
        [("Dans quelle ville", "Montreal"), ("Quel est le meilleur pays", "Canada"), ("Quelle forme", "Triangle")]
    {
        assert!(text(&page).contains(prompt), "{page}");
        page = submit(&local, &page, &[("answer", answer)]).await;
    }
    assert!(text(&page).contains("Votre compte est lié"), "{page}");
}

#[tokio::test]
async fn every_page_names_the_address_with_its_port_and_the_fictitious_bank() {
    let local = local().await;
    let login = submit(&local, &iframe(&local, &[]).await, &[("institution", BANK)]).await;
    let question = submit(&local, &login, &[("username", BANK_USER), ("password", BANK_PASSWORD)]).await;
    for page in [&login, &question, &bank(&local, &[]).await, &consent(&local, &[]).await] {
        assert!(text(page).contains("You will return to <strong>127.0.0.1:8080</strong>"), "{page}");
        assert!(text(page).contains("Fictitious bank, for testing only"), "{page}");
        assert!(text(page).contains("aria-current=\"step\""), "{page}");
    }
    for scope in ["ACCOUNT_BASIC", "TRANSACTIONS"] {
        let page = consent(&local, &[]).await;
        assert!(!text(&page).replace(&format!("data-scope=\"{scope}\""), "").contains(scope), "{page}");
    }
}

#[tokio::test]
async fn c5_a_wrong_password_keeps_a_name_that_the_bank_knows() {
    let local = local().await;
    let login = submit(&local, &iframe(&local, &[]).await, &[("institution", BANK)]).await;
    let wrong = submit(&local, &login, &[("username", BANK_USER), ("password", "canary")]).await;
    assert!(text(&wrong).contains(&format!("name=\"username\" value=\"{BANK_USER}\"")), "{wrong}");
    assert!(!text(&wrong).contains("canary"), "{wrong}");
    // An unknown name may be real, so the emulator does not keep it.
    let unknown = submit(&local, &wrong, &[("username", "canary"), ("password", BANK_PASSWORD)]).await;
    assert!(text(&unknown).contains("We do not know this user name"), "{unknown}");
    assert!(!text(&unknown).contains("canary"), "{unknown}");

    let page = bank(&local, &[]).await;
    let wrong = submit(&local, &page, &[("username", BANK_USER), ("password", "canary")]).await;
    assert!(text(&wrong).contains(&format!("value=\"{BANK_USER}\"")), "{wrong}");
}

#[tokio::test]
async fn c5_back_leads_to_the_step_before() {
    let local = local().await;
    let first = iframe(&local, &[]).await;
    let login = submit(&local, &first, &[("institution", BANK)]).await;
    let question = submit(&local, &login, &[("username", BANK_USER), ("password", BANK_PASSWORD)]).await;
    let login_again = submit(&local, &question, &[("back", "true")]).await;
    assert_eq!(events(&login_again), ["COMPONENT_LOAD_CREDENTIAL"]);
    assert!(text(&login_again).contains(&format!("value=\"{BANK_USER}\"")), "{login_again}");
    let banks = submit(&local, &login_again, &[("back", "true")]).await;
    assert_eq!(events(&banks), ["COMPONENT_LOAD_INSTITUTION_SELECTOR"]);
    assert!(text(&banks).contains("Choose your bank"));
    // Neither a second click on Back nor a form from an earlier step changes anything.
    for stale in [&login_again, &question] {
        let shown = submit(&local, stale, &[("back", "true")]).await;
        assert_eq!(step(&shown), step(&banks));
        assert_eq!(events(&shown), Vec::<String>::new());
    }
    let login = submit(&local, &banks, &[("institution", BANK)]).await;
    let end = submit(&local, &login, &[("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)]).await;
    assert_eq!(events(&end), ["REDIRECT"]);

    let page = submit(&local, &iframe(&local, &[("backEnable", "false")]).await, &[("institution", BANK)]).await;
    assert!(!text(&page).contains("name=\"back\""), "{page}");
}

#[tokio::test]
async fn c5_cancel_sends_the_documented_event_once() {
    let local = local().await;
    let logins = || local.emulator.issued().iter().filter(|issued| issued.kind == Kind::AuthorizeToken).count();
    for clicks in 0..3 {
        let mut page = iframe(&local, &[]).await;
        let fields = [vec![("institution", BANK)], vec![("username", BANK_USER), ("password", BANK_PASSWORD)]];
        for fields in fields.iter().take(clicks) {
            page = submit(&local, &page, fields).await;
        }
        let before = page;
        let cancelled = submit(&local, &before, &[("cancel", "true")]).await;
        assert_eq!(events(&cancelled), ["COMPONENT_CLOSE_SESSION"]);
        assert!(text(&cancelled).contains("nothing was shared"), "{cancelled}");
        assert!(!text(&cancelled).contains("loginId"), "{cancelled}");
        // A second click repeats nothing, and a form from before the cancellation has no effect.
        for fields in [vec![("cancel", "true")], vec![("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)]] {
            let again = submit(&local, &before, &fields).await;
            assert_eq!(events(&again), Vec::<String>::new());
            assert_eq!(step(&again), step(&cancelled));
        }
        let restarted = submit(&local, &cancelled, &[("restart", "true")]).await;
        assert_eq!(events(&restarted), ["COMPONENT_LOAD_INSTITUTION_SELECTOR"]);
        assert!(text(&restarted).contains("Choose your bank"));
        assert_eq!(action(&restarted), action(&before), "the visit goes on without another token");
    }
    assert_eq!(logins(), 3);
    assert_eq!(local.emulator.count(Operation::ConnectIframe), 3);
}

/// A double click submits the form twice, and the browser drops the first response.
#[tokio::test]
async fn c5_a_double_click_with_a_wrong_password_is_one_attempt() {
    let local = local().await;
    let login = submit(&local, &iframe(&local, &[]).await, &[("institution", BANK)]).await;
    let fields = [("step", &*step(&login)), ("username", BANK_USER), ("password", "wrong")];
    for _ in 0..2 {
        assert_eq!(send(local.post(&action(&login)).form(&fields)).await.status, 303);
    }
    assert_eq!(events(&send(local.get(&action(&login))).await.body), ["INVALID_PASSWORD"]);
}

#[tokio::test]
async fn refusal_pages_say_what_to_do_next_and_contain_no_value() {
    let local = local().await;
    for path in [
        "/v2/?authorizeToken=canary&redirectUrl=https://app.example/",
        "/v3/oauth/authorize?institution_id=14&redirect_uri=/canary",
        "/api/v1/authorize?client_id=canary",
        "/__pages/connect/canary",
        "/__pages/bank/canary",
        "/__pages/consent/canary",
    ] {
        let refused = send(local.get(path)).await;
        assert!(refused.status >= 400, "{path}");
        let page = text(&refused.body);
        assert!(page.contains("What to do next"), "{path}: {page}");
        assert!(page.contains("Return to the application and start again"), "{path}: {page}");
        assert!(page.contains("role=\"alert\""), "{path}: {page}");
        assert!(!page.contains("canary"), "{path}: {page}");
    }
}
