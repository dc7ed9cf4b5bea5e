//! Restores the deadlines of consents from their records.

use flinks_consents::store::StoreError;
use futures_util::future::try_join_all;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, FromRedisValue};

use crate::servers::Connection;
use crate::store::RedisStore;
use flinks_consents::keep_alive::Lookup;

/// The number of keys that one `SCAN` looks at.
const PAGE: usize = 1000;

impl RedisStore {
    /// Restores the deadlines of consents that have lost theirs, so that
    /// [`KeepAlive`](crate::KeepAlive) finds them, and returns how many it has restored. It restores the
    /// entries of owners as well. Call it after somebody deleted one of these, or Redis evicted one. It reads every record once, while
    /// other processes continue to work.
    ///
    /// Consents that have ended and were not reported yet are not restored: only the lost set recorded
    /// which of them were reported.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store fails. Deadlines that were restored before the failure
    /// remain. Records that cannot be read are skipped and logged.
    pub async fn restore_indexes(&self) -> Result<u64, StoreError> {
        let mut restored = 0_u64;
        for node in self.nodes().await? {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("COUNT").arg(PAGE);
                // Keys of other applications may be any bytes.
                let (next, keys): (u64, Vec<Vec<u8>>) = self.command_at(node, scan).await?;
                let keys = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
                for is_restored in try_join_all(keys.map(|key| self.restore_deadline(key))).await? {
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

    async fn restore_deadline(&self, key: &str) -> Result<bool, StoreError> {
        if !self.namespace().is_value(key) {
            return Ok(false);
        }
        let Lookup::Record(record) = self.record_at(key).await? else { return Ok(false) };
        self.restore_owner(&record).await?;
        if record.is_ended() {
            return Ok(false);
        }
        let names = self.namespace().keys_of(record.id(), &self.keys());
        self.script(&self.scripts().restore(&names, &record)).await
    }

    /// Returns the nodes that hold records, each by one of its slots. A single server has no slot.
    async fn nodes(&self) -> Result<Vec<Option<u16>>, StoreError> {
        if !self.is_cluster() {
            return Ok(vec![None]);
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        // A line is `ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…`, and slots are `7` or `0-16383`.
        let first_slot = |line: &str| line.split(' ').nth(8)?.split('-').next()?.parse().ok();
        Ok(self.command::<String>(command).await?.lines().map(first_slot).filter(Option::is_some).collect())
    }

    /// Sends a command to the node that has a slot.
    async fn command_at<T: FromRedisValue>(&self, slot: Option<u16>, command: Cmd) -> Result<T, StoreError> {
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
