//! Measures the client-side cost of requesting a token over loopback, excluding the network and the
//! server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use cpu_time::ProcessTime;
use flinks_bench::callgrind;
use flinks_bench::claims::names;
use flinks_bench::report::Case;
use tokio::runtime::{Builder, Runtime};

use crate::{Bench, Round, load, server};

/// A function that makes the given number of calls, one after another.
pub type Calls = Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Shares the client through an `Arc`, so the measurement does not include cloning a client.
fn calls<T: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(client: T, call: fn(Arc<T>) -> F) -> Calls {
    let client = Arc::new(client);
    Arc::new(move |number| {
        let client = Arc::clone(&client);
        Box::pin(async move {
            for _ in 0..number {
                call(Arc::clone(&client)).await;
            }
        })
    })
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    // The server runs in another process, so this process spends CPU time only on the client.
    let (_server, url) = server::Child::start()?;
    let url = url.as_str();
    let (number, rounds) = if bench.quick { (20, 3) } else { (300, 11) };
    for (product, _) in names::PRODUCTS {
        let operation = product.to_lowercase();
        let contenders = contenders(&operation);
        let table = names::fresh(product);
        let runtime = one_thread()?;
        let made: Vec<_> = contenders.iter().map(|(name, make)| (*name, make(&runtime, url))).collect();
        bench.rounds(
            &Case::new(&table, "client CPU time", "µs"),
            rounds,
            made.iter().map(|(name, calls)| {
                let runtime = &runtime;
                (
                    *name,
                    Box::new(move || {
                        runtime.block_on(calls(5));
                        let began = ProcessTime::now();
                        runtime.block_on(calls(number));
                        began.elapsed().as_secs_f64() * 1e6 / number as f64
                    }) as Round<'_>,
                )
            }),
        );
        for (name, calls) in &made {
            let work = calls(100);
            let counted = allocation_counter::measure(|| runtime.block_on(work));
            let allocations = counted.count_total as f64 / 100.0;
            bench.run.add(Case::new(&table, "allocations", "allocations"), name, vec![allocations]);
        }
        if bench.quick {
            continue;
        }
        for (name, _) in &contenders {
            match callgrind::cost(&std::env::current_exe()?, &operation, name, url, 200) {
                Ok(cost) => {
                    let case = Case::new(&table, "instructions", "instructions");
                    bench.run.add(case, name, vec![cost.instructions]);
                }
                Err(error) => {
                    bench.run.note(format!("Callgrind could not count the instructions: {error}."));
                    break;
                }
            }
        }
    }
    load::run(bench, url)
}

/// Makes `number` calls with one contender, after some calls that are not counted. Callgrind
/// measures the process that runs this function.
pub fn once(operation: &str, name: &str, url: &str, number: usize) -> anyhow::Result<()> {
    let runtime = one_thread()?;
    let Some((_, make)) = contenders(operation).into_iter().find(|(known, _)| *known == name) else {
        bail!("unknown contender: {name}");
    };
    let calls = make(&runtime, url);
    runtime.block_on(calls(20));
    crate::count(|| runtime.block_on(calls(number)));
    Ok(())
}

fn one_thread() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub type Make = fn(&Runtime, &str) -> Calls;

/// Returns the contenders, with this project's crates first and plain hyper last.
pub fn contenders(operation: &str) -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = match operation {
        "pay" => vec![("flinks-pay", ours::pay), ("flinks: facade", ours::facade_pay), ("reqwest by hand", hand::pay)],
        "connect" => vec![
            ("flinks-connect", ours::connect),
            ("flinks: facade", ours::facade_connect),
            ("reqwest by hand", hand::connect),
        ],
        _ => vec![
            ("flinks-outbound", ours::outbound),
            ("flinks: facade", ours::facade_outbound),
            ("reqwest by hand", hand::outbound),
        ],
    };
    #[cfg(feature = "peers")]
    match operation {
        "pay" => all.push(("progenitor, naive", peers::progenitor)),
        "outbound" => all.push(("oauth2 5", peers::oauth2)),
        _ => {}
    }
    if operation == "pay" {
        all.push(("hyper", hand::hyper));
    }
    all
}

const CUSTOMER: &str = "43387ca6-0391-4c82-857d-70d95f087ecb";
const TIMEOUT: Duration = Duration::from_secs(30);

