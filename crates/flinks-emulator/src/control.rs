//! The control API under `/__emulator/`. It makes the library's functions available as JSON over
//! HTTP, for tests in other languages.
//!
//! Because its responses contain secrets, the API accepts only requests that
//! [`Access`](crate::access::Access) allows.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::access;
use crate::environment;
use crate::fault::{Fault, ScheduledFault, repetitions};
use crate::http::{Fields, Reply, pairs};
use crate::ledger::{Issued, Request, Usage};
use crate::operation::Operation;
use crate::scenario::Scenario;
use crate::shared::Shared;
use crate::state::EmulatorState;
use crate::visits;

/// The path prefix of the control API.
pub(crate) const PREFIX: &str = "/__emulator";

pub(crate) async fn respond(shared: &Shared, peer: SocketAddr, head: &Parts, body: &Bytes) -> Reply {
    if !shared.observer.access.allows(peer, head) {
        return Reply::problem(StatusCode::FORBIDDEN, access::REFUSAL);
    }
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default().trim_matches('/');
    let query = match pairs(head.uri.query().unwrap_or_default().as_bytes()) {
        Ok(query) => query,
        Err(problem) => return Reply::bad_request(&problem.message),
    };
    let known: &[&str] = match path {
        "requests" => &["operation"],
        "received" => &["operation", "count"],
        _ => &[],
    };
    if query.names().any(|name| !known.contains(&name)) {
        return Reply::bad_request("The query contains an unknown parameter.");
    }
    let outcome = match (&head.method, path) {
        (&Method::GET, "") => Ok(overview(&shared.state())),
        (&Method::POST, "advance") => read(body).map(|Advance { seconds }| {
            shared.advance(seconds);
            json!({"now": shared.state().now().as_secs_f64()})
        }),
        (&Method::GET, "env") => Ok(environment(shared, head)),
        (&Method::GET, "config") => Ok(json!(shared.state().config)),
        (&Method::PATCH, "config") => read(body).and_then(|patch| {
            let changed = change_config(&mut shared.state(), patch);
            shared.announce_clock_change();
            changed
        }),
        (&Method::GET, "faults") => Ok(shared.state().faults.iter().map(scheduled_fault).collect()),
        (&Method::POST, "faults") => read(body).and_then(NewFault::schedule).map(|new| {
            let body = scheduled_fault(&new);
            shared.state().faults.add(new);
            body
        }),
        (&Method::DELETE, "faults") => {
            shared.state().faults.clear();
            Ok(done())
        }
        (&Method::POST, "release") => {
            shared.release();
            Ok(done())
        }
        (&Method::GET, "received") => match (operation(&query), query.text("count").map(str::parse)) {
            (Ok(Some(operation)), Some(Ok(count))) => {
                shared.received(operation, count).await;
                Ok(json!({"count": shared.state().ledger.count(operation)}))
            }
            (Err(problem), _) => Err(problem),
            _ => Err("`operation` and `count` are required, and `count` must be a number.".to_owned()),
        },
        (&Method::GET, "requests") => operation(&query).map(|wanted| requests(&shared.state(), wanted)),
        (&Method::GET, "counts") => Ok(counts(&shared.state())),
        (&Method::GET, "tokens") => Ok(tokens(&shared.state())),
        (&Method::POST, "codes") => {
            read(body).map(|NewCode { redirect_uri }| json!({"code": shared.state().issue_code(redirect_uri)}))
        }
        (&Method::GET, "visits") => Ok(visits::list(&shared.state())),
        (&Method::POST, "revoke") => read(body).and_then(|Revocation { subject }| {
            let is_known = shared.state().revoke_connection(&subject);
            let unknown = "`subject` must be the `subject` of a stored token.";
            if is_known { Ok(done()) } else { Err(unknown.to_owned()) }
        }),
        (&Method::GET, "scenario") => Ok(scenario(&shared.state())),
        (&Method::POST, "scenario") => read(body).and_then(NewScenario::find).and_then(|new| {
            shared.load_scenario(&new).map_err(|error| format!("{error}."))?;
            Ok(scenario(&shared.state()))
        }),
        (&Method::POST, "reset") => {
            shared.reset();
            Ok(done())
        }
        _ => {
            return Reply::problem(
                StatusCode::NOT_FOUND,
                "The control API has no such endpoint. GET /__emulator/ lists its endpoints.",
            );
        }
    };
    match outcome {
        Ok(body) => Reply::json(StatusCode::OK, &body),
        Err(problem) => Reply::bad_request(&problem),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("The body is invalid: {error}."))
}

