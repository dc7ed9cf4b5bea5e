//! `GetAccountsDetail`, which returns the accounts for a session that `/Authorize` has started. If
//! the data is not ready, the status is 202, and the client polls `GetAccountsDetailAsync`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::problem::{Problem, invalid_request};
use crate::bank::{Account, Refusal, Transaction, rfc3339};
use crate::config::Party;
use crate::http::{Call, Fields, Reply};
use crate::state::{DataRequest, DataSession, EmulatorState};

pub(in crate::rules) fn get_accounts_detail(state: &mut EmulatorState, call: &Call) -> Reply {
    let outcome = request_data(state, call);
    outcome.unwrap_or_else(|problem| problem.with_statuses(&state.config.connect).reply())
}

pub(in crate::rules) fn get_accounts_detail_async(state: &mut EmulatorState, call: &Call) -> Reply {
    let outcome = poll(state, call);
    outcome.unwrap_or_else(|problem| problem.with_statuses(&state.config.connect).reply())
}

fn request_data(state: &mut EmulatorState, call: &Call) -> Result<Reply, Problem> {
    let party = authenticate(state, call)?;
    let body = call.json().map_err(|problem| match problem.field {
        Some(name) => Problem::invalid_fields([(name, "must appear exactly once")]),
        None => invalid_request("The body must be a JSON object, and the Content-Type must be application/json").into(),
    })?;
    let request_id = body.text("RequestId").and_then(|text| Uuid::parse_str(text).ok());
    let request_id = request_id.ok_or_else(|| Problem::invalid_fields([("RequestId", "must be a GUID")]))?.to_string();
    let request = DataRequest {
        with_identity: flag(&body, "WithAccountIdentity")?,
        with_transactions: flag(&body, "WithTransactions")?,
    };
    flag(&body, "WithKYC")?;
    if body.get("DaysOfTransactions").is_some_and(|days| !days.is_string()) {
        return Err(Problem::invalid_fields([("DaysOfTransactions", "must be a string")]));
    }
    session(state, &request_id, &party)?.request = Some(request);
    proceed(state, call, &request_id, &party)
}

fn poll(state: &mut EmulatorState, call: &Call) -> Result<Reply, Problem> {
    let party = authenticate(state, call)?;
    let request_id = Uuid::parse_str(&call.second_parameter)
        .map_err(|_| Problem::invalid_fields([("RequestId", "must be a GUID")]))?
        .to_string();
    if session(state, &request_id, &party)?.request.is_none() {
        return Err(invalid_request("GetAccountsDetail must be called first").into());
    }
    proceed(state, call, &request_id, &party)
}

/// Returns the customer that sent a request.
fn authenticate(state: &EmulatorState, call: &Call) -> Result<Party, Problem> {
    let config = &state.config.connect;
    let unauthorized = Refusal::new(401, "UNAUTHORIZED", "You must provide a valid API key");
    let customer = config.customer(&call.parameter).ok_or(unauthorized)?;
    if config.require_api_key && call.header("x-api-key") != Some(customer.api_key) {
        return Err(unauthorized.into());
    }
    Ok(customer.party)
}

/// Returns the value of a Boolean field, which defaults to `true`.
fn flag(body: &Fields<Value>, name: &'static str) -> Result<bool, Problem> {
    match body.get(name) {
        None => Ok(true),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Problem::invalid_fields([(name, "must be true or false")])),
    }
}

fn session<'a>(state: &'a mut EmulatorState, request_id: &str, party: &Party) -> Result<&'a mut DataSession, Problem> {
    let now = state.now();
    if state.connect.challenges.get(request_id).is_some_and(|challenge| challenge.party == *party) {
        let message = "The bank's security question has not been answered";
        return Err(Refusal::new(401, "UNAUTHORIZED", message).into());
    }
    let session = state.connect.sessions.get_mut(request_id).filter(|session| session.party == *party);
    let session = session.ok_or(Refusal::new(400, "SESSION_NONEXISTENT", "The session does not exist"))?;
    if now >= session.expires_at {
        return Err(Refusal::new(401, "SESSION_EXPIRED", "The session has expired").into());
    }
    Ok(session)
}

