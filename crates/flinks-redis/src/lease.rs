//! The leases of shards.

use std::time::Duration;

use flinks::outbound::store::StoreError;

use crate::store::RedisStore;

impl RedisStore {
    /// Takes the lease of a shard, or extends it. Returns `false` if another owner has it.
    pub(crate) async fn acquire_shard(&self, shard: u16, owner: &str, duration: Duration) -> Result<bool, StoreError> {
        let lease = self.namespace().lease(shard);
        self.script(&self.scripts().acquire(&lease, owner, duration)).await
    }

    /// Gives a lease back, if this owner has it.
    pub(crate) async fn release_shard(&self, shard: u16, owner: &str) -> Result<bool, StoreError> {
        let lease = self.namespace().lease(shard);
        self.script(&self.scripts().release(&lease, owner)).await
    }
}
