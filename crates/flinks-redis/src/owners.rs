//! The owner index: a hash for each owner, with one entry for each of the owner's consents.
//!
//! In a cluster, a record and its entry may be in different slots, so a script cannot write both
//! atomically. The following rules keep the index complete:
//!
//! - The store writes an entry before its record, and removes the record before its entry.
//! - When the store reads an entry, it compares the entry with the record. An entry is stale if it
//!   has no record, for example because a process was killed, or if the record belongs to another
//!   owner.
//! - When the store reads a stale entry, it removes the entry, unless the entry is less than an
//!   hour old: another process may be about to write the record.

use std::time::{Duration, SystemTime};

use flinks_consents::keep_alive::Lookup;
use flinks_consents::store::{Record, StoreError};
use flinks_consents::{OwnerId, Page};
use futures_util::future::try_join_all;

use crate::scripts::milliseconds;
use crate::store::RedisStore;

/// The minimum age at which a stale entry is removed.
const MIN_STALE_AGE: Duration = Duration::from_secs(60 * 60);
/// The number of records that are loaded concurrently.
const CHUNK: usize = 100;

/// An entry in the owner index.
pub(crate) struct OwnerEntry {
    /// The Redis key for the owner's hash.
    pub(crate) index: String,
    /// The consent's hidden name.
    pub(crate) name: String,
    /// The time when the entry was written, in milliseconds, followed by random bits that
    /// distinguish entries written in the same millisecond.
    pub(crate) version: u64,
}

impl OwnerEntry {
    const RANDOM_BITS: u32 = 20;

    fn new_version(now: SystemTime) -> u64 {
        (milliseconds(now) << Self::RANDOM_BITS) | fastrand::u64(..1 << Self::RANDOM_BITS)
    }

    fn age(&self, now: SystemTime) -> Duration {
        Duration::from_millis(milliseconds(now).saturating_sub(self.version >> Self::RANDOM_BITS))
    }
}

impl RedisStore {
    /// Writes a record's owner entry if it may be missing.
    pub(crate) async fn index_owner(&self, record: &Record) -> Result<(), StoreError> {
        if record.is_owner_new() { self.restore_owner(record).await } else { Ok(()) }
    }

    /// Writes a record's owner entry. Does nothing if the record has no owner.
    pub(crate) async fn restore_owner(&self, record: &Record) -> Result<(), StoreError> {
        let Some(owner) = record.owner() else { return Ok(()) };
        let envelope = self.envelope();
        let mut command = redis::cmd("HSET");
        command.arg(self.namespace().owner_key(&envelope.hidden_owner(owner)));
        command.arg(envelope.hidden_name(record.id()).to_string()).arg(OwnerEntry::new_version(SystemTime::now()));
        self.command::<i64>(command).await.map(drop)
    }

    /// Lists an owner's records in the order of their hidden names.
    pub(crate) async fn list_owner(&self, owner: &OwnerId, page: &Page) -> Result<Vec<Record>, StoreError> {
        let envelope = self.envelope();
        let index = self.namespace().owner_key(&envelope.hidden_owner(owner));
        let mut command = redis::cmd("HGETALL");
        command.arg(&index);
        let mut entries: Vec<(String, u64)> = self.command(command).await?;
        let after = page.after.as_ref().map(|id| envelope.hidden_name(id).to_string());
        entries.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        entries.sort();
        let mut records = Vec::new();
        for chunk in entries.chunks(CHUNK) {
            if records.len() >= page.limit {
                break;
            }
            let found = try_join_all(chunk.iter().map(|(name, _)| self.record_named(name))).await?;
            for ((name, version), found) in chunk.iter().zip(found) {
                match found {
                    Lookup::Record(record) if record.owner() == Some(owner) => records.push(*record),
                    Lookup::Record(_) | Lookup::Missing => {
                        let entry = OwnerEntry { index: index.clone(), name: name.clone(), version: *version };
                        self.remove_stale(&entry).await?;
                    }
                    Lookup::Unreadable => {}
                }
            }
        }
        records.truncate(page.limit);
        Ok(records)
    }

    /// Returns a record's current owner entry, or `None` if the record has no owner or no entry.
    pub(crate) async fn owner_entry(&self, record: &Record) -> Result<Option<OwnerEntry>, StoreError> {
        let Some(owner) = record.owner() else { return Ok(None) };
        let envelope = self.envelope();
        let index = self.namespace().owner_key(&envelope.hidden_owner(owner));
        let name = envelope.hidden_name(record.id()).to_string();
        let mut command = redis::cmd("HGET");
        command.arg(&index).arg(&name);
        let version: Option<u64> = self.command(command).await?;
        Ok(version.map(|version| OwnerEntry { index, name, version }))
    }

    /// Removes an entry, unless it has been written again in the meantime.
    pub(crate) async fn remove_owner_entry(&self, entry: &OwnerEntry) -> Result<(), StoreError> {
        self.script(&self.scripts().remove_owner_entry(entry)).await.map(drop)
    }

    async fn record_named(&self, name: &str) -> Result<Lookup, StoreError> {
        match self.namespace().parse_record_key(name) {
            Some(key) => self.record_at(&key).await,
            None => Ok(Lookup::Missing),
        }
    }

    /// Removes a stale entry, unless it is so recent that another process may be about to write its
    /// record.
    async fn remove_stale(&self, entry: &OwnerEntry) -> Result<(), StoreError> {
        if entry.age(SystemTime::now()) < MIN_STALE_AGE { Ok(()) } else { self.remove_owner_entry(entry).await }
    }
}
