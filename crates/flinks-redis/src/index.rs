//! The sorted sets of each shard: which consents are due, and which have ended.

use std::fmt;

use flinks_consents::ConsentId;
use flinks_consents::store::{DueWindow, StoreError};
use futures_util::future::try_join_all;
use redis::Cmd;

use crate::error::OTHER_NAME_KEY;
use crate::names::{Index, SHARDS};
use crate::scripts::milliseconds;
use crate::store::RedisStore;
use flinks_consents::keep_alive::{Lookup, WorkItem};

/// A list is at most so long. Of ten million consents, a shard has forty thousand.
const MAX_ENTRIES: usize = 1_000_000;

impl RedisStore {
    /// Lists at most `limit` consents of a shard that are due: first those with a deadline beyond the
    /// window, and then the earliest.
    pub(crate) async fn list_due(
        &self,
        shard: u16,
        window: DueWindow,
        limit: usize,
    ) -> Result<Vec<WorkItem>, StoreError> {
        let before = milliseconds(window.before());
        // The two ranges do not overlap, also if the window ends after "beyond" begins.
        let beyond = milliseconds(window.beyond()).max(before.saturating_sub(1));
        // Both in one round trip.
        let mut both = redis::pipe();
        both.add_command(self.range(shard, Index::Due, &format!("({beyond}"), "+inf", limit));
        both.add_command(self.range(shard, Index::Due, "-inf", &format!("({before}"), limit));
        type Range = Vec<(String, f64)>;
        let (beyond, before): (Range, Range) =
            self.call(|mut connection| async move { Ok(both.query_async(&mut connection).await?) }).await?;
        Ok(items(shard, beyond.into_iter().chain(before)).take(limit).collect())
    }

    /// Lists at most `limit` consents of a shard that have ended and were not reported yet.
    pub(crate) async fn list_ended(&self, shard: u16, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let command = self.range(shard, Index::Ended, "-inf", "+inf", limit);
        let found: Vec<(String, f64)> = self.command(command).await?;
        Ok(items(shard, found).collect())
    }

    /// Returns the command that lists at most `limit` entries between two bounds, the earliest first.
    fn range(&self, shard: u16, index: Index, from: &str, to: &str, limit: usize) -> Cmd {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(self.namespace().index(shard, index)).arg(from).arg(to);
        command.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit.min(MAX_ENTRIES));
        command
    }

    /// Returns the record of an entry. If there is none, the entry is removed.
    pub(crate) async fn look_up_item(&self, item: &WorkItem) -> Result<Lookup, StoreError> {
        let namespace = self.namespace();
        let key = namespace.value(item.shard, &item.name);
        let found = self.record_at(&key).await?;
        if let Lookup::Gone = found {
            let due = namespace.index(item.shard, Index::Due);
            let ended = namespace.index(item.shard, Index::Ended);
            self.script(&self.scripts().forget(&key, &due, &ended, &item.name)).await?;
        }
        Ok(found)
    }

    /// Returns whether an entry is still in the set of ended consents, and has not been replaced.
    pub(crate) async fn is_listed_as_ended(&self, item: &WorkItem) -> Result<bool, StoreError> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.namespace().index(item.shard, Index::Ended)).arg(&item.name);
        Ok(self.command::<Option<f64>>(command).await? == Some(deadline(item)))
    }

    /// Removes an entry from the set of ended consents, unless it has been replaced.
    pub(crate) async fn remove_reported(&self, item: &WorkItem) -> Result<(), StoreError> {
        let ended = self.namespace().index(item.shard, Index::Ended);
        self.script(&self.scripts().mark_reported(&ended, &item.name, deadline(item))).await?;
        Ok(())
    }

    /// Returns the record under a key, which may be that of any consent.
    pub(crate) async fn record_at(&self, key: &str) -> Result<Lookup, StoreError> {
        let keys = self.keys();
        let value = match self.get(key).await {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Lookup::Gone),
            Err(StoreError::Damaged(reason)) => return Ok(unreadable(key, &reason)),
            Err(error) => return Err(error),
        };
        match keys.open(&value, key).map_err(StoreError::from) {
            // With another name key, the record would not be found under its id.
            Ok(record) if self.namespace().keys_of(record.id(), &keys).value != key => {
                Ok(unreadable(key, &OTHER_NAME_KEY))
            }
            Ok(record) => Ok(Lookup::Record(Box::new(record))),
            Err(StoreError::Damaged(reason) | StoreError::Misconfigured(reason)) => Ok(unreadable(key, &reason)),
            Err(error) => Err(error),
        }
    }

    /// Lists at most `limit` due consents of all shards, the most urgent first, and those that are
    /// suspected last.
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
            // A few hundred records at a time fit into memory and into a connection.
            for some in items.chunks(SHARDS.into()) {
                for found in try_join_all(some.iter().map(|item| self.look_up_item(item))).await? {
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
            // Consents that are unreadable or suspected must not hide others, however many they are.
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

/// Returns the deadline of an item in milliseconds. A double holds it exactly for the next 285 000
/// years, and the stamp is the double.
fn deadline(item: &WorkItem) -> f64 {
    f64::from_bits(item.stamp)
}

/// Returns the deadline, or 0 if it is beyond the window: such items come first.
fn rank(item: &WorkItem, window: DueWindow) -> u64 {
    let deadline = deadline(item) as u64;
    if deadline > milliseconds(window.beyond()) { 0 } else { deadline }
}

fn unreadable(key: &str, reason: &dyn fmt::Display) -> Lookup {
    // The key holds a hidden name, so it may be logged.
    tracing::warn!(key, "a consent cannot be read: the value {reason}");
    Lookup::Unreadable
}
