//! An implementation of [`WorkLeases`] backed by PostgreSQL: 256 shards, each with a lease.

use std::time::Duration;

use flinks_consents::keep_alive::{Lookup, WorkItem, WorkLeases};
use flinks_consents::store::{DueWindow, StoreError, StoreFuture};
use tokio_postgres::types::Type;

use crate::store::PostgresStore;

/// The number of shards. [`HiddenName::shard`](flinks_consents::envelope::HiddenName::shard)
/// returns a number less than `SHARDS`.
const SHARDS: u16 = 256;

impl WorkLeases for PostgresStore {
    fn shards(&self) -> u16 {
        SHARDS
    }

    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        Box::pin(self.call(self.acquire_shard(shard, holder, duration)))
    }

    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(self.call(self.release_shard(shard, holder)))
    }

    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        Box::pin(self.call(self.list_due(shard, window, limit)))
    }

    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        Box::pin(self.call(self.look_up_item(item)))
    }

    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        Box::pin(self.call(async move { Ok(Some(self.list_ended(shard, limit).await?)) }))
    }

    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        Box::pin(self.call(self.is_listed_as_ended(item)))
    }

    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        Box::pin(self.call(self.remove_reported(item)))
    }
}

impl PostgresStore {
    async fn acquire_shard(&self, shard: u16, holder: &str, duration: Duration) -> Result<bool, StoreError> {
        let part = part_of(shard)?;
        let duration = i64::try_from(duration.as_millis().min(MAX_LEASE.as_millis())).unwrap_or_default();
        let parameters = [(&part as _, Type::INT2), (&holder as _, Type::TEXT), (&duration as _, Type::INT8)];
        Ok(self.server().execute(&self.statements().acquire_lease, &parameters).await? > 0)
    }

    async fn release_shard(&self, shard: u16, holder: &str) -> Result<(), StoreError> {
        let part = part_of(shard)?;
        let parameters = [(&part as _, Type::INT2), (&holder as _, Type::TEXT)];
        self.server().execute(&self.statements().release_lease, &parameters).await.map(drop)
    }
}

/// The maximum duration of a lease, so that adding it to the current time cannot overflow.
const MAX_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the value of the `part` column for a shard.
pub(crate) fn part_of(shard: u16) -> Result<i16, StoreError> {
    i16::try_from(shard).map_err(|_| StoreError::misconfigured("has only 256 shards"))
}
