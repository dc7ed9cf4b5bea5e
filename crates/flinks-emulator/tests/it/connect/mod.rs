//! Tests for Connect (rules C1 to C8).

mod accounts_detail;
mod authorize;
mod iframe;
mod oauth;
mod token;

const WRONG_KEY: &str = "You must provide a valid auth key";
const WRONG_TOKEN: &str = "You must provide a valid authorize token";
