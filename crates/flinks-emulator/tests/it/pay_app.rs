//! Tests for the states of a payment request, and for the application that the payer visits.

use flinks_emulator::{EndUser, Operation};
use serde_json::json;

use crate::page::{action, attribute, events};
use crate::{Local, ParsedResponse, local, local_with, send};

/// A payment request, with a token that can read its state.
struct Payment {
    token: String,
    session_id: String,
    request_id: String,
}

impl Payment {
    async fn create(local: &Local) -> Self {
        let token = local.session_token().await;
        let session_id = send(local.initiate_session(&token)).await.text("sessionId");
        let create = local.post("/api/v1/paymentrequests").bearer_auth(&token).json(&json!({"sessionId": session_id}));
        let request_id = send(create).await.text("requestId");
        Self { token, session_id, request_id }
    }

    async fn read(&self, local: &Local) -> ParsedResponse {
        send(local.get(&format!("/api/v1/paymentrequests/{}", self.request_id)).bearer_auth(&self.token)).await
    }

    async fn status(&self, local: &Local) -> String {
        self.read(local).await.text("status")
    }

    async fn open(&self, local: &Local) -> ParsedResponse {
        send(local.get("/app/").query(&[("sessionId", &self.session_id)])).await
    }

    async fn decide(&self, local: &Local, decision: &str) -> ParsedResponse {
        let page = self.open(local).await;
        let decided = send(local.post(&action(&page.body)).form(&[("decision", decision)])).await;
        assert_eq!(decided.status, 303);
        send(local.get(decided.location.as_deref().unwrap())).await
    }
}

#[tokio::test]
async fn p8_the_payment_page_is_in_the_requested_language_and_theme() {
    let local = local().await;
    for (look, lang, title, result) in [
        (vec![], "en", "Approve the payment?", "Payment approved"),
        (vec![("language", "fr"), ("theme", "dark")], "fr", "Approuver le paiement?", "Paiement approuvé"),
    ] {
        let payment = Payment::create(&local).await;
        let page = send(local.get("/app/").query(&[("sessionId", &payment.session_id)]).query(&look)).await;
        let text = page.body.as_str().unwrap();
        assert!(text.contains(&format!("<html lang=\"{lang}\"")), "{text}");
        assert!(text.contains(title), "{text}");
        assert!(text.contains("FlinksCapital"), "{text}");
        let decided = send(local.post(&action(&page.body)).form(&[("decision", "approve")])).await;
        let last = send(local.get(decided.location.as_deref().unwrap())).await;
        let text = last.body.as_str().unwrap();
        assert!(text.contains(&format!("<html lang=\"{lang}\"")), "{text}");
        assert_eq!(text.contains("data-theme=\"dark\""), lang == "fr", "{text}");
        assert!(text.contains(result), "{text}");
        let refused = send(local.get("/app/").query(&look)).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.as_str().unwrap().contains(&format!("<html lang=\"{lang}\"")), "{}", refused.body);
    }
}

/// A person or a script can act as the payer, as on the other pages.
#[tokio::test]
async fn an_open_payment_is_a_visit() {
    let local = local().await;
    let payment = Payment::create(&local).await;
    let visits = async || send(local.get("/__emulator/visits")).await.body["visits"].clone();
    assert_eq!(visits().await, json!([]));
    payment.open(&local).await;
    let address = format!("/__pages/pay/{}", payment.session_id);
    assert_eq!(visits().await, json!([{"page": "pay", "address": address, "step": "decision", "question": null}]));
    let dashboard = send(local.get("/__emulator/ui")).await;
    let button = format!("data-page=\"{address}\" data-form=\"decision=approve\"");
    assert!(dashboard.body.as_str().unwrap().contains(&button), "{}", dashboard.body);
    let page = send(local.get(&address)).await;
    assert_eq!(page.location.unwrap(), format!("/app/?sessionId={}", payment.session_id));
    send(local.post(&address).form(&[("decision", "approve")])).await;
    assert_eq!(visits().await[0]["step"], "complete");
    assert_eq!(payment.status(&local).await, "Accepted");
}

#[tokio::test]
async fn the_state_can_be_read_once_in_30_seconds() {
    let local = local().await;
    let [first, second] = [Payment::create(&local).await, Payment::create(&local).await];
    assert_eq!(first.status(&local).await, "Initiated");
    for wait in [0, 29] {
        local.advance(wait);
        let early = first.read(&local).await;
        assert_eq!(early.status, 429);
        assert!(early.body["message"].as_str().unwrap().contains("30 seconds"), "{}", early.body);
    }
    assert_eq!(second.status(&local).await, "Initiated", "the limit applies to each payment request separately");
    local.advance(1);
    assert_eq!(first.read(&local).await.status, 200);
    assert_eq!(first.read(&local).await.status, 429, "the interval restarts");

    local.emulator.configure(|config| config.pay.status_interval_seconds = 0);
    assert_eq!(first.read(&local).await.status, 200);
    assert_eq!(first.read(&local).await.status, 200);
}

