//! Programs that must not compile, each paired with a corrected version that compiles.
//!
//! A code can be exchanged only once, `invalidate` takes an access token, and `import` takes a
//! refresh token:
//!
//! ```
//! async fn twin(consents: flinks_consents::Consents, id: flinks_consents::ConsentId, code: flinks_consents::flinks::outbound::AuthorizationCode, token: flinks_consents::flinks::outbound::AccessToken) {
//!     if let Ok(consent) = consents.exchange_code(&id, code).await {
//!         consent.invalidate(&token);
//!     }
//! }
//! ```
//! ```compile_fail,E0382
//! async fn twice(consents: flinks_consents::Consents, id: flinks_consents::ConsentId, code: flinks_consents::flinks::outbound::AuthorizationCode) {
//!     let _ = consents.exchange_code(&id, code).await;
//!     let _ = consents.exchange_code(&id, code).await;
//! }
//! ```
//! ```compile_fail,E0308
//! async fn swapped(consent: flinks_consents::Consent, token: flinks_consents::flinks::outbound::RefreshToken) {
//!     consent.invalidate(&token);
//! }
//! ```
//! ```
//! async fn twin(consents: flinks_consents::Consents, id: flinks_consents::ConsentId, token: flinks_consents::flinks::outbound::RefreshToken) {
//!     let _ = consents.import(&id, token, std::time::SystemTime::now()).await;
//! }
//! ```
//! ```compile_fail,E0308
//! async fn swapped(consents: flinks_consents::Consents, id: flinks_consents::ConsentId, token: flinks_consents::flinks::outbound::AccessToken) {
//!     let _ = consents.import(&id, token, std::time::SystemTime::now()).await;
//! }
//! ```
