//! Flinks operations, and local steps that can fail.

/// A Flinks product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, derive_more::Display)]
#[display("Flinks {self:?}")]
#[non_exhaustive]
pub enum Product {
    /// Flinks Pay.
    Pay,
    /// Flinks Connect.
    Connect,
    /// Flinks Outbound.
    Outbound,
}

/// A call to Flinks, or a local step that sends no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    PayAuthorize,
    PayInitiateSession,
    ConnectGenerateAuthorizeToken,
    ConnectAuthorize,
    ConnectWidget,
    ConnectLanding,
    ConnectOAuthReturn,
    OutboundAuthorizationReturn,
    OutboundClientCredentials,
    OutboundExchangeCode,
    OutboundRefresh,
    OutboundRevoke,
}

impl Operation {
    pub(crate) fn product(self) -> Product {
        self.describe().0
    }

    /// Returns the `operationId`, or the name that this crate uses for a grant or a local step.
    pub(crate) fn id(self) -> &'static str {
        self.describe().1
    }

    /// Returns a verb phrase that completes "failed to …".
    pub(crate) fn purpose(self) -> &'static str {
        self.describe().2
    }

    /// Returns the HTTP method of the request, or `None` for a local step.
    pub(crate) fn http_method(self) -> Option<&'static str> {
        match self {
            Self::PayAuthorize
            | Self::PayInitiateSession
            | Self::ConnectGenerateAuthorizeToken
            | Self::ConnectAuthorize
            | Self::OutboundClientCredentials
            | Self::OutboundExchangeCode
            | Self::OutboundRefresh => Some("POST"),
            Self::OutboundRevoke => Some("DELETE"),
            Self::ConnectWidget
            | Self::ConnectLanding
            | Self::ConnectOAuthReturn
            | Self::OutboundAuthorizationReturn => None,
        }
    }

    fn describe(self) -> (Product, &'static str, &'static str) {
        use Product::{Connect, Outbound, Pay};
        match self {
            Self::PayAuthorize => (Pay, "authorize", "request a session token"),
            Self::PayInitiateSession => (Pay, "initiateSession", "start a payment session"),
            Self::ConnectGenerateAuthorizeToken => (Connect, "generateAuthorizeToken", "request an authorize token"),
            Self::ConnectAuthorize => (Connect, "authorize", "authorize an end user"),
            Self::ConnectWidget => (Connect, "widget", "build a widget URL"),
            Self::ConnectLanding => (Connect, "landing", "verify a landing request"),
            Self::ConnectOAuthReturn => (Connect, "oauth", "verify a callback"),
            Self::OutboundAuthorizationReturn => (Outbound, "authorize", "verify a callback"),
            Self::OutboundClientCredentials => (Outbound, "clientCredentials", "request an access token"),
            Self::OutboundExchangeCode => (Outbound, "exchangeCode", "exchange an authorization code"),
            Self::OutboundRefresh => (Outbound, "refresh", "refresh an access token"),
            Self::OutboundRevoke => (Outbound, "revoke", "revoke an end user's tokens"),
        }
    }
}
