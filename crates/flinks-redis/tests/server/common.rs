//! Helpers that create stores.

use flinks_redis::RedisStore;
use flinks_store_tests::keys;
pub(crate) use flinks_store_tests::run;

/// A list of test names and test functions.
pub(crate) type Tests = &'static [(&'static str, fn())];

/// An empty list of additional cluster nodes.
pub(crate) const NO_OTHER_NODES: [&str; 0] = [];

pub(crate) fn store(address: &str) -> RedisStore {
    RedisStore::builder(address, keys()).build().unwrap()
}
