//! The end user's accounts and transactions, in the FDX 5 format. Flinks documents three requests
//! for this data and the errors that they can return.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

use super::connection::end_user;
use super::refusal::Refusal;
use crate::bank::{Account, Transaction, User, parse_timestamp, rfc3339};
use crate::http::{Call, Fields, Reply};
use crate::state::{Connection, EmulatorState};

/// The default and maximum value of `limit`. Flinks documents neither.
const MAX_LIMIT: usize = 100;

/// Returns an error response from a data endpoint: `{code, message, debugMessage}`.
pub(in crate::rules) fn data_error(status: StatusCode, code: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"code": code.to_string(), "message": message, "debugMessage": message})).with_ids()
}

fn invalid_input(message: &str) -> Reply {
    let body = json!({"code": "401", "message": "Invalid Input", "debugMessage": message});
    Reply::json(StatusCode::BAD_REQUEST, &body).with_ids()
}

/// Returns the accounts. Without `resultType=details`, the response contains no balances.
pub(in crate::rules) fn accounts(state: &mut EmulatorState, call: &Call) -> Reply {
    respond(state, call, |data, query| {
        let wanted = query.text("accountIds");
        let is_wanted =
            |account: &&Account| wanted.is_none_or(|ids| ids.split(',').any(|id| id == account.id.get_ref()));
        let has_details = match query.text("resultType") {
            None | Some("lightweight") => false,
            Some("details") => true,
            Some(_) => return Err(invalid_input("resultType must be `lightweight` or `details`")),
        };
        let found: Vec<&Account> = data.user.accounts.iter().filter(is_wanted).collect();
        let page = Page::of(&found, query)?;
        let accounts = page.items.iter().map(|account| data.account(account, has_details));
        Ok(page.body("accounts", accounts.collect(), call))
    })
}

/// Returns the details of an account.
pub(in crate::rules) fn account(state: &mut EmulatorState, call: &Call) -> Reply {
    respond(state, call, |data, _| Ok(data.account(data.find(&call.parameter)?, true)))
}

/// Returns the transactions of an account, newest first.
pub(in crate::rules) fn transactions(state: &mut EmulatorState, call: &Call) -> Reply {
    respond(state, call, |data, query| {
        let account = data.find(&call.parameter)?;
        data.require_scope("TRANSACTIONS")?;
        let (start, end) = time_range(query)?;
        let mut found = account.transactions_at(data.started_at);
        found.retain(|(posted, _)| start <= *posted && end.is_none_or(|end| *posted <= end));
        let page = Page::of(&found, query)?;
        let transactions = page.items.iter().map(|(posted, transaction)| {
            let kind = if account.kind.is_credit() { "locTransaction" } else { "depositTransaction" };
            json!({kind: transaction_fields(account, *posted, transaction)})
        });
        Ok(page.body("transactions", transactions.collect(), call))
    })
}

/// The data that an access token gives access to.
struct GrantedData<'a> {
    user: &'a User,
    connection: &'a Connection,
    institution: &'a str,
    started_at: Duration,
}

fn respond(
    state: &EmulatorState,
    call: &Call,
    read: impl FnOnce(&GrantedData<'_>, &Fields<String>) -> Result<Value, Reply>,
) -> Reply {
    let outcome = end_user(state, call).and_then(|subject| {
        let query = call.query().map_err(|problem| invalid_input(&problem.message))?;
        let not_found = || data_error(StatusCode::NOT_FOUND, 601, "Customer not found");
        let connection = state.outbound.connections.get(&subject).ok_or_else(not_found)?;
        let key = connection.user.ok_or_else(not_found)?;
        if state.require_bank(key.bank).is_err() {
            return Err(data_error(StatusCode::SERVICE_UNAVAILABLE, 503, "Scheduled maintenance"));
        }
        let user = state.banks.user(key).ok_or_else(not_found)?;
        let institution = state.banks.name(key.bank);
        read(&GrantedData { user, connection, institution, started_at: state.started_at }, &query)
    });
    match outcome {
        Ok(body) => Reply::json(StatusCode::OK, &body).with_ids(),
        Err(reply) => reply.with_ids(),
    }
}

impl GrantedData<'_> {
    fn find(&self, id: &str) -> Result<&Account, Reply> {
        let found = self.user.accounts.iter().find(|account| account.id.get_ref() == id);
        found.ok_or_else(|| data_error(StatusCode::NOT_FOUND, 701, "Account not found"))
    }

    fn require_scope(&self, scope: &str) -> Result<(), Reply> {
        if self.connection.has_scope(scope) {
            return Ok(());
        }
        let description = "The end user did not agree to the scope that this request requires.";
        Err(Refusal::new("insufficient_scope", description).reply(StatusCode::FORBIDDEN))
    }

    fn account(&self, account: &Account, has_details: bool) -> Value {
        let number = &account.number;
        let last_digits = number.len().checked_sub(4).and_then(|start| number.get(start..)).unwrap_or(number);
        let is_credit = account.kind.is_credit();
        let mut fields = json!({
            "accountId": account.id.get_ref(),
            "accountCategory": if is_credit { "LOC_ACCOUNT" } else { "DEPOSIT_ACCOUNT" },
            "accountType": account.kind.name(),
            "accountNumberDisplay": last_digits,
            "productName": account.name,
            "status": "OPEN",
            "currency": {"currencyCode": account.currency},
            "fiAttributes": [{"name": "institution", "value": self.institution}],
        });
        if has_details && let Some(fields) = fields.as_object_mut() {
            self.add_details(account, fields);
        }
        let category = if is_credit { "locAccount" } else { "depositAccount" };
        json!({category: fields})
    }

    fn add_details(&self, account: &Account, fields: &mut Map<String, Value>) {
        let has_transactions = self.connection.has_scope("TRANSACTIONS");
        let transactions: Vec<Value> = if has_transactions {
            let found = account.transactions_at(self.started_at);
            found.iter().map(|(posted, transaction)| transaction_fields(account, *posted, transaction)).collect()
        } else {
            Vec::new()
        };
        let details = json!({
            "accountNumber": account.number,
            "routingTransitNumber": account.transit_number,
            "balanceType": if account.kind.is_credit() { "LIABILITY" } else { "ASSET" },
            "balanceAsOf": rfc3339(self.started_at),
            "currentBalance": account.balance,
            "transactionsIncluded": has_transactions,
            "transactions": transactions,
        });
        if let Value::Object(details) = details {
            fields.extend(details);
        }
    }
}

