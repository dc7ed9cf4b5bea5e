//! The credentials that an emulator takes unless its [`Config`](crate::Config) says otherwise. Made up: they open
//! nothing but the emulator.

/// `Username` of Pay.
pub const PAY_USERNAME: &str = "emulator-user";
/// `Password` of Pay. It holds the characters that a form must encode.
pub const PAY_PASSWORD: &str = "emulator & = + % é password";

/// The customer id of Connect.
pub const CONNECT_CUSTOMER_ID: &str = "00000000-0000-4000-8000-000000000001";
/// The secret key of Connect, for `GenerateAuthorizeToken` and nothing else (C4).
pub const CONNECT_SECRET_KEY: &str = "emulator-secret-key";
/// A `LoginId` of Connect, as if an end user had connected earlier.
pub const CONNECT_LOGIN_ID: &str = "00000000-0000-4000-8000-000000000002";

/// The only bank of the emulator, by name.
pub const BANK: &str = "FlinksCapital";
/// The only bank of the emulator, by Connect's institution id.
pub const BANK_ID: u32 = 14;
/// A user of the bank who is asked three questions (MFA).
pub const BANK_USER: &str = "Greatday";
/// A user of the bank who is asked none.
pub const BANK_USER_NO_MFA: &str = "greatday_nomfa";
/// A user of the bank whose login is disabled (`DISABLED_LOGIN`).
pub const BANK_USER_DISABLED: &str = "test_disabled_account";
/// A user of the bank for whom it is out of reach (`RETRY_LATER`).
pub const BANK_USER_UNAVAILABLE: &str = "test_service_unavailable";
/// The password of all users of the bank.
pub const BANK_PASSWORD: &str = "Everyday";

/// `client_id` of Outbound.
pub const OUTBOUND_CLIENT_ID: &str = "dc-emulator";
/// `client_secret` of Outbound.
pub const OUTBOUND_CLIENT_SECRET: &str = "emulator-client-secret";
/// `provider_id` of Outbound's only provider.
pub const OUTBOUND_PROVIDER_ID: &str = "1000";
/// An authorization code of Outbound, as if a user had consented just as the emulator started. It can be exchanged
/// once (O9); [`Emulator::issue_code`](crate::Emulator::issue_code) gives more.
pub const OUTBOUND_CODE: &str = "emu_first-code";
/// The `redirect_uri` that [`OUTBOUND_CODE`] was issued for (O9).
pub const OUTBOUND_REDIRECT_URI: &str = "https://app.example/callback";
/// A refresh token of Outbound, as if its code had been exchanged just as the emulator started (O5).
pub const OUTBOUND_REFRESH_TOKEN: &str = "emu_first-refresh-token";
