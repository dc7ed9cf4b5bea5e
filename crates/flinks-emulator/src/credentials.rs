//! The credentials that the emulator takes. Made up: they open nothing but the emulator.

/// `Username` of Pay.
pub const PAY_USERNAME: &str = "emulator-user";
/// `Password` of Pay. It holds the characters that a form must encode.
pub const PAY_PASSWORD: &str = "emulator & = + % é password";

/// The customer id of Connect.
pub const CONNECT_CUSTOMER_ID: &str = "00000000-0000-4000-8000-000000000001";
/// The secret key of Connect, for `GenerateAuthorizeToken` and nothing else (C4).
pub const CONNECT_SECRET_KEY: &str = "emulator-secret-key";

/// `client_id` of Outbound.
pub const OUTBOUND_CLIENT_ID: &str = "dc-emulator";
/// `client_secret` of Outbound.
pub const OUTBOUND_CLIENT_SECRET: &str = "emulator-client-secret";
/// An authorization code of Outbound, as if a user had just consented.
pub const OUTBOUND_CODE: &str = "emulator-code";
/// The `redirect_uri` that [`OUTBOUND_CODE`] was issued for (O9).
pub const OUTBOUND_REDIRECT_URI: &str = "https://app.example/callback";
/// A refresh token of Outbound; it does not change when it is exchanged (O5).
pub const OUTBOUND_REFRESH_TOKEN: &str = "emulator-refresh-token";