mod ours {
    use flinks::connect::SecretKey;
    use flinks::outbound::ClientCredentials;
    use flinks::pay::Credentials;
    use flinks_connect::types::SecretKey as GeneratedKey;
    use flinks_outbound::types as outbound_types;
    use flinks_pay::types as pay_types;

    use super::*;

    pub fn pay(_: &Runtime, url: &str) -> Calls {
        calls(flinks_pay::Client::new(url.parse().unwrap()).unwrap(), |client| async move {
            let grant_type = pay_types::GrantType::ClientCredentials;
            let request =
                pay_types::AuthorizeRequest::new(grant_type, "user", flinks::Secret::new("password".to_owned()));
            client.authorize(&request).send().await.unwrap();
        })
    }

    pub fn connect(_: &Runtime, url: &str) -> Calls {
        let client = flinks_connect::Client::new(url.parse().unwrap()).unwrap();
        let key = GeneratedKey::new("c4569c54-e167-4d34-8de6-f4113bc82414");
        let id: uuid::Uuid = CUSTOMER.parse().unwrap();
        calls((client, id, key), |shared| async move {
            let (client, id, key) = &*shared;
            client.generate_authorize_token(id, key).send().await.unwrap();
        })
    }

    pub fn outbound(_: &Runtime, url: &str) -> Calls {
        calls(flinks_outbound::Client::new(url.parse().unwrap()).unwrap(), |client| async move {
            let request = outbound_types::TokenRequest::new(outbound_types::GrantType::ClientCredentials);
            client
                .token(&request.client_id("id").client_secret(flinks::Secret::new("secret".to_owned())))
                .send()
                .await
                .unwrap();
        })
    }

    /// Returns settings that accept repeated tokens, because the benchmark server always sends the
    /// same token.
    fn accepting_the_one_token() -> flinks::Settings {
        flinks::Settings::new().accept_repeated_tokens()
    }

    pub fn facade_pay(_: &Runtime, url: &str) -> Calls {
        let credentials = Credentials::new("user", "password").unwrap();
        let settings = accepting_the_one_token();
        let client =
            flinks::pay::Client::builder(url.parse().unwrap(), credentials).settings(&settings).build().unwrap();
        calls(client, |client| async move { drop(client.authorize().await.unwrap()) })
    }

    pub fn facade_connect(_: &Runtime, url: &str) -> Calls {
        let base_url: flinks::BaseUrl = url.parse().unwrap();
        let key = SecretKey::new("c4569c54-e167-4d34-8de6-f4113bc82414").unwrap();
        let (id, settings) = (CUSTOMER.parse().unwrap(), accepting_the_one_token());
        let client = flinks::connect::Client::builder(base_url, id, key).settings(&settings).build().unwrap();
        calls(client, |client| async move { drop(client.generate_authorize_token().await.unwrap()) })
    }

    pub fn facade_outbound(_: &Runtime, url: &str) -> Calls {
        let credentials = ClientCredentials::new("id", "secret").unwrap();
        let client = flinks::outbound::Client::builder(url.parse().unwrap(), credentials).build().unwrap();
        calls(client, |client| async move { drop(client.client_credentials(None).await.unwrap()) })
    }
}

