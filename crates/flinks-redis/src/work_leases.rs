//! An implementation of [`WorkLeases`] backed by Redis: 256 shards, each with a lease.

use std::time::Duration;

use flinks_consents::store::{DueWindow, StoreError, StoreFuture};

use crate::names::SHARDS;
use crate::store::RedisStore;
use flinks_consents::keep_alive::{Lookup, WorkItem, WorkLeases};

impl WorkLeases for RedisStore {
    fn shards(&self) -> u16 {
        SHARDS
    }

    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        Box::pin(self.acquire_shard(shard, holder, duration))
    }

    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(self.release_shard(shard, holder))
    }

    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        Box::pin(self.list_due(shard, window, limit))
    }

    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        Box::pin(self.look_up_item(item))
    }

    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        Box::pin(async move { Ok(Some(self.list_ended(shard, limit).await?)) })
    }

    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        Box::pin(self.is_listed_as_ended(item))
    }

    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        Box::pin(self.remove_reported(item))
    }
}

impl RedisStore {
    async fn acquire_shard(&self, shard: u16, holder: &str, duration: Duration) -> Result<bool, StoreError> {
        let lease = self.namespace().lease_key(shard);
        self.script(&self.scripts().acquire_lease(&lease, holder, duration)).await
    }

    async fn release_shard(&self, shard: u16, holder: &str) -> Result<(), StoreError> {
        let lease = self.namespace().lease_key(shard);
        self.script(&self.scripts().release_lease(&lease, holder)).await?;
        Ok(())
    }
}
