//! Conditional writes. A write whose connection was lost is compared with the row.
//!
//! A conditional write specifies the generation that it replaces, so at most one of several
//! identical writes takes effect. If the connection is lost after the statement was sent, the store
//! reads the row:
//!
//! | row | conclusion |
//! | --- | --- |
//! | the write's value | The write took effect. |
//! | the generation that the write replaces | The write has not taken effect yet, so it is sent again. |
//! | the write's generation with another value | Another write took effect instead. |
//! | anything else | The row does not show whether the write took effect. |
//!
//! Each encrypted value is unique, because it contains a random nonce.

use flinks_consents::envelope::HiddenName;
use flinks_consents::store::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::calls::{Parameters, Retries};
use crate::error::{DAMAGED_ROW, Failure, OUTCOME_UNKNOWN};
use crate::store::PostgresStore;

/// The generation and the encrypted value in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredValue {
    pub(crate) generation: u64,
    pub(crate) value: Vec<u8>,
}

impl StoredValue {
    /// Reads the generation from the column with index `first` and the value from the next column.
    pub(crate) fn of(row: &Row, first: usize) -> Result<Self, StoreError> {
        let generation: i64 = row.try_get(first).map_err(|_| DAMAGED_ROW)?;
        let value = row.try_get(first.saturating_add(1)).map_err(|_| DAMAGED_ROW)?;
        Ok(Self { generation: generation.cast_unsigned(), value })
    }
}

/// A write that depends on a row's generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConditionalWrite<'a> {
    /// The generation that the write replaces or removes, or `None` if it creates the row.
    pub(crate) expected: Option<u64>,
    /// The new generation and value, or `None` if the write removes the row.
    pub(crate) new: Option<(u64, &'a [u8])>,
}

/// The fate of a write whose connection was lost, as shown by the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conclusion {
    Done,
    NotDone,
    SendAgain,
    Unknown,
}

impl ConditionalWrite<'_> {
    fn conclude(self, row: Option<&StoredValue>) -> Conclusion {
        match (self.expected, self.new, row) {
            (_, Some((_, value)), Some(row)) if row.value == value => Conclusion::Done,
            (Some(expected), _, Some(row)) if row.generation == expected => Conclusion::SendAgain,
            (_, Some((generation, _)), Some(row)) if row.generation == generation => Conclusion::NotDone,
            // The record was removed, whether by this call or by another.
            (_, None, None) => Conclusion::Done,
            _ => Conclusion::Unknown,
        }
    }
}

impl PostgresStore {
    /// Sends a write. Returns whether it took effect.
    pub(crate) async fn write(
        &self,
        name: &HiddenName,
        write: ConditionalWrite<'_>,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<bool, StoreError> {
        let mut retries = Retries::default();
        let mut was_lost = false;
        // Set if the connection has been lost too often for the statement to be sent again.
        let mut lost = None;
        loop {
            match self.server().execute_once(sql, parameters).await {
                Ok(0) if was_lost => {}
                Ok(rows) => return Ok(rows > 0),
                Err(Failure::Lost(error)) => {
                    was_lost = true;
                    lost = retries.wait_after(Failure::Lost(error)).await.err();
                }
                Err(failure) => {
                    // After a lost connection, an error does not mean that nothing was written.
                    let is_certain = !was_lost;
                    retries
                        .wait_after(failure)
                        .await
                        .map_err(|error| if is_certain { error } else { OUTCOME_UNKNOWN })?;
                    continue;
                }
            }
            let row = self.read_row(name).await.map_err(|_| OUTCOME_UNKNOWN)?;
            match write.conclude(row.as_ref()) {
                Conclusion::Done => return Ok(true),
                Conclusion::NotDone => return Ok(false),
                Conclusion::SendAgain => {
                    if let Some(error) = lost {
                        return Err(error);
                    }
                }
                Conclusion::Unknown => return Err(OUTCOME_UNKNOWN),
            }
        }
    }

    /// Reads a consent's row.
    pub(crate) async fn read_row(&self, name: &HiddenName) -> Result<Option<StoredValue>, StoreError> {
        let bytes = name.to_bytes();
        let rows = self.server().query(&self.statements().load, &[(&bytes.as_slice(), Type::BYTEA)]).await?;
        rows.first().map(|row| StoredValue::of(row, 0)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(generation: u64, value: &[u8]) -> StoredValue {
        StoredValue { generation, value: value.to_vec() }
    }

    #[test]
    fn lost_write_is_compared_with_the_row() {
        let insert = ConditionalWrite { expected: None, new: Some((8, b"ours")) };
        let update = ConditionalWrite { expected: Some(7), new: Some((8, b"ours")) };
        let remove = ConditionalWrite { expected: Some(7), new: None };
        for (write, row, expected) in [
            (insert, Some(row(8, b"ours")), Conclusion::Done),
            // The consent may have been stored and removed again.
            (insert, None, Conclusion::Unknown),
            (insert, Some(row(3, b"theirs")), Conclusion::Unknown),
            (insert, Some(row(9, b"theirs")), Conclusion::Unknown),
            (update, Some(row(8, b"ours")), Conclusion::Done),
            (update, Some(row(7, b"old")), Conclusion::SendAgain),
            (update, Some(row(8, b"theirs")), Conclusion::NotDone),
            (update, Some(row(9, b"theirs")), Conclusion::Unknown),
            (update, None, Conclusion::Unknown),
            (remove, None, Conclusion::Done),
            (remove, Some(row(7, b"old")), Conclusion::SendAgain),
            (remove, Some(row(8, b"theirs")), Conclusion::Unknown),
        ] {
            assert_eq!(write.conclude(row.as_ref()), expected, "{write:?} {row:?}");
        }
    }
}
