//! The default credentials of an emulator. They are public test values that only the emulator
//! accepts. Use a [`Config`](crate::Config) to set other client credentials.

/// The `Username` for Pay.
pub const PAY_USERNAME: &str = "emulator-user";
/// The `Password` for Pay. It contains characters that must be percent-encoded in a form.
pub const PAY_PASSWORD: &str = "emulator & = + % é password";

/// The customer id for Connect.
pub const CONNECT_CUSTOMER_ID: &str = "00000000-0000-4000-8000-000000000001";
/// The secret key for Connect. Only `GenerateAuthorizeToken` accepts it.
pub const CONNECT_SECRET_KEY: &str = "emulator-secret-key";
/// The API key for Connect. Only the data endpoints, such as `GetAccountsDetail`, accept it.
pub const CONNECT_API_KEY: &str = "emulator-api-key";
/// A Connect `LoginId` that exists when the emulator starts, as if an end user had already
/// connected.
pub const CONNECT_LOGIN_ID: &str = "00000000-0000-4000-8000-000000000002";

/// The name of the default bank.
pub const BANK: &str = "FlinksCapital";
/// The institution id that Connect uses for the default bank.
pub const BANK_ID: u32 = 14;
/// A bank user who must answer three security questions (MFA).
pub const BANK_USER: &str = "Greatday";
/// A bank user without security questions.
pub const BANK_USER_NO_MFA: &str = "greatday_nomfa";
/// A bank user whose login is disabled and fails with the error code `DISABLED_LOGIN`.
pub const BANK_USER_DISABLED: &str = "test_disabled_account";
/// A bank user whose login fails with the error code `RETRY_LATER`, as if the bank were
/// unavailable.
pub const BANK_USER_UNAVAILABLE: &str = "test_service_unavailable";
/// The password that all users of the default bank share.
pub const BANK_PASSWORD: &str = "Everyday";

/// The `client_id` for Outbound.
pub const OUTBOUND_CLIENT_ID: &str = "dc-emulator";
/// The `client_secret` for Outbound.
pub const OUTBOUND_CLIENT_SECRET: &str = "emulator-client-secret";
/// The `provider_id` that Outbound uses for the default bank.
pub const OUTBOUND_PROVIDER_ID: &str = "1000";
/// An Outbound authorization code that is issued when the emulator starts, as if an end user had
/// just given consent.
///
/// The code can be exchanged only once. [`Emulator::issue_code`](crate::Emulator::issue_code)
/// issues more.
pub const OUTBOUND_CODE: &str = "emu_first-code";
/// The `redirect_uri` for which [`OUTBOUND_CODE`] was issued.
pub const OUTBOUND_REDIRECT_URI: &str = "https://app.example/callback";
/// An Outbound refresh token that is issued when the emulator starts, as if a code had just been
/// exchanged. It belongs to the same end user as [`OUTBOUND_CODE`].
pub const OUTBOUND_REFRESH_TOKEN: &str = "emu_first-refresh-token";
