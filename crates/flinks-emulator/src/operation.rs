//! The table of operations, with the name, routes, handler and purpose of each.
//!
//! [`operations!`] contains the rows and passes them to another macro. This file uses `operations!`
//! to define the [`Operation`] enum, and `rules/mod.rs` uses it to dispatch requests, so this file
//! does not need to import the rules.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Invokes a macro with all rows of the table. A row contains the operation's purpose, variant,
/// name in the control API, routes and handler.
///
/// Every list of operations has the same order as the rows. The first route of each operation is
/// the documented one.
macro_rules! operations {
    ($apply:ident) => {
        $apply! {
            /// Issues a session token in exchange for a user name and a password.
            PayAuthorize = "pay.authorize", ["POST /api/v1/authorize"], pay::authorize;
            /// Starts a session and spends the session token.
            PayInitiateSession = "pay.initiate_session", ["POST /api/v1/sessions/initiate"], pay::initiate_session;
            /// Creates a payment request for a session.
            PayCreatePaymentRequest = "pay.create_payment_request", ["POST /api/v1/paymentrequests"],
                pay::create_payment_request;
            /// Returns the status of a payment request.
            PayGetPaymentRequest = "pay.get_payment_request", ["GET /api/v1/paymentrequests/{id}"],
                pay::get_payment_request;
            /// Opens the application in which the payer approves or cancels a payment.
            PayApp = "pay.app", ["GET /app/", "GET /app"], pay::app;
            /// Redirects to the application or accepts the payer's decision.
            PayAppStep = "pay.app_step", ["GET /__pages/pay/{id}", "POST /__pages/pay/{id}"], pay::app_step;
            /// Issues an authorize token in exchange for the secret key.
            ConnectGenerateAuthorizeToken = "connect.generate_authorize_token",
                ["POST /v3/{customerId}/BankingServices/GenerateAuthorizeToken"], connect::generate_authorize_token;
            /// Logs an end user in to the bank and spends the authorize token.
            ConnectAuthorize = "connect.authorize", ["POST /v3/{customerId}/BankingServices/Authorize"],
                connect::authorize;
            /// Requests the accounts of a logged-in end user.
            ConnectGetAccountsDetail = "connect.get_accounts_detail",
                ["POST /v3/{customerId}/BankingServices/GetAccountsDetail"], connect::get_accounts_detail;
            /// Returns the accounts once they are ready.
            ConnectGetAccountsDetailAsync = "connect.get_accounts_detail_async",
                ["GET /v3/{customerId}/BankingServices/GetAccountsDetailAsync/{requestId}"],
                connect::get_accounts_detail_async;
            /// Opens the iframe page and spends the authorize token.
            ConnectIframe = "connect.iframe", ["GET /v2/", "GET /v2", "GET /"], connect::iframe;
            /// Shows the current step of the iframe page or accepts its form.
            ConnectIframeStep = "connect.iframe_step",
                ["GET /__pages/connect/{id}", "POST /__pages/connect/{id}"], connect::iframe_step;
            /// Redirects to the bank's login page (custom OAuth).
            ConnectOAuthAuthorize = "connect.oauth_authorize", ["GET /v3/oauth/authorize"], connect::oauth_authorize;
            /// Shows the bank's login page or accepts its form.
            ConnectOAuthStep = "connect.oauth_step",
                ["GET /__pages/bank/{id}", "POST /__pages/bank/{id}"], connect::oauth_step;
            /// Opens the consent page.
            OutboundAuthorize = "outbound.authorize", ["GET /api/v1/authorize"], outbound::authorize;
            /// Shows the consent page again or accepts its form.
            OutboundAuthorizeStep = "outbound.authorize_step",
                ["GET /__pages/consent/{id}", "POST /__pages/consent/{id}"], outbound::authorize_step;
            /// Exchanges client credentials, a code or a refresh token for an access token.
            OutboundToken = "outbound.token", ["POST /api/v1/token"], outbound::token;
            /// Revokes an end user's connection.
            OutboundRevoke = "outbound.revoke", ["DELETE /api/v1/revoke"], outbound::revoke;
            /// Returns an end user's accounts.
            OutboundAccounts = "outbound.accounts", ["GET /api/fdx/5/accounts"], outbound::accounts;
            /// Returns the details of an account.
            OutboundAccount = "outbound.account", ["GET /api/fdx/5/accounts/{id}"], outbound::account;
            /// Returns the transactions of an account.
            OutboundTransactions = "outbound.transactions", ["GET /api/fdx/5/accounts/{id}/transactions"],
                outbound::transactions;
        }
    };
}
pub(crate) use operations;

macro_rules! define_operation {
    ($(
        #[doc = $purpose:literal]
        $operation:ident = $name:literal, [$($route:literal),+], $product:ident::$handler:ident;
    )+) => {
        /// An operation of the emulator. You can schedule faults and count requests per operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Operation {
            $(
                #[doc = $purpose]
                ///
                $(#[doc = concat!("- `", $route, "`")])+
                #[serde(rename = $name)]
                $operation,
            )+
        }

        impl Operation {
            /// All operations, grouped by product.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$operation),+];

            const fn name(self) -> &'static str {
                match self { $(Self::$operation => $name,)+ }
            }

            /// Returns the operation's purpose as a sentence.
            pub(crate) fn purpose(self) -> &'static str {
                match self { $(Self::$operation => $purpose.trim_start(),)+ }
            }

            /// Returns the operation's routes. A route is a method and a path, separated by a
            /// space.
            pub(crate) const fn routes(self) -> &'static [&'static str] {
                match self { $(Self::$operation => &[$($route),+],)+ }
            }
        }
    };
}
operations!(define_operation);

/// Writes the name that the operation has in the control API, such as `pay.authorize`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_json_equals_the_display_name() {
        for operation in Operation::ALL {
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.to_string());
        }
    }
}