/// Handwritten calls with the same timeouts as the generated calls, but without Flinks' rules and
/// without a limit on the response size.
mod hand {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use hyper::client::conn::http1::SendRequest;
    use hyper_util::rt::TokioIo;
    use serde::{Deserialize, Serialize};
    use tokio::sync::Mutex;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code)] // decoding the fields is part of the cost
    struct Reply {
        access_token: String,
        token_type: Option<String>,
        expires_in: Option<u64>,
    }

    #[derive(Serialize)]
    struct Fields {
        grant_type: &'static str,
        #[serde(rename = "Username")]
        username: String,
        #[serde(rename = "Password")]
        password: String,
    }

    fn client(url: &str) -> (reqwest::Client, String) {
        let builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(10));
        let builder = builder.redirect(reqwest::redirect::Policy::none()).no_proxy().http1_only();
        (builder.build().unwrap(), url.to_owned())
    }

    fn fields() -> Fields {
        Fields { grant_type: "client_credentials", username: "user".to_owned(), password: "password".to_owned() }
    }

    pub fn pay(_: &Runtime, url: &str) -> Calls {
        calls(client(url), |shared| async move {
            let (client, url) = &*shared;
            let reply = client.post(format!("{url}/api/v1/authorize")).form(&fields()).send().await.unwrap();
            reply.error_for_status().unwrap().json::<Reply>().await.unwrap();
        })
    }

    pub fn connect(_: &Runtime, url: &str) -> Calls {
        #[derive(Deserialize)]
        #[expect(dead_code)] // decoding the fields is part of the cost
        struct Reply {
            #[serde(rename = "Token")]
            token: String,
            #[serde(rename = "HttpStatusCode")]
            status: Option<u16>,
        }
        calls(client(url), |shared| async move {
            let (client, url) = &*shared;
            let url = format!("{url}/v3/{CUSTOMER}/BankingServices/GenerateAuthorizeToken");
            let key = "c4569c54-e167-4d34-8de6-f4113bc82414";
            let request = client.post(url).header("flinks-auth-key", key).header("content-type", "application/json");
            request.send().await.unwrap().error_for_status().unwrap().json::<Reply>().await.unwrap();
        })
    }

    pub fn outbound(_: &Runtime, url: &str) -> Calls {
        #[derive(Serialize)]
        struct Fields {
            grant_type: &'static str,
            client_id: String,
            client_secret: String,
        }
        calls(client(url), |shared| async move {
            let (client, url) = &*shared;
            let (client_id, client_secret) = ("id".to_owned(), "secret".to_owned());
            let body = Fields { grant_type: "client_credentials", client_id, client_secret };
            let reply = client.post(format!("{url}/api/v1/token")).json(&body).send().await.unwrap();
            reply.error_for_status().unwrap().json::<Reply>().await.unwrap();
        })
    }

    /// The lower bound: HTTP over one open connection, without timeouts, URLs or name resolution.
    pub fn hyper(runtime: &Runtime, url: &str) -> Calls {
        let address = url.trim_start_matches("http://").to_owned();
        let connect = async {
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        };
        let sender: SendRequest<Full<Bytes>> = runtime.block_on(connect);
        calls((Mutex::new(sender), address), |shared| async move {
            let (sender, address) = &*shared;
            let body = "grant_type=client_credentials&Username=user&Password=password";
            let request = hyper::Request::post("/api/v1/authorize")
                .header("host", address.as_str())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Full::new(Bytes::from_static(body.as_bytes())));
            let mut sender = sender.lock().await;
            let reply = sender.send_request(request.unwrap()).await.unwrap();
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            serde_json::from_slice::<Reply>(&body).unwrap();
        })
    }
}

#[cfg(feature = "peers")]
mod peers {
    use ::oauth2::basic::BasicClient;
    use ::oauth2::{ClientId, ClientSecret, TokenUrl};

    use super::*;

    /// The code that progenitor generates from Flinks' published document, without corrections.
    #[allow(clippy::all, dead_code, mismatched_lifetime_syntaxes, unused)]
    mod naive {
        progenitor::generate_api!("../../openapi/flinks-pay.yaml");
    }

    pub fn progenitor(_: &Runtime, url: &str) -> Calls {
        let http = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(10));
        let http = http.redirect(reqwest::redirect::Policy::none()).no_proxy().http1_only();
        let client = naive::Client::new_with_client(url, http.build().unwrap());
        let body = serde_json::json!({
            "grant_type": "client_credentials", "Username": "user", "Password": "password",
        });
        let body: naive::types::AuthorizeBody = serde_json::from_value(body).unwrap();
        calls((client, body), |shared| async move {
            let (client, body) = &*shared;
            client.authorize(body).await.unwrap();
        })
    }

    pub fn oauth2(_: &Runtime, url: &str) -> Calls {
        let http = ::oauth2::reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(10));
        let http = http.redirect(::oauth2::reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let client = BasicClient::new(ClientId::new("id".to_owned()))
            .set_client_secret(ClientSecret::new("secret".to_owned()))
            .set_token_uri(TokenUrl::new(format!("{url}/api/v1/token")).unwrap());
        calls((client, http), |shared| async move {
            let (client, http) = &*shared;
            client.exchange_client_credentials().request_async(http).await.unwrap();
        })
    }
}
