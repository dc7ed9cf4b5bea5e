//! Lists all records, for a migration to another store.

use flinks_consents::ConsentId;
use flinks_consents::keep_alive::Lookup;
use flinks_consents::store::{ScanPage, ScanRecords, StoreError, StoreFuture};
use futures_util::future::try_join_all;

use crate::deadlines::PAGE;
use crate::store::RedisStore;

/// A cursor consists of a node's position in the list of nodes and the cursor for that node's
/// `SCAN` command, separated by a colon.
impl ScanRecords for RedisStore {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        Box::pin(self.scan_page(cursor, limit))
    }

    fn is_end_unreported<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let keys = self.namespace().consent_keys(id, &self.envelope());
            let mut command = redis::cmd("ZSCORE");
            command.arg(&keys.ended).arg(&keys.member);
            Ok(self.command::<Option<f64>>(command).await?.is_some())
        })
    }
}

impl RedisStore {
    async fn scan_page(&self, cursor: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        const INVALID: StoreError = ScanPage::INVALID_CURSOR;
        let (position, start): (usize, u64) = match cursor {
            None => (0, 0),
            Some(cursor) => {
                let (position, start) = cursor.split_once(':').ok_or(INVALID)?;
                (position.parse().map_err(|_| INVALID)?, start.parse().map_err(|_| INVALID)?)
            }
        };
        let nodes = self.nodes().await?;
        let Some(node) = nodes.get(position) else { return Ok(ScanPage::default()) };
        let mut scan = redis::cmd("SCAN");
        scan.arg(start).arg("COUNT").arg(limit.clamp(1, PAGE));
        let (next, keys): (u64, Vec<Vec<u8>>) = self.command_at(*node, scan).await?;
        let keys = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        let keys = keys.filter(|key| self.namespace().is_record_key(key));
        let mut page = ScanPage::default();
        for found in try_join_all(keys.map(|key| self.record_at(key))).await? {
            match found {
                Lookup::Record(record) => page.records.push(*record),
                Lookup::Unreadable => page.unreadable = page.unreadable.saturating_add(1),
                Lookup::Missing => {}
            }
        }
        let next_position = position.saturating_add(1);
        page.next = if next != 0 {
            Some(format!("{position}:{next}"))
        } else if next_position < nodes.len() {
            Some(format!("{next_position}:0"))
        } else {
            None
        };
        Ok(page)
    }
}