fn transaction_fields(account: &Account, posted: Duration, transaction: &Transaction) -> Value {
    json!({
        "accountId": account.id.get_ref(),
        "transactionId": transaction.id,
        "postedTimestamp": rfc3339(posted),
        "transactionTimestamp": rfc3339(posted),
        "description": transaction.description,
        "debitCreditMemo": if transaction.amount < 0.0 { "DEBIT" } else { "CREDIT" },
        "amount": transaction.amount.abs(),
        "status": "POSTED",
    })
}

/// Reads `startTime` and `endTime`, which are dates or RFC 3339 timestamps. Both ends of the range
/// are inclusive.
fn time_range(query: &Fields<String>) -> Result<(Duration, Option<Duration>), Reply> {
    let read = |name| {
        let invalid = || data_error(StatusCode::BAD_REQUEST, 702, "Invalid start or end date");
        let parse = |text: &str| parse_timestamp(text).or_else(|| parse_timestamp(&format!("{text}T00:00:00Z")));
        query.text(name).map(|text| parse(text).ok_or_else(invalid)).transpose()
    };
    let (start, end) = (read("startTime")?.unwrap_or_default(), read("endTime")?);
    if end.is_some_and(|end| end < start) {
        return Err(data_error(StatusCode::BAD_REQUEST, 703, "Invalid date range"));
    }
    Ok((start, end))
}

/// A part of a list. `offset` is an opaque cursor, as in FDX.
struct Page<'a, T> {
    items: &'a [T],
    total: usize,
    limit: usize,
    /// The number of items before the next page, or `None` if this is the last page.
    next: Option<usize>,
}

impl<'a, T> Page<'a, T> {
    fn of(all: &'a [T], query: &Fields<String>) -> Result<Self, Reply> {
        let limit = match query.text("limit") {
            None => MAX_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| invalid_input("limit must be a number from 1 to 100"))?,
        };
        let start = query.text("offset").map_or(Some(0), read_cursor);
        let rest = start.and_then(|start| all.get(start..));
        let Some(rest) = rest else {
            return Err(invalid_input("offset must be the `nextOffset` from an earlier response"));
        };
        let end = start.unwrap_or_default().saturating_add(limit);
        let next = (end < all.len()).then_some(end);
        Ok(Self { items: rest.get(..limit).unwrap_or(rest), total: all.len(), limit, next })
    }

    fn body(&self, name: &str, items: Vec<Value>, call: &Call) -> Value {
        let mut body = json!({"page": {"totalElements": self.total}, "links": {}});
        if let Some(cursor) = self.next.map(cursor)
            && let Some(fields) = body.as_object_mut()
        {
            let href = self.next_url(&cursor, call);
            fields.insert("page".into(), json!({"nextOffset": cursor, "totalElements": self.total}));
            fields.insert("links".into(), json!({"next": {"href": href}}));
        }
        if let Some(fields) = body.as_object_mut() {
            fields.insert(name.to_owned(), items.into());
        }
        body
    }

    fn next_url(&self, cursor: &str, call: &Call) -> String {
        let parameters = url::form_urlencoded::parse(call.query.as_bytes());
        let others = parameters.filter(|(name, _)| !matches!(&**name, "limit" | "offset"));
        let mut query = Serializer::new(String::new());
        query.extend_pairs(others).append_pair("limit", &self.limit.to_string()).append_pair("offset", cursor);
        format!("{}{}?{}", call.base_url(), call.path, query.finish())
    }
}

fn cursor(start: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("emu_{start}"))
}

fn read_cursor(text: &str) -> Option<usize> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    decoded.strip_prefix("emu_")?.parse().ok()
}
