//! What must not compile, each beside a twin that does and differs in the mistake only.
//!
//! A token of Pay is used once:
//!
//! ```
//! async fn twin(pay: flinks::pay::Client, token: flinks::pay::SessionToken) {
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
//! async fn twin(pay: flinks::pay::Client, token: flinks::pay::SessionToken, session: flinks::pay::NewSession) {
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
//! A token of Connect is used once:
//!
//! ```
//! async fn twin(widget: flinks::connect::Widget, token: flinks::connect::AuthorizeToken) {
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
//! async fn twin(client: Client, token: AuthorizeToken, request: Authorize) {
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
//!
//! A secret key is no token, and a token no key:
//!
//! ```
//! fn twin(widget: flinks::connect::Widget, token: flinks::connect::AuthorizeToken) {
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
//! fn twin(instance: Instance, id: CustomerId, key: SecretKey) {
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
//! A challenge is answered once, and what is pending is verified once:
//!
//! ```
//! use flinks::connect::{Answers, AuthorizeToken, Challenge, Client};
//! async fn twin(client: Client, challenge: Challenge, tokens: [AuthorizeToken; 2]) {
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
//! fn twin(client: flinks::connect::Client, pending: flinks::connect::PendingAuthorization) {
//!     let _ = client.verify_oauth(pending, "state=1");
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(client: flinks::connect::Client, pending: flinks::connect::PendingAuthorization) {
//!     let _ = client.verify_oauth(pending, "state=1");
//!     let _ = client.verify_oauth(pending, "state=1");
//! }
//! ```
//!
//! A code is exchanged once, and a refresh token is no access token:
//!
//! ```
//! async fn twin(client: flinks::outbound::Client, code: flinks::outbound::AuthorizationCode) {
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
//! async fn twin(client: flinks::outbound::Client, token: flinks::outbound::AccessToken) {
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
//! None of them is copied, compared, hashed, stored or shown; what is no token may be:
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
