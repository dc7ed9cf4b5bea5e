//! The index of owners: which consents an owner has.
//!
//! The consents of an owner are in different shards, so no script can write a record and its entry here in one step. An entry is
//! written before its record and checked against the record when it is read. So no consent is missing in the index. Removing a
//! record removes its entry afterwards. An entry that was left behind, because a process was killed or the consent belongs to
//! another owner by now, is removed when it is read, but not in its first hour: its record may be about to be written.

use std::time::{Duration, SystemTime};

use flinks_consents::keep_alive::Lookup;
use flinks_consents::store::{Record, StoreError};
use flinks_consents::{OwnerId, Page};
use futures_util::future::try_join_all;

use crate::scripts::milliseconds;
use crate::store::RedisStore;

/// How long an entry without its record is kept.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);
/// How many entries are read at a time.
const CHUNK: usize = 100;

/// An entry of an owner.
pub(crate) struct OwnerEntry {
    pub(crate) index: String,
    /// The hidden name of a consent.
    pub(crate) name: String,
    /// When the entry was written, in milliseconds, and random bits that tell it from another entry of that moment.
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
    /// Adds a consent to the entries of its owner.
    pub(crate) async fn index_owner(&self, record: &Record) -> Result<(), StoreError> {
        if record.is_owner_new() { self.restore_owner(record).await } else { Ok(()) }
    }

    /// Adds a consent to the entries of its owner, whether or not it may be missing there.
    pub(crate) async fn restore_owner(&self, record: &Record) -> Result<(), StoreError> {
        let Some(owner) = record.owner() else { return Ok(()) };
        let keys = self.keys();
        let mut command = redis::cmd("HSET");
        command.arg(self.namespace().owner(&keys.hidden_owner(owner)));
        command.arg(keys.hidden_name(record.id()).to_string()).arg(OwnerEntry::new_version(SystemTime::now()));
        self.command::<i64>(command).await.map(drop)
    }

    /// Lists the records of an owner, in the order of their hidden names.
    pub(crate) async fn list_owner(&self, owner: &OwnerId, page: &Page) -> Result<Vec<Record>, StoreError> {
        let keys = self.keys();
        let index = self.namespace().owner(&keys.hidden_owner(owner));
        let mut command = redis::cmd("HGETALL");
        command.arg(&index);
        let mut entries: Vec<(String, u64)> = self.command(command).await?;
        let after = page.after.as_ref().map(|id| keys.hidden_name(id).to_string());
        entries.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        entries.sort();
        let mut records = Vec::new();
        for some in entries.chunks(CHUNK) {
            if records.len() >= page.limit {
                break;
            }
            let found = try_join_all(some.iter().map(|(name, _)| self.record_named(name))).await?;
            for ((name, version), found) in some.iter().zip(found) {
                match found {
                    Lookup::Record(record) if record.owner() == Some(owner) => records.push(*record),
                    Lookup::Record(_) | Lookup::Gone => {
                        let entry = OwnerEntry { index: index.clone(), name: name.clone(), version: *version };
                        self.remove_stale(&entry).await?;
                    }
                    _ => {}
                }
            }
        }
        records.truncate(page.limit);
        Ok(records)
    }

    /// Returns the entry of a record, as it is now.
    pub(crate) async fn owner_entry(&self, record: &Record) -> Result<Option<OwnerEntry>, StoreError> {
        let Some(owner) = record.owner() else { return Ok(None) };
        let keys = self.keys();
        let index = self.namespace().owner(&keys.hidden_owner(owner));
        let name = keys.hidden_name(record.id()).to_string();
        let mut command = redis::cmd("HGET");
        command.arg(&index).arg(&name);
        let version: Option<u64> = self.command(command).await?;
        Ok(version.map(|version| OwnerEntry { index, name, version }))
    }

    /// Removes an entry, unless it was written again.
    pub(crate) async fn remove_owner_entry(&self, entry: &OwnerEntry) -> Result<(), StoreError> {
        self.script(&self.scripts().forget_owned(entry)).await.map(drop)
    }

    async fn record_named(&self, name: &str) -> Result<Lookup, StoreError> {
        match self.namespace().value_named(name) {
            Some(key) => self.record_at(&key).await,
            None => Ok(Lookup::Gone),
        }
    }

    /// Removes an entry whose record is gone, unless the record may be about to be written.
    async fn remove_stale(&self, entry: &OwnerEntry) -> Result<(), StoreError> {
        if entry.age(SystemTime::now()) < UNFINISHED { Ok(()) } else { self.remove_owner_entry(entry).await }
    }
}
