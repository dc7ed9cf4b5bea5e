//! The work of a [`KeepAlive`](crate::KeepAlive) on Redis: 256 shards, and a lease for each.

use std::time::Duration;

use flinks_consents::store::{DueWindow, StoreError, StoreFuture};

use crate::names::SHARDS;
use crate::store::RedisStore;
use flinks_consents::keep_alive::{Lookup, WorkItem, WorkLeases};

impl WorkLeases for RedisStore {
    fn shards(&self) -> u16 {
        SHARDS
    }

    fn acquire<'a>(&'a self, shard: u16, owner: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        Box::pin(self.acquire_shard(shard, owner, duration))
    }

    fn release<'a>(&'a self, shard: u16, owner: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(self.release_shard(shard, owner))
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
    async fn acquire_shard(&self, shard: u16, owner: &str, duration: Duration) -> Result<bool, StoreError> {
        let lease = self.namespace().lease(shard);
        self.script(&self.scripts().acquire(&lease, owner, duration)).await
    }

    async fn release_shard(&self, shard: u16, owner: &str) -> Result<(), StoreError> {
        let lease = self.namespace().lease(shard);
        self.script(&self.scripts().release(&lease, owner)).await?;
        Ok(())
    }
}