fn done() -> Value {
    json!({"done": true})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(deserialize_with = "seconds")]
    seconds: Duration,
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    operation: Operation,
    fault: Map<String, Value>,
    times: Option<u64>,
    #[serde(default)]
    always: bool,
}

impl NewFault {
    fn schedule(self) -> Result<ScheduledFault, String> {
        let Self { operation, fault: given, times, always } = self;
        let fault: Fault =
            serde_json::from_value(given.clone().into()).map_err(|error| format!("The fault is invalid: {error}."))?;
        // Serde accepts unknown fields for a kind that has no fields.
        if let Some(name) = given.keys().find(|name| json!(fault).get(name).is_none()) {
            return Err(format!("This kind of fault has no `{name}` field."));
        }
        let remaining = repetitions(times, always).map_err(|problem| format!("{problem}."))?;
        Ok(ScheduledFault { operation, fault, remaining })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCode {
    redirect_uri: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    subject: String,
}

/// A scenario to load: either the name of a built-in scenario or the text of a scenario file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewScenario {
    name: Option<String>,
    toml: Option<String>,
}

impl NewScenario {
    fn find(self) -> Result<Scenario, String> {
        let found = match (self.name, self.toml) {
            (Some(name), None) => Scenario::built_in(&name),
            (None, Some(text)) => Scenario::parse(&text),
            _ => return Err("Either `name` or `toml` is required.".to_owned()),
        };
        found.map_err(|error| format!("{error}."))
    }
}

fn scenario(state: &EmulatorState) -> Value {
    let built_in: Vec<&str> = Scenario::built_in_names().collect();
    let loaded = state.scenario.scenario().map(|scenario| {
        json!({
            "name": scenario.name(),
            "description": scenario.description(),
            "steps": scenario.step_count(),
            "steps_done": state.scenario.steps_done(),
        })
    });
    json!({"built_in": built_in, "loaded": loaded})
}

fn overview(state: &EmulatorState) -> Value {
    json!({
        "now": state.now().as_secs_f64(),
        "operations": Operation::ALL,
        "control": [
            "POST advance {\"seconds\": 300}",
            "GET env", "GET config", "PATCH config {\"outbound\": {\"rotate_refresh_tokens\": true}}",
            "GET faults", "POST faults {\"operation\": \"pay.authorize\", \"fault\": {\"kind\": \"reply\", \"status\": 503}, \"times\": 1}",
            "DELETE faults", "POST release", "GET received?operation=pay.authorize&count=1",
            "GET requests?operation=pay.authorize", "GET counts", "GET tokens",
            "POST codes {\"redirect_uri\": \"https://app.example/callback\"}",
            "GET visits", "POST revoke {\"subject\": \"…\"}",
            "GET scenario", "POST scenario {\"name\": \"bank-outage\"}",
            "POST reset",
        ],
    })
}

/// Returns the environment variables for a program. They contain the base URL that the request was
/// sent to.
fn environment(shared: &Shared, head: &Parts) -> Value {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base_url = format!("{}://{host}", shared.transport.scheme());
    let variables = environment::variables(&base_url, &shared.state().config, &shared.transport);
    variables.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Applies all settings in a patch, or none of them if any setting is invalid.
fn change_config(state: &mut EmulatorState, patch: Map<String, Value>) -> Result<Value, String> {
    let config = state.config.merged(patch)?;
    if let Some(problem) = config.problem() {
        return Err(format!("{problem}."));
    }
    state.configure(|old| *old = config);
    Ok(json!(state.config))
}

fn scheduled_fault(scheduled: &ScheduledFault) -> Value {
    let ScheduledFault { operation, fault, remaining } = scheduled;
    json!({"operation": operation, "fault": fault, "times": remaining, "always": remaining.is_none()})
}

/// Returns the operation named in a query, or `None` if the query does not contain `operation`.
fn operation(query: &Fields<String>) -> Result<Option<Operation>, String> {
    let Some(name) = query.text("operation") else { return Ok(None) };
    let found = Operation::ALL.into_iter().find(|operation| operation.to_string() == name);
    let names = || Operation::ALL.map(|operation| operation.to_string()).join(", ");
    found.map(Some).ok_or_else(|| format!("The operation does not exist. The valid operations are {}.", names()))
}

fn requests(state: &EmulatorState, wanted: Option<Operation>) -> Value {
    let found = state.ledger.requests().filter(|request| wanted.is_none() || request.operation == wanted);
    json!({"requests": found.map(request).collect::<Vec<_>>()})
}

fn request(request: &Request) -> Value {
    let Request {
        number,
        at,
        operation,
        method,
        target,
        headers,
        body,
        complete,
        client_certificate,
        processed,
        status,
        fault,
    } = request;
    json!({
        "number": number,
        "at": at.as_secs_f64(),
        "operation": operation,
        "method": method,
        "target": target,
        "headers": headers,
        "body": String::from_utf8_lossy(body),
        // `body` cannot represent bytes that are not UTF-8.
        "base64": std::str::from_utf8(body).is_err().then(|| STANDARD.encode(body)),
        "complete": complete,
        "client_certificate": client_certificate,
        "processed": processed,
        "status": status,
        "fault": fault,
    })
}

fn counts(state: &EmulatorState) -> Value {
    let operations: Map<String, Value> = Operation::ALL
        .into_iter()
        .map(|operation| (operation.to_string(), state.ledger.count(operation).into()))
        .collect();
    let count = |value: &str| state.ledger.count_carrying(value);
    json!({
        "requests": state.ledger.received(),
        "operations": operations,
        "credentials": {
            "pay.username": count(&state.config.pay.username),
            "pay.password": count(&state.config.pay.password),
            "connect.customer_id": count(&state.config.connect.customer_id),
            "connect.secret_key": count(&state.config.connect.secret_key),
            "connect.api_key": count(&state.config.connect.api_key),
            "outbound.client_id": count(&state.config.outbound.client_id),
            "outbound.client_secret": count(&state.config.outbound.client_secret),
        },
    })
}

fn tokens(state: &EmulatorState) -> Value {
    let request_counts = state.ledger.request_counts();
    let usage = |usage: &Option<Usage>| usage.map(|Usage { at, by }| json!({"at": at.as_secs_f64(), "by": by}));
    let token = |token: &Issued| {
        let Issued {
            kind, value, issued_at, issued_by, expires_at, spent, revoked, subject, redirect_uri, party, ..
        } = token;
        json!({
            "kind": kind,
            "value": value,
            "issued_at": issued_at.as_secs_f64(),
            "issued_by": issued_by,
            "expires_at": expires_at.as_secs_f64(),
            "spent": usage(spent),
            "revoked": usage(revoked),
            "subject": subject,
            "redirect_uri": redirect_uri,
            // `null` stands for the main user, customer or client.
            "client": party.additional_id(),
            "requests": request_counts.get(value).copied().unwrap_or_default(),
        })
    };
    json!({"tokens": state.ledger.all_issued().map(token).collect::<Vec<_>>()})
}
