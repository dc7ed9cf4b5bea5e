//! The control API under `/__emulator/`: what the library can do, as JSON, for tests in other languages. It shows secrets,
//! so it answers this machine only, and no page of a stranger's in a browser on it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::fault::Planned;
use crate::http::Reply;
use crate::ledger::{Issued, Request, Use};
use crate::server::Shared;
use crate::world::{World, bad_request};
use crate::{Config, Fault, Operation};

/// Where it is.
pub(crate) const PREFIX: &str = "/__emulator";

pub(crate) fn answer(shared: &Shared, peer: SocketAddr, head: &Parts, body: &Bytes) -> Reply {
    if !peer.ip().to_canonical().is_loopback() || !is_own_host(head) {
        return Reply::problem(StatusCode::FORBIDDEN, "The control API answers this machine only, by a loopback name.");
    }
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default().trim_matches('/');
    let outcome = match (&head.method, path) {
        (&Method::GET, "") => Ok(overview(&shared.world())),
        (&Method::POST, "advance") => read(body).map(|Advance { seconds }| {
            let mut world = shared.world();
            world.clock.advance(seconds);
            json!({"now": world.now().as_secs_f64()})
        }),
        (&Method::GET, "config") => Ok(json!(shared.world().config)),
        (&Method::PATCH, "config") => read(body).and_then(|patch| change_config(&mut shared.world(), patch)),
        (&Method::GET, "faults") => Ok(shared.world().faults.iter().map(planned).collect()),
        (&Method::POST, "faults") => read(body).map(|NewFault { operation, fault, times, always }| {
            let left = if always { None } else { Some(times) };
            shared.world().faults.add(Planned { operation, fault, left });
            done()
        }),
        (&Method::DELETE, "faults") => {
            shared.world().faults.clear();
            Ok(done())
        }
        (&Method::POST, "release") => {
            shared.release();
            Ok(done())
        }
        (&Method::GET, "requests") => requests(&shared.world(), head.uri.query().unwrap_or_default()),
        (&Method::GET, "counts") => Ok(counts(&shared.world())),
        (&Method::GET, "tokens") => Ok(tokens(&shared.world())),
        (&Method::POST, "codes") => {
            read(body).map(|NewCode { redirect_uri }| json!({"code": shared.world().issue_code(redirect_uri, None)}))
        }
        (&Method::POST, "reset") => {
            shared.world().reset();
            Ok(done())
        }
        _ => return Reply::problem(StatusCode::NOT_FOUND, "The control API has no such path with this method."),
    };
    match outcome {
        Ok(body) => Reply::json(StatusCode::OK, &body),
        Err(problem) => bad_request(&problem),
    }
}

/// Whether it was called by a name of this machine, and not by a page of another origin: a browser on this machine shows
/// strangers' pages, whose host name may lead here (DNS rebinding).
fn is_own_host(head: &Parts) -> bool {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = |authority: &str| {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        let address = IpAddr::from_str(name.trim_matches(['[', ']']));
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    };
    let host = text(header::HOST);
    host.is_some_and(is_own)
        && match head.headers.contains_key(header::ORIGIN) {
            true => text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, origin)| origin) == host,
            false => true,
        }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("The body does not fit: {error}."))
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
    fault: Fault,
    #[serde(default = "once")]
    times: u64,
    #[serde(default)]
    always: bool,
}

fn once() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCode {
    redirect_uri: String,
}

fn overview(world: &World) -> Value {
    json!({
        "now": world.now().as_secs_f64(),
        "operations": Operation::ALL,
        "control": [
            "POST advance {\"seconds\": 300}",
            "GET config", "PATCH config {\"outbound\": {\"rotate_refresh_tokens\": true}}",
            "GET faults", "POST faults {\"operation\": \"pay.authorize\", \"fault\": {\"kind\": \"reply\", \"status\": 503}, \"times\": 1}",
            "DELETE faults", "POST release",
            "GET requests?operation=pay.authorize", "GET counts", "GET tokens",
            "POST codes {\"redirect_uri\": \"https://app.example/callback\"}",
            "POST reset",
        ],
    })
}

/// Changes the members that a patch names (RFC 7396, without its deletion by null), all of them or none.
fn change_config(world: &mut World, patch: Map<String, Value>) -> Result<Value, String> {
    let mut config = json!(world.config);
    for (section, change) in patch {
        match (config.get_mut(&section), change) {
            (Some(Value::Object(fields)), Value::Object(changes)) => fields.extend(changes),
            (Some(field), change) => *field = change,
            (None, _) => return Err(format!("There is no setting {section:?}.")),
        }
    }
    let config: Config =
        serde_json::from_value(config).map_err(|error| format!("The setting does not fit: {error}."))?;
    world.config = config;
    Ok(json!(world.config))
}

fn planned(planned: &Planned) -> Value {
    let Planned { operation, fault, left } = planned;
    json!({"operation": operation, "fault": fault, "times": left, "always": left.is_none()})
}

fn requests(world: &World, query: &str) -> Result<Value, String> {
    let mut wanted = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "operation" {
            return Err("The only parameter is operation.".to_owned());
        }
        let operation = Operation::ALL.into_iter().find(|operation| operation.to_string() == value);
        wanted = Some(operation.ok_or("There is no such operation.")?);
    }
    let found = world.ledger.requests().filter(|request| wanted.is_none() || request.operation == wanted);
    Ok(json!({"requests": found.map(request).collect::<Vec<_>>()}))
}

fn request(request: &Request) -> Value {
    let Request { number, at, operation, method, target, headers, body, complete, processed, status, fault } = request;
    json!({
        "number": number,
        "at": at.as_secs_f64(),
        "operation": operation,
        "method": method,
        "target": target,
        "headers": headers,
        "body": String::from_utf8_lossy(body),
        "complete": complete,
        "processed": processed,
        "status": status,
        "fault": fault,
    })
}

fn counts(world: &World) -> Value {
    let operations: Map<String, Value> = Operation::ALL
        .into_iter()
        .map(|operation| (operation.to_string(), world.ledger.count(operation).into()))
        .collect();
    let carried = world.ledger.carried();
    let count = |value: &str| carried.get(value).copied().unwrap_or_default();
    json!({
        "requests": world.ledger.received(),
        "operations": operations,
        "credentials": {
            "pay.username": count(&world.config.pay.username),
            "pay.password": count(&world.config.pay.password),
            "connect.customer_id": count(&world.config.connect.customer_id),
            "connect.secret_key": count(&world.config.connect.secret_key),
            "outbound.client_id": count(&world.config.outbound.client_id),
            "outbound.client_secret": count(&world.config.outbound.client_secret),
        },
    })
}

fn tokens(world: &World) -> Value {
    let carried = world.ledger.carried();
    let moment = |moment: &Option<Use>| moment.map(|Use { at, by }| json!({"at": at.as_secs_f64(), "by": by}));
    let token = |token: &Issued| {
        let Issued { kind, value, issued_at, issued_by, expires_at, spent, revoked, subject, redirect_uri } = token;
        json!({
            "kind": kind,
            "value": value,
            "issued_at": issued_at.as_secs_f64(),
            "issued_by": issued_by,
            "expires_at": expires_at.as_secs_f64(),
            "spent": moment(spent),
            "revoked": moment(revoked),
            "subject": subject,
            "redirect_uri": redirect_uri,
            "requests": carried.get(value).copied().unwrap_or_default(),
        })
    };
    json!({"tokens": world.ledger.all_issued().map(token).collect::<Vec<_>>()})
}
