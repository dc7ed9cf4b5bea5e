//! The migrations, which create and change the tables, and the version check.

use std::borrow::Cow;

use flinks_consents::store::StoreError;
use tokio_postgres::types::Type;

use crate::builder::DEFAULT_SCHEMA;
use crate::calls::Retries;
use crate::error::{
    DAMAGED_ROW, Failure, InvalidConfiguration, NEWER_TABLES, NO_TABLES, OLDER_TABLES, WRONG_NAME_KEY,
    is_concurrent_creation, is_missing_table,
};
use crate::schema::Schema;
use crate::store::PostgresStore;

/// A migration: the SQL statements that create the tables or bring them to a new version.
///
/// Each statement can be repeated, and several processes can run a migration at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaMigration {
    /// The version of the tables after the migration.
    pub version: u32,
    /// The name of the file, such as `0001_consents.sql`.
    pub name: &'static str,
    /// The statements, each of which ends with a semicolon.
    pub sql: Cow<'static, str>,
}

/// The version of the tables that this version of the crate uses.
const VERSION: u32 = 1;

const FILES: [(u32, &str, &str); 1] = [(1, "0001_consents.sql", include_str!("../migrations/0001_consents.sql"))];

fn migrations(schema: &Schema) -> Vec<SchemaMigration> {
    let sql = |text: &'static str| {
        if schema.as_str() == DEFAULT_SCHEMA {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace(&format!("\"{DEFAULT_SCHEMA}\""), &schema.to_string()))
    };
    FILES.into_iter().map(|(version, name, text)| SchemaMigration { version, name, sql: sql(text) }).collect()
}

/// Splits a migration into its statements, without the comments.
fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<&str> = sql.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = lines.join("\n");
    statements.split(';').map(|statement| statement.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

impl PostgresStore {
    /// Returns the migrations for a schema, so that you can run them with your own tool. Run them
    /// in order. For the default schema, they are the files in this crate's `migrations` folder.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidConfiguration`] if `schema` is not a valid schema name.
    pub fn migrations(schema: &str) -> Result<Vec<SchemaMigration>, InvalidConfiguration> {
        Ok(migrations(&Schema::new(schema.to_owned())?))
    }

    /// Creates the tables, or updates them to the version that this version of the crate uses. Does
    /// nothing if the tables already have that version.
    ///
    /// The database user needs the privilege to create schemas or, if the schema exists, to create
    /// tables in it. The application's user needs fewer privileges, so consider running the
    /// migrations as another user. Several processes can call this method at the same time. The
    /// store's timeout applies to each statement.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if PostgreSQL cannot be reached, if the user lacks a privilege, or
    /// if the tables have a newer version. You can call the method again after an error.
    ///
    /// # Cancel safety
    ///
    /// If the call is cancelled, some of the statements may have run. Call the method again to run
    /// the others.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let found = self.server().call(self.read_version()).await?;
        if found > VERSION {
            return Err(NEWER_TABLES);
        }
        for migration in migrations(self.schema()).into_iter().filter(|migration| migration.version > found) {
            for statement in statements(&migration.sql) {
                self.server().call(self.run_statement(&statement)).await?;
            }
            tracing::info!(name = migration.name, "ran a migration of flinks-postgres");
        }
        Ok(())
    }

    /// Runs a statement from a migration. Repeats the statement if another process runs it at the
    /// same time.
    async fn run_statement(&self, sql: &str) -> Result<(), StoreError> {
        // `CREATE SCHEMA IF NOT EXISTS` requires the privilege to create schemas even if the schema
        // exists.
        if sql.starts_with("CREATE SCHEMA") && self.has_schema().await? {
            return Ok(());
        }
        let mut retries = Retries::default();
        loop {
            match self.server().attempt_raw(async |client| client.batch_execute(sql).await).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if is_concurrent_creation(&error) => retries.wait_after(Failure::Conflict).await?,
                Ok(Err(error)) => retries.wait_after(Failure::of(&error)).await?,
                Err(failure) => retries.wait_after(failure).await?,
            }
        }
    }

    async fn has_schema(&self) -> Result<bool, StoreError> {
        let schema = self.schema().as_str();
        let parameters = [(&schema as _, Type::TEXT)];
        Ok(!self.server().query(&self.statements().find_schema, &parameters).await?.is_empty())
    }

    /// Returns the version of the tables, or 0 if there are no tables.
    async fn read_version(&self) -> Result<u32, StoreError> {
        Ok(self.read_meta().await?.map_or(0, |meta| meta.version))
    }

    /// Checks that the tables have the version that this crate needs and that the name key matches
    /// the fingerprint in the database.
    ///
    /// With a different name key, the store would find no records and would store every consent a
    /// second time.
    pub(crate) async fn check_tables(&self) -> Result<(), StoreError> {
        let meta = self.read_meta().await?.ok_or(NO_TABLES)?;
        if meta.version < VERSION {
            return Err(OLDER_TABLES);
        }
        if meta.version > VERSION {
            return Err(NEWER_TABLES);
        }
        let fingerprint = self.envelope().name_key_fingerprint();
        let stored = match meta.fingerprint {
            Some(stored) => stored,
            None => {
                let parameters = [(&fingerprint as _, Type::TEXT)];
                self.server().execute(&self.statements().insert_fingerprint, &parameters).await?;
                // Another process may have stored its fingerprint first.
                self.read_meta().await?.and_then(|meta| meta.fingerprint).ok_or(DAMAGED_ROW)?
            }
        };
        if stored == fingerprint { Ok(()) } else { Err(WRONG_NAME_KEY) }
    }

    /// Reads the `meta` table. Returns `None` if the table does not exist or contains no version.
    async fn read_meta(&self) -> Result<Option<Meta>, StoreError> {
        let mut retries = Retries::default();
        let rows = loop {
            let sql = &self.statements().read_meta;
            match self.server().attempt_raw(async |client| client.query_typed(sql, &[]).await).await {
                Ok(Ok(rows)) => break rows,
                Ok(Err(error)) if is_missing_table(&error) => return Ok(None),
                Ok(Err(error)) => retries.wait_after(Failure::of(&error)).await?,
                Err(failure) => retries.wait_after(failure).await?,
            }
        };
        let mut version = None;
        let mut fingerprint = None;
        for row in &rows {
            let key: &str = row.try_get(0).map_err(|_| DAMAGED_ROW)?;
            let value: &str = row.try_get(1).map_err(|_| DAMAGED_ROW)?;
            match key {
                "version" => version = Some(value.parse().map_err(|_| DAMAGED_ROW)?),
                "name_key" => fingerprint = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(version.map(|version| Meta { version, fingerprint }))
    }
}

/// The content of the `meta` table.
struct Meta {
    version: u32,
    fingerprint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_in_order_and_end_with_the_current_version() {
        let all = PostgresStore::migrations("app").unwrap();
        assert_eq!(all.iter().map(|migration| migration.version).collect::<Vec<_>>(), [VERSION]);
        for migration in &all {
            assert!(!migration.sql.contains("\"flinks\""), "{}", migration.name);
            assert!(migration.sql.contains("\"app\".consents"), "{}", migration.name);
            // A semicolon in a comment would split a statement.
            for line in migration.sql.lines().filter(|line| line.starts_with("--")) {
                assert!(!line.contains(';'), "{line}");
            }
        }
        assert!(PostgresStore::migrations("a b").is_err());
    }

    #[test]
    fn migration_is_split_into_statements() {
        assert_eq!(statements("-- A\nCREATE A (\n  b\n);\n\n-- C\nCREATE C;\n"), ["CREATE A (\n  b\n)", "CREATE C"]);
    }
}
