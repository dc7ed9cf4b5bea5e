//! Tests how a client authorizes an end user and revokes a connection (O10).

use flinks::outbound::{Client, ClientAuthentication};
use flinks::{Advice, BaseUrl, Cause, Error, OAuthError, RedirectUrl};
use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Fault, Operation, When};

use crate::outbound_client::{credentials, parameter, refresh_token};
use crate::{get, local};

#[tokio::test]
async fn o10_end_user_consents_and_returns() {
    let local = local().await;
    let client = local.outbound(credentials());
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    for (end_user, has_agreed) in [(EndUser::Agrees, true), (EndUser::Refuses, false)] {
        local.emulator.configure(|config| config.outbound.end_user = end_user);
        let request = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap();
        let flinks::Started { url, pending, .. } =
            request.scope(&["ACCOUNT_BASIC", "TRANSACTIONS"]).language(flinks::Language::French).start();
        assert_eq!(parameter(&url, "language"), "fr");
        assert_eq!(pending.provider_id(), OUTBOUND_PROVIDER_ID);
        let (status, callback) = get(&local, url.expose_secret()).await;
        assert_eq!(status, 302);

        // An application stores the pending authorization in the end user's session.
        let pending = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
        match client.verify(pending, &callback.unwrap()) {
            Ok(code) => {
                let _ = client.exchange_code(code).await.unwrap();
                assert!(has_agreed);
            }
            Err(error) => {
                assert!(!has_agreed);
                assert!(error.needs_user());
                assert_eq!(error.advice(), Advice::AskUser);
                assert_eq!(error.oauth_error(), Some(&OAuthError::ACCESS_DENIED));
            }
        }
    }
    let verify = |query: &str| {
        let flinks::Started { pending, .. } = client.authorization("1000", &redirect_uri).unwrap().start();
        client.verify(pending, query).unwrap_err()
    };
    for query in ["", "code=a", "code=a&state=x", "error=access_denied&state="] {
        let error: Error = verify(query);
        assert!(error.cause() == Cause::InvalidCallback);
        assert!(error.oauth_error().is_none());
    }
    for rest in ["", "code=", "code=a%0ab", "code=a%20b", "code=a&code=a", "code=a&error=b"] {
        let flinks::Started { url, pending, .. } = client.authorization("1000", &redirect_uri).unwrap().start();
        let state = parameter(&url, "state");
        let error = client.verify(pending, &format!("{rest}&state={state}")).unwrap_err();
        assert!(error.cause() == Cause::InvalidCallback, "{rest}");
    }
    // The client always includes the required scope.
    for (requested, sent) in [
        (&["TRANSACTIONS"][..], "ACCOUNT_BASIC TRANSACTIONS"),
        (&[], "ACCOUNT_BASIC"),
        (&["ACCOUNT_BASIC"], "ACCOUNT_BASIC"),
    ] {
        let flinks::Started { url, .. } = client.authorization("1000", &redirect_uri).unwrap().scope(requested).start();
        assert_eq!(parameter(&url, "scope"), sent);
    }
    let invalid_client_id = ClientAuthentication::None { client_id: "a b".to_owned() };
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    assert_eq!(Client::builder(base_url, invalid_client_id).build().unwrap_err().field(), Some("client id"));
    assert_eq!(client.authorization(" ", &redirect_uri).unwrap_err().field(), Some("provider id"));
    let reserved_parameter = "https://app.example/?code=1".parse().unwrap();
    assert_eq!(client.authorization("1000", &reserved_parameter).unwrap_err().field(), Some("redirect URL"));
}

#[tokio::test]
async fn o10_revocation_ends_the_connection() {
    let local = local().await;
    let client = local.outbound(credentials());
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    client.revoke(&tokens.access_token).await.unwrap();
    assert!(client.refresh(&refresh_token()).await.unwrap_err().needs_consent());
    let error = client.revoke(&tokens.access_token).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.attempts(), 1);
    assert_eq!(local.emulator.count(Operation::OutboundRevoke), 2);
    assert!(error.is_token_refused());
    assert_eq!(error.advice(), Advice::NewToken);

    local.emulator.reset();
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    local.emulator.fail_always(Operation::OutboundRevoke, Fault::Reset { when: When::After });
    let error = client.revoke(&tokens.access_token).await.unwrap_err();
    assert!(error.may_have_been_sent());
    assert_eq!(local.emulator.count(Operation::OutboundRevoke), 1);
}
