//! The guide, which lists the emulator's credentials and commands to try.

use crate::config::{ClientAuthentication, Config};
use crate::credentials;

/// Returns the guide, with one command for each endpoint.
///
/// A credential that differs from the default may be real, so the guide contains a placeholder such
/// as `$PASSWORD` instead.
pub(crate) fn guide(base_url: &str, config: &Config) -> String {
    let defaults = Config::default();
    let Config { pay, connect, outbound, .. } = config;
    let shown =
        |value: &str, default: &str, name: &str| if value == default { value.to_owned() } else { format!("${name}") };
    let username = shown(&pay.username, &defaults.pay.username, "USERNAME");
    let password = shown(&pay.password, &defaults.pay.password, "PASSWORD");
    let secret_key = shown(&connect.secret_key, &defaults.connect.secret_key, "SECRET_KEY");
    let api_key = shown(&connect.api_key, &defaults.connect.api_key, "API_KEY");
    let client_id = shown(&outbound.client_id, &defaults.outbound.client_id, "CLIENT_ID");
    let client_secret = shown(&outbound.client_secret, &defaults.outbound.client_secret, "CLIENT_SECRET");
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let fields = format!("\\\"client_id\\\": \\\"{client_id}\\\", \\\"client_secret\\\": \\\"{client_secret}\\\", ");
    let (basic, fields) = match outbound.client_authentication {
        ClientAuthentication::Basic => (format!(" -u \"{client_id}:{client_secret}\""), String::new()),
        ClientAuthentication::None => (String::new(), String::new()),
        _ => (String::new(), fields),
    };
    let token = format!("curl {base_url}/api/v1/token{basic} -H 'Content-Type: application/json' -d");
    let first_uri = credentials::OUTBOUND_REDIRECT_URI;
    let return_url = connect.redirect_origins.first().map_or("https://app.example", String::as_str);
    format!(
        r#"{base_url}

A local emulator of Flinks Pay, Connect and Outbound with test credentials. Press Ctrl-C to stop the program.
Replace a $PLACEHOLDER with the value from an earlier response or from your configuration.
A session token, an authorize token and a code can be used once. Request a new one after you have spent it.

pay       user name {username}
          password  {password}

  # issues $SESSION_TOKEN: access_token in the response
  curl {base_url}/api/v1/authorize -d grant_type=client_credentials --data-urlencode "Username={username}" --data-urlencode "Password={password}"
  # spends the token and starts $SESSION_ID: sessionId in the response
  curl {base_url}/api/v1/sessions/initiate -H "{token_header}: Bearer $SESSION_TOKEN" -H 'Content-Type: application/json' -d '{{"referenceId": "1", "amount": 10.5, "customerName": "A", "customerEmail": "a@example.com"}}'
  # creates $REQUEST_ID: requestId in the response
  curl {base_url}/api/v1/paymentrequests -H "{token_header}: Bearer $SESSION_TOKEN" -H 'Content-Type: application/json' -d "{{\"sessionId\": \"$SESSION_ID\"}}"
  curl {base_url}/api/v1/paymentrequests/$REQUEST_ID -H "{token_header}: Bearer $SESSION_TOKEN"
  # open in a browser; the payer approves or cancels the payment
  {base_url}/app/?sessionId=$SESSION_ID

connect   customer id {customer_id}
          secret key  {secret_key}
          API key     {api_key}
          login id    {login_id}
          bank users  {bank_user} (with security questions), {bank_user_no_mfa} (without); password {bank_password}

  # issues $AUTHORIZE_TOKEN: Token in the response
  curl -X POST {base_url}/v3/{customer_id}/BankingServices/GenerateAuthorizeToken -H 'Content-Type: application/json' -H "flinks-auth-key: {secret_key}"
  # spends the token and starts $DATA_REQUEST_ID: RequestId in the response
  curl {base_url}/v3/{customer_id}/BankingServices/Authorize -H 'Content-Type: application/json' -H "flinks-auth-key: $AUTHORIZE_TOKEN" -d '{{"LoginId": "{login_id}", "MostRecentCached": true}}'
  # returns the accounts; after a 202 response, poll with the next command
  curl {base_url}/v3/{customer_id}/BankingServices/GetAccountsDetail -H 'Content-Type: application/json' -H "x-api-key: {api_key}" -d "{{\"RequestId\": \"$DATA_REQUEST_ID\"}}"
  curl {base_url}/v3/{customer_id}/BankingServices/GetAccountsDetailAsync/$DATA_REQUEST_ID -H "x-api-key: {api_key}"
  # open in a browser, or in an iframe of your page; spends another token
  {base_url}/v2/?redirectUrl={return_url}&authorizeToken=$AUTHORIZE_TOKEN
  # open in a browser
  {base_url}/v3/oauth/authorize?institution_id={bank_id}&redirect_uri={return_url}&state=1

outbound  client id     {client_id}
          client secret {client_secret}
          code          {code} (for redirect_uri {first_uri})
          refresh token {refresh_token}

  {token} "{{{fields}\"grant_type\": \"client_credentials\"}}"
  # open in a browser; redirects back with a code
  {base_url}/api/v1/authorize?client_id={encoded_client_id}&redirect_uri={redirect_uri}&state=1&response_type=code&scope=ACCOUNT_BASIC&provider_id={provider_id}
  {token} "{{{fields}\"grant_type\": \"authorization_code\", \"code\": \"{code}\", \"redirect_uri\": \"{first_uri}\"}}"
  # issues $USER_TOKEN: access_token in the response
  {token} "{{{fields}\"grant_type\": \"refresh_token\", \"refresh_token\": \"{refresh_token}\"}}"
  curl {base_url}/api/fdx/5/accounts -H "Authorization: Bearer $USER_TOKEN"
  # revokes the connection, including the refresh token
  curl -X DELETE {base_url}/api/v1/revoke -H "Authorization: Bearer $USER_TOKEN"

control   inspects requests and tokens, advances the clock, schedules faults

  # lists all endpoints of the control API
  curl {base_url}/__emulator/
  curl {base_url}/__emulator/advance -d '{{"seconds": 300}}'
  curl {base_url}/__emulator/faults -d '{{"operation": "pay.authorize", "fault": {{"kind": "reset", "when": "after"}}}}'
  curl -X DELETE {base_url}/__emulator/faults
  curl {base_url}/__emulator/requests
  curl {base_url}/__emulator/tokens
  curl -X POST {base_url}/__emulator/reset

environment variables for `cargo run --example quickstart` in this repository

  export FLINKS_PAY_URL={base_url} FLINKS_PAY_USERNAME="{username}" FLINKS_PAY_PASSWORD="{password}"
  export FLINKS_CONNECT_URL={base_url} FLINKS_CONNECT_CUSTOMER_ID={customer_id} FLINKS_CONNECT_SECRET_KEY="{secret_key}"
  export FLINKS_OUTBOUND_URL={base_url} FLINKS_OUTBOUND_CLIENT_ID="{client_id}" FLINKS_OUTBOUND_CLIENT_SECRET="{client_secret}"
"#,
        token_header = pay.token_header,
        customer_id = connect.customer_id,
        login_id = credentials::CONNECT_LOGIN_ID,
        bank_user = credentials::BANK_USER,
        bank_user_no_mfa = credentials::BANK_USER_NO_MFA,
        bank_password = credentials::BANK_PASSWORD,
        bank_id = credentials::BANK_ID,
        code = credentials::OUTBOUND_CODE,
        refresh_token = credentials::OUTBOUND_REFRESH_TOKEN,
        encoded_client_id = encoded(&outbound.client_id),
        redirect_uri = encoded(outbound.redirect_uris.first().map_or(first_uri, String::as_str)),
        provider_id = credentials::OUTBOUND_PROVIDER_ID,
    )
}
