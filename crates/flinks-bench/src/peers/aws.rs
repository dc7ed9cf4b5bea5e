//! The identity cache of aws-smithy-runtime. The cache is independent of the kind of identity, so
//! this benchmark supplies the function that requests a token.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity as _, ResolveIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::repeat;
use crate::herd::{self, Caller};
use crate::read::Read;

pub fn read(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Read> {
    Ok(repeat(runtime, Cache::new(url)?, async |cache| {
        let identity = cache.identity().await;
        assert!(identity.as_ref().is_some_and(|identity| identity.data::<String>().is_some()));
        identity
    }))
}

pub fn callers(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<Caller>> {
    let cache = Cache::new(url)?;
    Ok(herd::spawn(runtime, number, cache, |cache| async move { cache.identity().await.is_some() }))
}

struct Cache {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    configuration: ConfigBag,
}

impl Cache {
    fn new(url: &str) -> anyhow::Result<Self> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
            .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
            .build()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver: SharedIdentityResolver::new(Resolver { http, url: format!("{url}/token") }),
            components,
            configuration: ConfigBag::base(),
        })
    }

    async fn identity(&self) -> Option<Identity> {
        let resolver = self.resolver.clone();
        self.cache.resolve_cached_identity(resolver, &self.components, &self.configuration).await.ok()
    }
}

#[derive(Debug)]
struct Resolver {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Reply {
    access_token: String,
    expires_in: u64,
}

impl ResolveIdentity for Resolver {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        IdentityFuture::new(async {
            let reply = self.http.post(&self.url).form(&[("grant_type", "client_credentials")]).send().await?;
            let reply: Reply = reply.error_for_status()?.json().await?;
            let expires_at = SystemTime::now() + Duration::from_secs(reply.expires_in);
            Ok(Identity::new(reply.access_token, Some(expires_at)))
        })
    }
}
