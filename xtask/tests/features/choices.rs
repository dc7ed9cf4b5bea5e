//! Responses that contain one of several alternatives.

use flinks_core::ErrorKind;

use super::generated::types::{CloseAccountError, Fee, Holder, Payee, Transfer};
use super::server::{Server, json, response};

/// Reads `body` as the response to an operation. Checks that `Debug` output does not contain the
/// word `canary`.
macro_rules! read {
    ($body:expr, $client:ident => $call:expr) => {{
        let server = Server::start().await;
        let $client = server.client();
        let (_, outcome) = server.exchange(&json($body), $call.send()).await;
        let response = outcome.unwrap();
        let text = format!("{response:?} {response:#?}");
        assert!(!text.contains("canary"), "{text}");
        response.into_inner()
    }};
}

#[tokio::test]
async fn a_mapping_selects_the_alternative() {
    let value = read!(r#"{"kind":"dom","account":"canary","bic":"x"}"#, client => client.get_transfer("1"));
    let Transfer::Domestic(domestic) = value else { panic!("{value:?}") };
    assert_eq!(domestic.account, "canary");

    // A malformed property that `x-lenient` lists is treated as absent.
    for (fee, expected) in [("\"7\"", Some(7)), ("{}", None)] {
        let body = format!(r#"{{"kind":"dom","account":"canary","fee":{fee}}}"#);
        let value = read!(&body, client => client.get_transfer("1"));
        let Transfer::Domestic(domestic) = value else { panic!("{value:?}") };
        assert_eq!(domestic.fee, expected);
    }

    let value = read!(r#"{"kind":"int","account":"canary","bic":"canary"}"#, client => client.get_transfer("1"));
    let Transfer::International(international) = value else { panic!("{value:?}") };
    assert_eq!(international.bic.as_deref(), Some("canary"));
}

#[tokio::test]
async fn an_unknown_or_malformed_alternative_keeps_its_value() {
    for body in [
        r#"{"kind":"instant","account":"canary"}"#,
        // The name of a schema is not a valid tag if the mapping defines another tag for the
        // schema.
        r#"{"kind":"Domestic","account":"canary"}"#,
        r#"{"kind":"dom","accounts":"canary"}"#,
        r#"{"kind":7,"account":"canary"}"#,
        r#"{"account":"canary"}"#,
        r#"["dom","canary"]"#,
        r#""canary""#,
        "null",
    ] {
        let value = read!(body, client => client.get_transfer("1"));
        let Transfer::Other(raw) = value else { panic!("{body}: {value:?}") };
        assert_eq!(raw.to_text(), body);
    }
}

#[tokio::test]
async fn the_name_of_a_schema_selects_the_alternative_without_a_mapping() {
    for kind in ["PercentFee", "percent_fee", "PERCENT_FEE", "percent-fee", "percentFee"] {
        let body = format!(r#"{{"kind":"{kind}","amount":3}}"#);
        let value = read!(&body, client => client.get_fee("1"));
        let Fee::PercentFee(fee) = value else { panic!("{body}: {value:?}") };
        assert_eq!(fee.amount, Some(3));
    }
    let value = read!(r#"{"kind":"FlatFee"}"#, client => client.get_fee("1"));
    assert!(matches!(value, Fee::FlatFee(_)), "{value:?}");
    let value = read!(r#"{"kind":"canary"}"#, client => client.get_fee("1"));
    assert!(matches!(value, Fee::Other(_)), "{value:?}");
}

#[tokio::test]
async fn the_fields_select_the_alternative_without_a_discriminator() {
    // Both alternatives match, so the first is chosen.
    let value = read!(r#"{"name":"canary"}"#, client => client.get_holder("1"));
    assert!(matches!(value, Holder::Person(_)), "{value:?}");
    // All fields of a person are optional, but the fields of a company must not be lost.
    let value = read!(r#"{"name":"canary","number":"canary"}"#, client => client.get_holder("1"));
    let Holder::Company(company) = value else { panic!("{value:?}") };
    assert_eq!(company.number.as_deref(), Some("canary"));
    // serde would decode this array as a person.
    let value = read!(r#"["canary","x"]"#, client => client.get_holder("1"));
    let Holder::Option3(names) = value else { panic!("{value:?}") };
    assert_eq!(names.0, ["canary", "x"]);
    for body in ["7", r#"[1]"#, r#"{"name":7}"#] {
        let value = read!(body, client => client.get_holder("1"));
        let Holder::Other(raw) = value else { panic!("{body}: {value:?}") };
        assert_eq!(raw.to_text(), body);
    }
}

#[tokio::test]
async fn the_children_of_a_base_type_keep_their_fields() {
    let body = r#"[
        {"kind":"person","name":"canary","email":"canary"},
        {"kind":"biller","name":"canary","code":"canary"},
        {"kind":"charity","name":"canary","code":"canary","cause":"canary"},
        {"kind":"club","name":"canary","members":3},
        {"name":7},
        ["club","canary"]
    ]"#;
    let payees = read!(body, client => client.list_payees()).0;
    let [first, second, third, fourth, fifth, sixth] = payees.as_slice() else { panic!("{payees:?}") };
    let Payee::PersonPayee(person) = first else { panic!("{first:?}") };
    let Payee::Biller(biller) = second else { panic!("{second:?}") };
    let Payee::Charity(charity) = third else { panic!("{third:?}") };
    let Payee::Base(base) = fourth else { panic!("{fourth:?}") };
    let (Payee::Other(other), Payee::Other(list)) = (fifth, sixth) else { panic!("{fifth:?} {sixth:?}") };
    assert_eq!(person.email.as_deref(), Some("canary"));
    assert_eq!(person.name, "canary");
    assert_eq!(biller.code, "canary");
    // `Charity` extends `Biller`, and the mapping does not mention `Charity`.
    assert_eq!(charity.cause.as_deref(), Some("canary"));
    assert_eq!(base.kind, "club");
    assert_eq!(other.to_text(), r#"{"name":7}"#);
    assert_eq!(list.to_text(), r#"["club","canary"]"#);
}

#[tokio::test]
async fn a_response_that_is_not_json_is_malformed() {
    let server = Server::start().await;
    let client = server.client();
    let (_, outcome) = server.exchange(&json("<html>canary</html>"), client.get_transfer("1").send()).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn an_error_can_be_one_of_several_alternatives() {
    let server = Server::start().await;
    let client = server.client();
    let call = || client.close_account("1").send();

    let (_, outcome) = server.exchange(&response(400, "", r#"{"fault":7}"#), call()).await;
    let error = outcome.unwrap_err();
    let Some(CloseAccountError::Fault(fault)) = error.body() else { panic!("{error}") };
    assert_eq!(fault.fault, 7);

    let (_, outcome) = server.exchange(&response(400, "", r#"{"new":"canary"}"#), call()).await;
    let error = outcome.unwrap_err();
    let Some(CloseAccountError::Other(raw)) = error.body() else { panic!("{error}") };
    assert_eq!(raw.to_text(), r#"{"new":"canary"}"#);
    assert!(!format!("{error:?} {:?}", error.body()).contains("canary"));

    // A documented error with a success status is an error. Any other value is malformed.
    let (_, outcome) = server.exchange(&json(r#"{"title":"t"}"#), call()).await;
    assert!(matches!(outcome.unwrap_err().body(), Some(CloseAccountError::Problem(_))));
    let (_, outcome) = server.exchange(&json(r#"{"new":1}"#), call()).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error}");
}
