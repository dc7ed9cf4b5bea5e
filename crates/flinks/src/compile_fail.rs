//! Programs that must not compile. Each program is preceded by a correct variant, which must
//! compile.
//!
//! A Pay session token can be used only once:
//!
//! ```
//! async fn valid(pay: flinks::pay::Client, token: flinks::pay::SessionToken) {
//!     let _ = token.into_authorization();
//! }
//! ```
//! ```compile_fail,E0382
//! async fn twice(pay: flinks::pay::Client, token: flinks::pay::SessionToken) {
//!     let _ = token.into_authorization();
//!     let _ = token.into_authorization();
//! }
//! ```
//! ```
//! async fn valid(pay: flinks::pay::Client, token: flinks::pay::SessionToken, session: flinks::pay::NewSession) {
//!     let _ = pay.initiate_session(token, &session).await;
//! }
//! ```
//! ```compile_fail,E0382
//! async fn twice(pay: flinks::pay::Client, token: flinks::pay::SessionToken, session: flinks::pay::NewSession) {
//!     let _ = pay.initiate_session(token, &session).await;
//!     let _ = token.into_authorization();
//! }
//! ```
//!
//! A Connect authorize token can be used only once:
//!
//! ```
//! async fn valid(widget: flinks::connect::Widget, token: flinks::connect::AuthorizeToken) {
//!     let _ = widget.url(token);
//! }
//! ```
//! ```compile_fail,E0382
//! async fn two_urls(widget: flinks::connect::Widget, token: flinks::connect::AuthorizeToken) {
//!     let _ = widget.url(token);
//!     let _ = widget.url(token);
//! }
//! ```
//! ```
//! use flinks::connect::{AuthorizeToken, Authorize, Client};
//! async fn valid(client: Client, token: AuthorizeToken, request: Authorize) {
//!     let _ = client.authorize(token, &request).await;
//! }
//! ```
//! ```compile_fail,E0382
//! use flinks::connect::{AuthorizeToken, Authorize, Client};
//! async fn twice(client: Client, token: AuthorizeToken, request: Authorize) {
//!     let _ = client.authorize(token, &request).await;
//!     let _ = client.authorize(token, &request).await;
//! }
//! ```
//! ```
//! fn valid(token: flinks::connect::AuthorizeToken) {
//!     let _ = token.into_header();
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(token: flinks::connect::AuthorizeToken) {
//!     let _ = token.into_header();
//!     let _ = token.into_header();
//! }
//! ```
//!
//! A secret key cannot be used as a token, and a token cannot be used as a secret key:
//!
//! ```
//! fn valid(widget: flinks::connect::Widget, token: flinks::connect::AuthorizeToken) {
//!     let _ = widget.url(token);
//! }
//! ```
//! ```compile_fail,E0308
//! fn key_as_token(widget: flinks::connect::Widget, key: flinks::connect::SecretKey) {
//!     let _ = widget.url(key);
//! }
//! ```
//! ```
//! use flinks::connect::{AuthorizeToken, Client, CustomerId, Instance, SecretKey};
//! fn valid(instance: Instance, id: CustomerId, key: SecretKey) {
//!     let _ = Client::builder(instance, id, key).build();
//! }
//! ```
//! ```compile_fail,E0308
//! use flinks::connect::{AuthorizeToken, Client, CustomerId, Instance, SecretKey};
//! fn token_as_key(instance: Instance, id: CustomerId, token: AuthorizeToken) {
//!     let _ = Client::builder(instance, id, token).build();
//! }
//! ```
//! ```compile_fail,E0277
//! fn conversion(key: flinks::connect::SecretKey) -> flinks::connect::LoginId {
//!     key.into()
//! }
//! ```
//!
//! A challenge can be answered only once, and a pending authorization and a pending landing can be
//! verified only once:
//!
//! ```
//! use flinks::connect::{Answers, AuthorizeToken, Challenge, Client};
//! async fn valid(client: Client, challenge: Challenge, tokens: [AuthorizeToken; 2]) {
//!     let [first, second] = tokens;
//!     let _ = client.answer(first, challenge, &Answers::new()).await;
//! }
//! ```
//! ```compile_fail,E0382
//! use flinks::connect::{Answers, AuthorizeToken, Challenge, Client};
//! async fn twice(client: Client, challenge: Challenge, tokens: [AuthorizeToken; 2]) {
//!     let [first, second] = tokens;
//!     let _ = client.answer(first, challenge, &Answers::new()).await;
//!     let _ = client.answer(second, challenge, &Answers::new()).await;
//! }
//! ```
//! ```
//! fn valid(client: flinks::connect::Client, pending: flinks::connect::PendingAuthorization) {
//!     let _ = client.verify_oauth(pending, "state=1");
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(client: flinks::connect::Client, pending: flinks::connect::PendingAuthorization) {
//!     let _ = client.verify_oauth(pending, "state=1");
//!     let _ = client.verify_oauth(pending, "state=1");
//! }
//! ```
//! ```
//! fn valid(client: flinks::connect::Client, pending: flinks::connect::PendingLanding) {
//!     let _ = client.verify_landing(pending, "state=1");
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(client: flinks::connect::Client, pending: flinks::connect::PendingLanding) {
//!     let _ = client.verify_landing(pending, "state=1");
//!     let _ = client.verify_landing(pending, "state=1");
//! }
//! ```
//!
//! A login id from a landing cannot be used before it is confirmed:
//!
//! ```
//! use flinks::connect::{Authorize, Session, UnverifiedLoginId};
//! fn valid(login_id: UnverifiedLoginId, session: &Session) -> Result<Authorize, flinks::Error> {
//!     Ok(Authorize::live(&login_id.confirm(session)?))
//! }
//! ```
//! ```compile_fail,E0308
//! use flinks::connect::{Authorize, UnverifiedLoginId};
//! fn unconfirmed(login_id: UnverifiedLoginId) -> Authorize {
//!     Authorize::live(&login_id)
//! }
//! ```
//! ```compile_fail,E0599
//! fn text(login_id: flinks::connect::UnverifiedLoginId) -> String {
//!     login_id.expose_secret().to_owned()
//! }
//! ```
//!
//! An authorization code can be exchanged only once, and a refresh token cannot be used as an
//! access token:
//!
//! ```
//! async fn valid(client: flinks::outbound::Client, code: flinks::outbound::AuthorizationCode) {
//!     let _ = client.exchange_code(code).await;
//! }
//! ```
//! ```compile_fail,E0382
//! async fn twice(client: flinks::outbound::Client, code: flinks::outbound::AuthorizationCode) {
//!     let _ = client.exchange_code(code).await;
//!     let _ = client.exchange_code(code).await;
//! }
//! ```
//! ```
//! async fn valid(client: flinks::outbound::Client, token: flinks::outbound::AccessToken) {
//!     let _ = client.revoke(&token).await;
//! }
//! ```
//! ```compile_fail,E0308
//! async fn swapped(client: flinks::outbound::Client, token: flinks::outbound::RefreshToken) {
//!     let _ = client.revoke(&token).await;
//! }
//! ```
//! ```compile_fail,E0308
//! async fn swapped(client: flinks::outbound::Client, token: flinks::outbound::AccessToken) {
//!     let _ = client.refresh(&token).await;
//! }
//! ```
//!
//! Single-use tokens cannot be copied, compared, hashed, stored or displayed. Other types implement
//! `Clone`, `PartialEq`, `Hash`, `Serialize` or `Display`:
//!
//! ```
//! fn is<T: Clone + PartialEq + std::hash::Hash>() {}
//! is::<flinks::RedirectUrl>();
//! fn is_stored<T: serde::Serialize>() {}
//! is_stored::<flinks::connect::PendingAuthorization>();
//! fn is_shown<T: std::fmt::Display>() {}
//! is_shown::<flinks::Error>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::pay::SessionToken>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::connect::AuthorizeToken>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::connect::Challenge>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::connect::PendingAuthorization>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::connect::PendingLanding>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::connect::WidgetUrl>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::outbound::AuthorizationCode>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: Clone>() {}
//! is::<flinks::outbound::PendingAuthorization>();
//! ```
//! ```compile_fail,E0277
//! fn is_stored<T: serde::Serialize>() {}
//! is_stored::<flinks::outbound::AuthorizationCode>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: PartialEq>() {}
//! is::<flinks::pay::SessionToken>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: PartialEq>() {}
//! is::<flinks::connect::AuthorizeToken>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: std::hash::Hash>() {}
//! is::<flinks::pay::SessionToken>();
//! ```
//! ```compile_fail,E0277
//! fn is<T: std::hash::Hash>() {}
//! is::<flinks::connect::AuthorizeToken>();
//! ```
//! ```compile_fail,E0277
//! fn is_stored<T: serde::Serialize>() {}
//! is_stored::<flinks::pay::SessionToken>();
//! ```
//! ```compile_fail,E0277
//! fn is_stored<T: serde::Serialize>() {}
//! is_stored::<flinks::connect::AuthorizeToken>();
//! ```
//! ```compile_fail,E0277
//! fn is_shown<T: std::fmt::Display>() {}
//! is_shown::<flinks::pay::SessionToken>();
//! ```
//! ```compile_fail,E0277
//! fn is_shown<T: std::fmt::Display>() {}
//! is_shown::<flinks::connect::AuthorizeToken>();
//! ```
