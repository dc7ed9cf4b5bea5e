//! What can be asked of the emulator, and where.

use std::fmt;
use std::sync::LazyLock;

use hyper::{Method, Uri};
use serde::{Deserialize, Serialize};

use crate::start;

/// One thing that can be asked of Flinks. Faults are set, and requests counted, per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// `POST /api/v1/authorize` (P1).
    #[serde(rename = "pay.authorize")]
    PayAuthorize,
    /// `POST /api/v1/sessions/initiate` (P8).
    #[serde(rename = "pay.initiate_session")]
    PayInitiateSession,
    /// `POST /api/v1/paymentrequests` (P8).
    #[serde(rename = "pay.create_payment_request")]
    PayCreatePaymentRequest,
    /// `GET /api/v1/paymentrequests/{id}`.
    #[serde(rename = "pay.get_payment_request")]
    PayGetPaymentRequest,
    /// `POST /v3/{customerId}/BankingServices/GenerateAuthorizeToken` (C1).
    #[serde(rename = "connect.generate_authorize_token")]
    ConnectGenerateAuthorizeToken,
    /// `POST /v3/{customerId}/BankingServices/Authorize` (C6).
    #[serde(rename = "connect.authorize")]
    ConnectAuthorize,
    /// `GET /v2/`, and `GET /` with `authorizeToken` or `redirectUrl`: the page in the iframe (C5).
    #[serde(rename = "connect.iframe")]
    ConnectIframe,
    /// The page in the iframe after its first step, and the forms that it sends.
    #[serde(rename = "connect.iframe_step")]
    ConnectIframeStep,
    /// `GET /v3/oauth/authorize` (C7).
    #[serde(rename = "connect.oauth_authorize")]
    ConnectOAuthAuthorize,
    /// The bank's page of custom OAuth, and the form that it sends (C7).
    #[serde(rename = "connect.oauth_step")]
    ConnectOAuthStep,
    /// `GET /api/v1/authorize` (O10).
    #[serde(rename = "outbound.authorize")]
    OutboundAuthorize,
    /// The consent page when it is shown again, and the form that it sends.
    #[serde(rename = "outbound.authorize_step")]
    OutboundAuthorizeStep,
    /// `POST /api/v1/token` (O1).
    #[serde(rename = "outbound.token")]
    OutboundToken,
    /// `DELETE /api/v1/revoke` (O10).
    #[serde(rename = "outbound.revoke")]
    OutboundRevoke,
    /// `GET /api/fdx/5/accounts`: a read that needs a bearer (O8, O10).
    #[serde(rename = "outbound.accounts")]
    OutboundAccounts,
}

use Operation::*;

impl Operation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        PayAuthorize,
        PayInitiateSession,
        PayCreatePaymentRequest,
        PayGetPaymentRequest,
        ConnectGenerateAuthorizeToken,
        ConnectAuthorize,
        ConnectIframe,
        ConnectIframeStep,
        ConnectOAuthAuthorize,
        ConnectOAuthStep,
        OutboundAuthorize,
        OutboundAuthorizeStep,
        OutboundToken,
        OutboundRevoke,
        OutboundAccounts,
    ];
}

/// Its name in the control API, such as `pay.authorize`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Which operation a request asks for, with the parameter of its path.
pub(crate) enum Route {
    Operation(Operation, Option<String>),
    /// The page at the base URL, which Flinks does not have.
    Start,
    /// The form of that page that opens the page in the iframe.
    IframeDemo,
    /// The path exists, but not with this method: the methods that it has.
    WrongMethod(String),
    NotFound,
}

pub(crate) fn route(method: &Method, uri: &Uri) -> Route {
    let path = uri.path();
    if path == "/" && *method == Method::GET && !start::is_iframe_query(uri.query().unwrap_or_default()) {
        return Route::Start;
    }
    if path == start::IFRAME_DEMO {
        if *method != Method::POST {
            return Route::WrongMethod(Method::POST.to_string());
        }
        return Route::IframeDemo;
    }
    let Ok(found) = ROUTES.at(path) else { return Route::NotFound };
    match found.value.iter().find(|(allowed, _)| allowed == method) {
        Some((_, operation)) => {
            Route::Operation(*operation, found.params.iter().next().map(|(_, value)| value.to_owned()))
        }
        None => {
            let methods: Vec<&str> = found.value.iter().map(|(method, _)| method.as_str()).collect();
            Route::WrongMethod(methods.join(", "))
        }
    }
}

type Methods = Vec<(Method, Operation)>;

static ROUTES: LazyLock<matchit::Router<Methods>> = LazyLock::new(|| {
    let paths: [(&str, Methods); 16] = [
        ("/api/v1/authorize", vec![(Method::POST, PayAuthorize), (Method::GET, OutboundAuthorize)]),
        ("/api/v1/sessions/initiate", vec![(Method::POST, PayInitiateSession)]),
        ("/api/v1/paymentrequests", vec![(Method::POST, PayCreatePaymentRequest)]),
        ("/api/v1/paymentrequests/{id}", vec![(Method::GET, PayGetPaymentRequest)]),
        (
            "/v3/{customer_id}/BankingServices/GenerateAuthorizeToken",
            vec![(Method::POST, ConnectGenerateAuthorizeToken)],
        ),
        ("/v3/{customer_id}/BankingServices/Authorize", vec![(Method::POST, ConnectAuthorize)]),
        ("/", vec![(Method::GET, ConnectIframe)]),
        ("/v2", vec![(Method::GET, ConnectIframe)]),
        ("/v2/", vec![(Method::GET, ConnectIframe)]),
        ("/__pages/connect/{id}", vec![(Method::GET, ConnectIframeStep), (Method::POST, ConnectIframeStep)]),
        ("/v3/oauth/authorize", vec![(Method::GET, ConnectOAuthAuthorize)]),
        ("/__pages/bank/{id}", vec![(Method::GET, ConnectOAuthStep), (Method::POST, ConnectOAuthStep)]),
        ("/api/v1/token", vec![(Method::POST, OutboundToken)]),
        ("/__pages/consent/{id}", vec![(Method::GET, OutboundAuthorizeStep), (Method::POST, OutboundAuthorizeStep)]),
        ("/api/v1/revoke", vec![(Method::DELETE, OutboundRevoke)]),
        ("/api/fdx/5/accounts", vec![(Method::GET, OutboundAccounts)]),
    ];
    let mut router = matchit::Router::new();
    for (path, methods) in paths {
        // Two paths that conflict would be a mistake of this table, which `every_operation_has_a_path` finds.
        let _ = router.insert(path, methods);
    }
    router
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path() {
        let paths = ["/", "/v2", "/v2/", "/v3/oauth/authorize", "/api/v1/authorize", "/api/v1/sessions/initiate"]
            .into_iter()
            .chain(["/api/v1/paymentrequests", "/api/v1/paymentrequests/1", "/api/v1/token", "/api/v1/revoke"])
            .chain(["/v3/1/BankingServices/GenerateAuthorizeToken", "/v3/1/BankingServices/Authorize"])
            .chain(["/api/fdx/5/accounts", "/__pages/connect/1", "/__pages/bank/1", "/__pages/consent/1"]);
        let mut found: Vec<Operation> = paths
            .flat_map(|path| ROUTES.at(path).unwrap_or_else(|_| panic!("{path}")).value.clone())
            .map(|(_, operation)| operation)
            .collect();
        found.sort();
        found.dedup();
        assert_eq!(found, Operation::ALL);
    }
}