#[tokio::test]
async fn an_approved_payment_is_accepted_and_then_settled() {
    let local = local_with(|config| config.pay.status_interval_seconds = 0).await;
    let payment = Payment::create(&local).await;
    let page = payment.open(&local).await;
    assert_eq!(page.status, 200);
    let text = page.body.as_str().unwrap();
    assert!(text.contains("10.5 CAD"), "{text}");
    assert!(text.contains("r-1"), "{text}");
    assert_eq!(payment.status(&local).await, "Processing");

    let approved = payment.decide(&local, "approve").await;
    assert!(approved.body.as_str().unwrap().contains("You have approved the payment"), "{}", approved.body);
    assert_eq!(payment.status(&local).await, "Accepted");
    local.advance(59);
    assert_eq!(payment.status(&local).await, "Accepted");
    local.advance(1);
    assert_eq!(payment.status(&local).await, "Settled");
    assert_eq!(local.emulator.count(Operation::PayAppStep), 1);
}

/// The parent page receives the events with the names that Flinks documents.
#[tokio::test]
async fn the_application_sends_the_documented_events() {
    let local = local().await;
    let payment = Payment::create(&local).await;
    let opened = payment.open(&local).await;
    assert_eq!(events(&opened.body), ["APP_MOUNTED", "APP_INITIATED", "CONFIRMATION"]);
    assert_eq!(attribute(&opened.body, "data-origin").as_deref(), Some("*"));
    assert!(events(&payment.open(&local).await.body).is_empty(), "Reload sends no event again");
    assert_eq!(events(&payment.decide(&local, "approve").await.body), ["SUCCESS"]);
    let other = Payment::create(&local).await;
    assert_eq!(events(&other.decide(&local, "cancel").await.body), ["CLOSE"]);
}

#[tokio::test]
async fn the_first_decision_of_the_payer_is_final() {
    let local = local_with(|config| config.pay.status_interval_seconds = 0).await;
    for (first, second, status) in [("cancel", "approve", "Cancelled"), ("approve", "cancel", "Accepted")] {
        let payment = Payment::create(&local).await;
        let form = action(&payment.open(&local).await.body);
        assert_eq!(send(local.post(&form).form(&[("decision", "perhaps")])).await.status, 400);
        for decision in [first, first, second] {
            assert_eq!(send(local.post(&form).form(&[("decision", decision)])).await.status, 303);
        }
        assert_eq!(payment.status(&local).await, status);
        let shown = payment.open(&local).await;
        assert!(!shown.body.as_str().unwrap().contains("<form"), "{}", shown.body);
    }
}

#[tokio::test]
async fn an_undecided_payment_request_expires() {
    let local = local_with(|config| {
        config.pay.payment_request_seconds = 200;
        config.pay.status_interval_seconds = 0;
    })
    .await;
    let payment = Payment::create(&local).await;
    let form = action(&payment.open(&local).await.body);
    local.advance(199);
    assert_eq!(payment.status(&local).await, "Processing");
    local.advance(1);
    assert_eq!(payment.status(&local).await, "Expired");
    assert!(payment.open(&local).await.body.as_str().unwrap().contains("has expired"));
    send(local.post(&form).form(&[("decision", "approve")])).await;
    assert_eq!(payment.status(&local).await, "Expired");
}

#[tokio::test]
async fn the_application_needs_a_payment_request() {
    let local = local().await;
    let token = local.session_token().await;
    let session_id = send(local.initiate_session(&token)).await.text("sessionId");
    for (query, status, message) in [
        (format!("sessionId={session_id}"), 400, "has no payment request"),
        ("sessionId=another".to_owned(), 404, "does not exist"),
        (String::new(), 400, "sessionId is missing"),
    ] {
        let refused = send(local.get(&format!("/app/?{query}"))).await;
        assert_eq!(refused.status, status, "{query}");
        assert!(refused.body.as_str().unwrap().contains(message), "{}", refused.body);
    }
}

#[tokio::test]
async fn the_payer_can_decide_without_a_page() {
    for (payer, status) in [(EndUser::Agrees, "Accepted"), (EndUser::Refuses, "Cancelled")] {
        let local = local_with(|config| config.pay.payer = payer).await;
        let payment = Payment::create(&local).await;
        assert_eq!(payment.open(&local).await.status, 200);
        assert_eq!(payment.status(&local).await, status);
    }
}

#[tokio::test]
async fn the_payment_link_opens_the_application() {
    let local = local().await;
    let payment = Payment::create(&local).await;
    let link = payment.read(&local).await.text("PaymentLink");
    assert!(link.starts_with(local.emulator.base_url()), "{link}");
    let page = send(local.http.get(link)).await;
    assert!(page.body.as_str().unwrap().contains("r-1"), "{}", page.body);
}
