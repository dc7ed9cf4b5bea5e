//! Tests how the widget's `message` events are read.

use flinks::connect::{StatePlacement, Widget, WidgetMessage};
use flinks::{Advice, Cause};
use flinks_emulator::credentials::BANK;

use crate::local;
use crate::pages::connect_bank;

#[tokio::test]
async fn c5_events_of_a_visit_are_read_and_the_redirect_is_verified() {
    let local = local().await;
    let widget = local.connect.widget(&"https://app.example/landing".parse().unwrap());
    let started = widget.start(local.authorize_token().await, StatePlacement::Query).unwrap();
    let visit = connect_bank(&local, started.url.expose_url()).await;
    let mut steps = Vec::new();
    let mut redirect = None;
    for data in &visit.events {
        match widget.message(local.emulator.base_url(), data).unwrap() {
            WidgetMessage::Step { step, institution, .. } => steps.push((step, institution)),
            WidgetMessage::Redirect { institution, url, .. } => redirect = Some((institution, url)),
            other => panic!("{other:?}"),
        }
    }
    let bank = || Some(BANK.to_owned());
    assert_eq!(steps, [("APP_MOUNTED".to_owned(), None), ("INSTITUTION_SELECTED".to_owned(), bank())]);
    let (institution, url) = redirect.unwrap();
    assert_eq!(institution, bank());
    assert_eq!(url.expose_secret(), visit.landing);
    let landing = local.connect.verify_landing(started.pending, url.expose_secret()).unwrap();
    assert_eq!(landing.institution, bank());
}

#[tokio::test]
async fn c5_messages_from_another_origin_are_refused() {
    let local = local().await;
    let widget = local.connect.widget(&"https://app.example/landing".parse().unwrap());
    let origin = widget.message_origin();
    let data = r#"{"step":"REDIRECT","institution":"b","url":"https://app.example/landing?loginId=canary"}"#;
    assert!(widget.message(&origin, data).is_ok());
    for other in [
        "",
        "null",
        "*",
        "https://app.example",
        &format!("{origin}/"),
        &format!("{origin}.attacker.example"),
        &origin.replace("http:", "https:"),
        &origin.to_uppercase(),
    ] {
        let error = widget.message(other, data).unwrap_err();
        assert_eq!(error.cause(), Cause::Input, "{other}");
        assert_eq!(error.advice(), Advice::FixInput, "{other}");
        assert_eq!(error.field(), Some("message origin"), "{other}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{other}");
    }
}

#[tokio::test]
async fn c5_malformed_messages_are_refused_and_never_shown() {
    let local = local().await;
    let widget = local.connect.widget(&"https://app.example/landing".parse().unwrap());
    let read = |widget: &Widget, data: &str| widget.message(&widget.message_origin(), data);
    for bad in [
        "",
        "canary",
        r#""canary""#,
        "[]",
        "null",
        r#"{"institution":"canary"}"#,
        r#"{"step":1}"#,
        r#"{"step":"APP_MOUNTED"} canary"#,
        r#"{"step":"REDIRECT"}"#,
        r#"{"step":"REDIRECT","url":["canary"]}"#,
    ] {
        let error = read(&widget, bad).unwrap_err();
        assert_eq!(error.cause(), Cause::Input, "{bad}");
        assert_eq!(error.field(), Some("message data"), "{bad}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{bad}");
    }
    // An optional field of the wrong type counts as absent.
    let message = read(&widget, r#"{"step":"NEW","institution":7,"more":{}}"#).unwrap();
    assert!(matches!(&message, WidgetMessage::Step { step, institution: None, .. } if step == "NEW"));
    for (data, shown) in [
        (r#"{"step":"canary","institution":"canary"}"#, "Step { .. }"),
        (r#"{"step":"REDIRECT","institution":"canary","url":"canary"}"#, "Redirect { .. }"),
    ] {
        assert_eq!(format!("{:?}", read(&widget, data).unwrap()), shown);
    }
}
