//! Restores lost index entries from the records.

use flinks_consents::store::StoreError;
use futures_util::future::try_join_all;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, FromRedisValue};

use crate::servers::Connection;
use crate::store::RedisStore;
use flinks_consents::keep_alive::Lookup;

/// The number of keys that one `SCAN` command examines.
pub(crate) const PAGE: usize = 1000;

impl RedisStore {
    /// Restores missing deadlines and owner entries from the records, and returns the number of
    /// restored deadlines.
    ///
    /// Call this method if deadlines or owner entries were deleted or evicted:
    /// [`KeepAlive`](crate::KeepAlive) does not find consents without a deadline, and
    /// [`Consents::list`](flinks_consents::Consents::list) does not find those without an owner
    /// entry. The method reads every record once. Other processes can use the store while this
    /// method runs.
    ///
    /// The method cannot restore the list of ended consents that have not been reported yet,
    /// because their records do not show whether they have been reported.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store fails. Deadlines restored before the failure remain
    /// restored. An unreadable record is not an error: the method logs and skips it.
    pub async fn restore_indexes(&self) -> Result<u64, StoreError> {
        let mut restored = 0_u64;
        for node in self.nodes().await? {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("COUNT").arg(PAGE);
                // Other applications' keys may not be valid UTF-8.
                let (next, keys): (u64, Vec<Vec<u8>>) = self.command_at(node, scan).await?;
                let keys = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
                for is_restored in try_join_all(keys.map(|key| self.restore_record(key))).await? {
                    restored = restored.saturating_add(u64::from(is_restored));
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(restored)
    }

    /// Restores the index entries for the record with this key. Returns whether the record's
    /// deadline was missing.
    async fn restore_record(&self, key: &str) -> Result<bool, StoreError> {
        if !self.namespace().is_record_key(key) {
            return Ok(false);
        }
        let Lookup::Record(record) = self.record_at(key).await? else { return Ok(false) };
        self.restore_owner(&record).await?;
        if record.is_ended() {
            return Ok(false);
        }
        let consent_keys = self.namespace().consent_keys(record.id(), &self.envelope());
        self.script(&self.scripts().restore_deadline(&consent_keys, &record)).await
    }

    /// Returns one slot for each cluster node that has slots, or a single `None` for a single
    /// server.
    pub(crate) async fn nodes(&self) -> Result<Vec<Option<u16>>, StoreError> {
        if !self.is_cluster() {
            return Ok(vec![None]);
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        // A line is `ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…`. Slots are written as
        // `7` or `0-16383`.
        let first_slot = |line: &str| line.split(' ').nth(8)?.split('-').next()?.parse().ok();
        Ok(self.command::<String>(command).await?.lines().map(first_slot).filter(Option::is_some).collect())
    }

    /// Sends a command to the node that owns a slot, or to the single server.
    pub(crate) async fn command_at<T: FromRedisValue>(&self, slot: Option<u16>, command: Cmd) -> Result<T, StoreError> {
        self.call(|connection| async move {
            match (connection, slot) {
                (Connection::Cluster(mut cluster), Some(slot)) => {
                    let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                    let reply = cluster.route_command(command, RoutingInfo::SingleNode(node)).await?;
                    Ok(redis::from_redis_value(reply).map_err(redis::RedisError::from)?)
                }
                (mut connection, _) => Ok(command.query_async(&mut connection).await?),
            }
        })
        .await
    }
}
