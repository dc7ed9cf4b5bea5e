//! Lists all records, for a migration to another store.

use flinks_consents::ConsentId;
use flinks_consents::envelope::HiddenName;
use flinks_consents::store::{ScanPage, ScanRecords, StoreError, StoreFuture};
use tokio_postgres::types::Type;

use crate::error::DAMAGED_ROW;
use crate::store::{PostgresStore, is_full, named_value, parse_name, row_limit};

/// A cursor is the hidden name of the last consent on the previous page.
impl ScanRecords for PostgresStore {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        Box::pin(self.call(self.scan_page(cursor, limit)))
    }

    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move {
            match self.call(self.count_rows()).await {
                // Counting the rows of a large table can take longer than the timeout.
                Err(StoreError::Unavailable(_)) => Ok(None),
                count => count,
            }
        })
    }

    fn is_end_unreported<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, bool> {
        Box::pin(self.call(self.has_unreported_end(id)))
    }
}

impl PostgresStore {
    async fn scan_page(&self, cursor: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        let after = match cursor {
            None => Vec::new(),
            Some(cursor) => parse_name(cursor).ok_or(ScanPage::INVALID_CURSOR)?.to_bytes().to_vec(),
        };
        let limit = row_limit(limit.max(1));
        let parameters = [(&after as _, Type::BYTEA), (&limit as _, Type::INT8)];
        let rows = self.server().query(&self.statements().scan, &parameters).await?;
        let mut page = ScanPage::default();
        let mut last: Option<HiddenName> = None;
        for row in &rows {
            let (name, stored) = named_value(row)?;
            match self.open_or_log(&stored, &name).await? {
                Some(record) => page.records.push(record),
                None => page.unreadable = page.unreadable.saturating_add(1),
            }
            last = Some(name);
        }
        if is_full(&rows, limit) {
            page.next = last.map(|name| name.to_string());
        }
        Ok(page)
    }

    async fn count_rows(&self) -> Result<Option<u64>, StoreError> {
        let rows = self.server().query(&self.statements().count, &[]).await?;
        let count: i64 = rows.first().ok_or(DAMAGED_ROW)?.try_get(0).map_err(|_| DAMAGED_ROW)?;
        Ok(u64::try_from(count).ok())
    }

    async fn has_unreported_end(&self, id: &ConsentId) -> Result<bool, StoreError> {
        let name = self.envelope().hidden_name(id).to_bytes();
        let parameters = [(&name.as_slice() as _, Type::BYTEA)];
        Ok(!self.server().query(&self.statements().is_end_unreported, &parameters).await?.is_empty())
    }
}