/// Returns the accounts, or a 202 response if they are not ready.
fn proceed(state: &mut EmulatorState, call: &Call, request_id: &str, party: &Party) -> Result<Reply, Problem> {
    let session = session(state, request_id, party)?;
    if let Some(remaining) = session.pending_replies.checked_sub(1) {
        session.pending_replies = remaining;
        return Ok(pending(call, request_id));
    }
    let Some(request) = session.request else {
        return Err(invalid_request("GetAccountsDetail must be called first").into());
    };
    let (key, login_id) = (session.user, session.login_id.clone());
    let user = state.banks.user(key);
    let institution = state.banks.name(key.bank);
    let data = EndUserData { request, started_at: state.started_at };
    let accounts = user.iter().flat_map(|user| &user.accounts).map(|account| data.account(account));
    let username = user.map(|user| user.username.get_ref());
    let body = json!({
        "HttpStatusCode": 200,
        "Accounts": accounts.collect::<Vec<_>>(),
        "Login": {"Username": username, "IsScheduledRefresh": false, "Type": "Personal", "Id": login_id},
        "Institution": institution,
        "InstitutionName": institution,
        "InstitutionId": state.banks.bank(key.bank).map(|bank| bank.id.get_ref()),
        "RequestId": request_id,
    });
    Ok(Reply::json(StatusCode::OK, &body))
}

fn pending(call: &Call, request_id: &str) -> Reply {
    let customer_id = &call.parameter;
    let body = json!({
        "FlinksCode": "OPERATION_PENDING",
        "Links": [{
            "rel": "GetAccountsDetailAsync",
            "href": "/GetAccountsDetailAsync",
            "example": format!("/v3/{customer_id}/BankingServices/GetAccountsDetailAsync/{request_id}"),
        }],
        "HttpStatusCode": 202,
        "Message": "Your operation is still processing",
        "RequestId": request_id,
    });
    Reply::json(StatusCode::ACCEPTED, &body)
}

/// The parts of an end user's data that the client has requested. All other parts are `null`.
struct EndUserData {
    request: DataRequest,
    /// The time to which the ages of the transactions relate.
    started_at: Duration,
}

impl EndUserData {
    fn account(&self, account: &Account) -> Value {
        let Account { id, kind, name, number, transit_number, currency, balance, .. } = account;
        json!({
            "Id": id.get_ref(),
            "Title": name,
            "AccountNumber": number,
            "TransitNumber": transit_number,
            "InstitutionNumber": "999",
            "OverdraftLimit": 0,
            "Balance": {"Available": (!kind.is_credit()).then_some(balance), "Current": balance, "Limit": null},
            "Category": if kind.is_credit() { "Credits" } else { "Operations" },
            "Type": kind.connect_name(),
            "Currency": currency,
            "Holder": self.request.with_identity.then(holder),
            "Transactions": self.request.with_transactions.then(|| self.transactions(account)),
        })
    }

    /// Returns an account's transactions, newest first, each with the balance after it.
    fn transactions(&self, account: &Account) -> Vec<Value> {
        let mut balance = account.balance;
        let transaction = |(posted, transaction): (Duration, &Transaction)| {
            let amount = transaction.amount;
            let body = json!({
                "Id": transaction.id,
                "Date": date(posted),
                "Code": null,
                "Description": transaction.description,
                "Debit": (amount < 0.0).then_some(-amount),
                "Credit": (amount >= 0.0).then_some(amount),
                "Balance": in_cents(balance),
            });
            balance = if account.kind.is_credit() { balance + amount } else { balance - amount };
            body
        };
        account.transactions_at(self.started_at).into_iter().map(transaction).collect()
    }
}

/// Rounds an amount to cents, because a sum of binary fractions is not exact.
fn in_cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

/// Returns the UTC date of a time.
fn date(time: Duration) -> Option<String> {
    let text = rfc3339(time)?;
    text.split('T').next().map(str::to_owned)
}

fn holder() -> Value {
    json!({
        "Name": "Emulated Holder",
        "Address": {
            "CivicAddress": "1 Example Street", "City": "Montreal", "Province": "QC", "PostalCode": "H0H 0H0",
            "POBox": null, "Country": "CA",
        },
        "Email": "holder@example.com",
        "PhoneNumber": "5145550100",
    })
}
