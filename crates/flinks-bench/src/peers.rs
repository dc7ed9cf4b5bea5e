//! The comparable crates that cache tokens.

mod aws;
mod azure;
mod google;
mod yup;

use flinks_bench::claims::names;
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::Runtime;

use crate::herd::Callers;
use crate::read::Read;

/// Returns contenders that read a cached token.
pub fn reads(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Vec<(&'static str, Read)>> {
    Ok(vec![
        ("google-cloud-auth: headers", google::headers(runtime, url)?),
        (names::GOOGLE, google::read(runtime, url)?),
        (names::YUP, yup::read(runtime)?),
        (names::AZURE, azure::read(runtime, url)?),
        (names::AWS, aws::read(runtime, url)?),
    ])
}

/// Returns contenders whose callers all need a token when none is cached.
pub fn callers() -> Vec<(&'static str, Callers)> {
    vec![
        (names::GOOGLE, google::callers),
        (names::YUP, yup::callers),
        (names::AZURE, azure::callers),
        (names::AWS, aws::callers),
    ]
}

/// Returns a function that takes a count and makes `call` that many times on the runtime.
fn repeat<T, R, C>(runtime: &Arc<Runtime>, client: T, call: C) -> Read
where
    T: Send + Sync + 'static,
    C: AsyncFn(&T) -> R + Send + Sync + 'static,
{
    let runtime = Arc::clone(runtime);
    Box::new(move |reads| {
        runtime.block_on(async {
            for _ in 0..reads {
                black_box(call(&client).await);
            }
        });
    })
}
