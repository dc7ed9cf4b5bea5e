//! The operations of Flinks, and the local steps that can fail.

/// A product of Flinks.
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

/// A call to Flinks, or a local step that sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    PayAuthorize,
    PayInitiateSession,
    ConnectGenerateAuthorizeToken,
    ConnectAuthorize,
    ConnectWidget,
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

    /// The `operationId`; for a grant or a local step, a name of this crate.
    pub(crate) fn id(self) -> &'static str {
        self.describe().1
    }

    /// A verb phrase that fits "failed to …".
    pub(crate) fn purpose(self) -> &'static str {
        self.describe().2
    }

    fn describe(self) -> (Product, &'static str, &'static str) {
        use Product::{Connect, Outbound, Pay};
        match self {
            Self::PayAuthorize => (Pay, "authorize", "get a session token"),
            Self::PayInitiateSession => (Pay, "initiateSession", "start a payment session"),
            Self::ConnectGenerateAuthorizeToken => (Connect, "generateAuthorizeToken", "get an authorize token"),
            Self::ConnectAuthorize => (Connect, "authorize", "authorize an end user"),
            Self::ConnectWidget => (Connect, "widget", "make a widget's address"),
            Self::ConnectOAuthReturn => (Connect, "oauth", "verify the return of an end user"),
            Self::OutboundAuthorizationReturn => (Outbound, "authorize", "verify the return of an end user"),
            Self::OutboundClientCredentials => (Outbound, "clientCredentials", "get an access token"),
            Self::OutboundExchangeCode => (Outbound, "exchangeCode", "exchange a code"),
            Self::OutboundRefresh => (Outbound, "refresh", "exchange a refresh token"),
            Self::OutboundRevoke => (Outbound, "revoke", "end a connection"),
        }
    }
}
