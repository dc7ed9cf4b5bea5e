//! The two sorted sets of each shard: one for idle deadlines and one for ended consents.

use flinks_consents::ConsentId;
use flinks_consents::store::{DueWindow, StoreError};
use futures_util::future::{try_join, try_join_all};
use redis::Cmd;

use crate::error::WRONG_NAME_KEY;
use crate::names::{Index, SHARDS};
use crate::scripts::milliseconds;
use crate::store::RedisStore;
use flinks_consents::keep_alive::{Lookup, WorkItem};

/// The maximum number of entries in a list. For comparison, a shard in a store with ten million
/// consents has about 40 000 entries.
const MAX_ENTRIES: usize = 1_000_000;

impl RedisStore {
    /// Lists at most `limit` due consents in a shard. Consents with a deadline beyond the window
    /// come first, followed by the other due consents, earliest deadline first.
    pub(crate) async fn list_due(
        &self,
        shard: u16,
        window: DueWindow,
        limit: usize,
    ) -> Result<Vec<WorkItem>, StoreError> {
        let before = milliseconds(window.before());
        // The two ranges must not overlap, even if `before` is later than `beyond`.
        let beyond = milliseconds(window.beyond()).max(before.saturating_sub(1));
        let beyond = self.range(shard, Index::Due, &format!("({beyond}"), "+inf", limit);
        let before = self.range(shard, Index::Due, "-inf", &format!("({before}"), limit);
        type Range = Vec<(String, f64)>;
        // Neither command waits for the reply to the other.
        let (beyond, before): (Range, Range) = try_join(self.command(beyond), self.command(before)).await?;
        Ok(items(shard, beyond.into_iter().chain(before)).take(limit).collect())
    }

    /// Lists at most `limit` ended consents in a shard that have not been reported yet.
    pub(crate) async fn list_ended(&self, shard: u16, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let command = self.range(shard, Index::Ended, "-inf", "+inf", limit);
        let found: Vec<(String, f64)> = self.command(command).await?;
        Ok(items(shard, found).collect())
    }

    /// Returns the command that lists at most `limit` entries between two bounds, in ascending
    /// order.
    fn range(&self, shard: u16, index: Index, from: &str, to: &str, limit: usize) -> Cmd {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(self.namespace().index_key(shard, index)).arg(from).arg(to);
        command.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit.min(MAX_ENTRIES));
        command
    }

    /// Loads an entry's record, or removes the entry if it has no record.
    pub(crate) async fn look_up_item(&self, item: &WorkItem) -> Result<Lookup, StoreError> {
        let namespace = self.namespace();
        let key = namespace.record_key(item.shard, &item.name);
        let found = self.record_at(&key).await?;
        if let Lookup::Missing = found {
            let due = namespace.index_key(item.shard, Index::Due);
            let ended = namespace.index_key(item.shard, Index::Ended);
            self.script(&self.scripts().remove_stale_member(&key, &due, &ended, &item.name)).await?;
        }
        Ok(found)
    }

    /// Returns whether an entry is still in the set of ended consents and has not been replaced.
    pub(crate) async fn is_listed_as_ended(&self, item: &WorkItem) -> Result<bool, StoreError> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.namespace().index_key(item.shard, Index::Ended)).arg(&item.name);
        Ok(self.command::<Option<f64>>(command).await? == Some(deadline(item)))
    }

    /// Removes an entry from the set of ended consents, unless it has been replaced.
    pub(crate) async fn remove_reported(&self, item: &WorkItem) -> Result<(), StoreError> {
        let ended = self.namespace().index_key(item.shard, Index::Ended);
        self.script(&self.scripts().mark_reported(&ended, &item.name, deadline(item))).await?;
        Ok(())
    }

    /// Loads the record with this key, whichever consent it belongs to. If the record cannot be
    /// read, logs its key.
    pub(crate) async fn record_at(&self, key: &str) -> Result<Lookup, StoreError> {
        let envelope = self.envelope();
        let value = match self.get(key).await {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Lookup::Missing),
            Err(error @ StoreError::Damaged(_)) => return Ok(unreadable(key, &error)),
            Err(error) => return Err(error),
        };
        match envelope.open(&value, key).await.map_err(StoreError::from) {
            // The key does not match the id, so the record was written with a different name key.
            Ok(record) if self.namespace().consent_keys(record.id(), &envelope).record != key => {
                Ok(unreadable(key, &WRONG_NAME_KEY))
            }
            Ok(record) => Ok(Lookup::Record(Box::new(record))),
            Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => Ok(unreadable(key, &error)),
            Err(error) => Err(error),
        }
    }

    /// Lists at most `limit` due consents from all shards, the most urgent first and those with
    /// suspected refusals last.
    pub(crate) async fn list_due_of_all(&self, window: DueWindow, limit: usize) -> Result<Vec<ConsentId>, StoreError> {
        let mut limit_per_shard = limit.min(MAX_ENTRIES);
        loop {
            let lists = (0..SHARDS).map(|shard| self.list_due(shard, window, limit_per_shard));
            let lists = try_join_all(lists).await?;
            let is_complete = lists.iter().all(|list| list.len() < limit_per_shard);
            let mut items: Vec<WorkItem> = lists.into_iter().flatten().collect();
            items.sort_by_key(|item| rank(item, window));
            let mut ids = Vec::new();
            let mut suspected = Vec::new();
            // Loads a few hundred records at a time to limit memory use and the load on the
            // connection.
            for chunk in items.chunks(SHARDS.into()) {
                for found in try_join_all(chunk.iter().map(|item| self.look_up_item(item))).await? {
                    let Lookup::Record(record) = found else { continue };
                    if record.is_suspected() {
                        suspected.push(record.id().clone());
                    } else {
                        ids.push(record.id().clone());
                    }
                }
                if ids.len() >= limit {
                    break;
                }
            }
            // Unreadable and suspected consents must not hide others, no matter how many there are.
            // The loop therefore lists more entries until it finds enough other consents.
            if ids.len() >= limit || is_complete || limit_per_shard >= MAX_ENTRIES {
                ids.extend(suspected);
                ids.truncate(limit);
                return Ok(ids);
            }
            limit_per_shard = limit_per_shard.saturating_mul(8).min(MAX_ENTRIES);
        }
    }
}

fn items(shard: u16, found: impl IntoIterator<Item = (String, f64)>) -> impl Iterator<Item = WorkItem> {
    found.into_iter().map(move |(name, deadline)| WorkItem { shard, name, stamp: deadline.to_bits() })
}

/// Returns an item's deadline in milliseconds. The item's stamp contains the bits of the deadline,
/// an `f64`, which can represent every whole millisecond of the next 285 000 years exactly.
fn deadline(item: &WorkItem) -> f64 {
    f64::from_bits(item.stamp)
}

/// Returns an item's sort key: its deadline, or 0 if the deadline is beyond the window.
fn rank(item: &WorkItem, window: DueWindow) -> u64 {
    let deadline = deadline(item) as u64;
    if deadline > milliseconds(window.beyond()) { 0 } else { deadline }
}

/// Logs that a record cannot be read.
fn unreadable(key: &str, error: &StoreError) -> Lookup {
    // The key contains only the consent's hidden name, so it is safe to log.
    tracing::warn!(key, "cannot read a consent: {error}");
    Lookup::Unreadable
}
