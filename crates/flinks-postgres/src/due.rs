//! Lists due consents and ended consents.

use flinks_consents::ConsentId;
use flinks_consents::envelope::HiddenName;
use flinks_consents::keep_alive::{Lookup, WorkItem};
use flinks_consents::store::{DueWindow, StoreError};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::DAMAGED_ROW;
use crate::store::{PostgresStore, hidden_name, is_full, milliseconds, named_value, parse_name, row_limit};
use crate::work_leases::part_of;

/// The smallest and largest `LIMIT` for a statement that returns rows to
/// [`PostgresStore::list_due_of_all`], which decrypts each row.
const MIN_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

impl PostgresStore {
    /// Lists at most `limit` due consents in a shard. Consents with a deadline beyond the window
    /// come first, followed by the other due consents, earliest deadline first.
    pub(crate) async fn list_due(
        &self,
        shard: u16,
        window: DueWindow,
        limit: usize,
    ) -> Result<Vec<WorkItem>, StoreError> {
        let (part, row_limit) = (part_of(shard)?, row_limit(limit));
        let Bounds { before, beyond } = Bounds::of(window);
        let parameters = [
            (&part as _, Type::INT2),
            (&before as _, Type::INT8),
            (&beyond as _, Type::INT8),
            (&row_limit as _, Type::INT8),
        ];
        let rows = self.server().query(&self.statements().due_in, &parameters).await?;
        let mut items = rows.iter().map(|row| item(shard, row)).collect::<Result<Vec<_>, _>>()?;
        // Each range is sorted, but the combined result is not.
        items.sort_by_key(|item| (deadline(item) <= beyond, deadline(item)));
        items.truncate(limit);
        Ok(items)
    }

    /// Lists at most `limit` ended consents in a shard that have not been reported yet.
    pub(crate) async fn list_ended(&self, shard: u16, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let (part, limit) = (part_of(shard)?, row_limit(limit));
        let parameters = [(&part as _, Type::INT2), (&limit as _, Type::INT8)];
        let rows = self.server().query(&self.statements().ended_in, &parameters).await?;
        rows.iter().map(|row| item(shard, row)).collect()
    }

    /// Loads an item's record.
    pub(crate) async fn look_up_item(&self, item: &WorkItem) -> Result<Lookup, StoreError> {
        let Some(name) = name_of(item) else { return Ok(Lookup::Missing) };
        let Some(stored) = self.read_row(&name).await? else { return Ok(Lookup::Missing) };
        let record = self.open_or_log(&stored, &name).await?;
        Ok(record.map_or(Lookup::Unreadable, |record| Lookup::Record(Box::new(record))))
    }

    /// Returns whether the end of an item's consent is still unreported and has not been replaced
    /// by a later end.
    pub(crate) async fn is_listed_as_ended(&self, item: &WorkItem) -> Result<bool, StoreError> {
        let Some(name) = name_of(item) else { return Ok(false) };
        let (name, deadline) = (name.to_bytes(), deadline(item));
        let parameters = [(&name.as_slice() as _, Type::BYTEA), (&deadline as _, Type::INT8)];
        Ok(!self.server().query(&self.statements().is_unreported, &parameters).await?.is_empty())
    }

    /// Marks the end of an item's consent as reported, unless a later end has replaced it.
    pub(crate) async fn remove_reported(&self, item: &WorkItem) -> Result<(), StoreError> {
        let Some(name) = name_of(item) else { return Ok(()) };
        let (name, deadline) = (name.to_bytes(), deadline(item));
        let parameters = [(&name.as_slice() as _, Type::BYTEA), (&deadline as _, Type::INT8)];
        self.server().execute(&self.statements().mark_reported, &parameters).await.map(drop)
    }

    /// Lists at most `limit` due consents from all shards, the most urgent first and those with
    /// suspected refusals last.
    pub(crate) async fn list_due_of_all(&self, window: DueWindow, limit: usize) -> Result<Vec<ConsentId>, StoreError> {
        let Bounds { before, beyond } = Bounds::of(window);
        let mut ids = Vec::new();
        let mut suspected = Vec::new();
        // No deadline is negative, so the first range starts before the earliest deadline.
        for (from, until) in [(beyond.saturating_add(1), i64::MAX), (-1, before)] {
            let mut after = (from, Vec::new());
            while ids.len() < limit {
                let page = row_limit(limit.saturating_sub(ids.len()).clamp(MIN_PAGE, MAX_PAGE));
                let parameters = [
                    (&after.0 as _, Type::INT8),
                    (&after.1 as _, Type::BYTEA),
                    (&until as _, Type::INT8),
                    (&page as _, Type::INT8),
                ];
                let rows = self.server().query(&self.statements().due, &parameters).await?;
                for row in &rows {
                    let (name, stored) = named_value(row)?;
                    after = (row.try_get(3).map_err(|_| DAMAGED_ROW)?, name.to_bytes().to_vec());
                    let Some(record) = self.open_or_log(&stored, &name).await? else { continue };
                    if record.is_suspected() {
                        suspected.push(record.id().clone());
                    } else {
                        ids.push(record.id().clone());
                    }
                }
                // Unreadable and suspected consents must not hide others, no matter how many there
                // are. The loop therefore reads more rows until it finds enough other consents.
                if !is_full(&rows, page) {
                    break;
                }
            }
        }
        ids.extend(suspected);
        ids.truncate(limit);
        Ok(ids)
    }
}

/// The bounds of a window in milliseconds. A consent is due if its deadline is earlier than `before`
/// or later than `beyond`.
struct Bounds {
    before: i64,
    beyond: i64,
}

impl Bounds {
    fn of(window: DueWindow) -> Self {
        let before = milliseconds(window.before());
        // The two ranges must not overlap, even if `before` is later than `beyond`.
        Self { before, beyond: milliseconds(window.beyond()).max(before.saturating_sub(1)) }
    }
}

/// Creates an item from a row with a name and a deadline.
fn item(shard: u16, row: &Row) -> Result<WorkItem, StoreError> {
    let deadline: i64 = row.try_get(1).map_err(|_| DAMAGED_ROW)?;
    Ok(WorkItem { shard, name: hidden_name(row, 0)?.to_string(), stamp: deadline.cast_unsigned() })
}

/// Returns an item's deadline in milliseconds.
fn deadline(item: &WorkItem) -> i64 {
    item.stamp.cast_signed()
}

/// Returns an item's hidden name, or `None` if the item does not come from this store.
fn name_of(item: &WorkItem) -> Option<HiddenName> {
    parse_name(&item.name)
}
