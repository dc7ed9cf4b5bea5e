//! The store's SQL statements.
//!
//! - Each statement qualifies its table names with the schema, because `search_path` may contain
//!   other schemas.
//! - Each call sends a single, unnamed statement, and no statement changes the session. The
//!   statements therefore work behind a pooler that assigns a connection to each transaction.
//! - The statements use only types and clauses that both PostgreSQL and CockroachDB document.
//! - All values are parameters.

use crate::schema::Schema;

/// The statements for one schema.
pub(crate) struct Statements {
    /// Returns the generation and the value of the consent `$1`.
    pub(crate) load: String,
    /// Stores a new consent: the name `$1`, the part `$2`, the generation `$3`, the value `$4`, the
    /// deadline `$5` and the owner `$6`. Changes nothing if the consent already exists.
    pub(crate) insert: String,
    /// Replaces the generation `$2` of the consent `$1` with the generation `$3`, the value `$4`, the
    /// deadline `$5` (null if the consent has ended), the last deadline `$6` and the owner `$7`.
    ///
    /// The consent's end is marked as unreported only if the consent had not already ended, so that
    /// the same end is never reported twice.
    pub(crate) update: String,
    /// Removes the consent `$1` if its generation is `$2`.
    pub(crate) remove: String,
    /// Lists up to `$3` consents of the owner `$1` whose names are greater than `$2`.
    pub(crate) list: String,
    /// Lists up to `$2` consents whose names are greater than `$1`.
    pub(crate) scan: String,
    /// Returns the number of consents.
    pub(crate) count: String,
    /// Returns a row if the consent `$1` has ended and has not been reported yet.
    pub(crate) is_end_unreported: String,
    /// Lists up to `$4` consents in the part `$1` whose deadlines are earlier than `$2` or later
    /// than `$3`. The limit applies to each of the two ranges.
    pub(crate) due_in: String,
    /// Lists up to `$4` consents from all parts, ordered by deadline and name, starting after the
    /// deadline `$1` and the name `$2` and ending before the deadline `$3`.
    pub(crate) due: String,
    /// Lists up to `$2` ended consents in the part `$1` that have not been reported yet.
    pub(crate) ended_in: String,
    /// Returns a row if the consent `$1` ended with the last deadline `$2` and has not been
    /// reported yet.
    pub(crate) is_unreported: String,
    /// Marks the consent `$1` as reported if it ended with the last deadline `$2`.
    pub(crate) mark_reported: String,
    /// Acquires or extends the lease on the part `$1` for the holder `$2`. By the server's clock,
    /// the lease lasts `$3` milliseconds.
    pub(crate) acquire_lease: String,
    /// Releases the lease on the part `$1` if the holder is `$2`.
    pub(crate) release_lease: String,
    /// Returns the version of the tables and the fingerprint of the name key.
    pub(crate) read_meta: String,
    /// Stores the fingerprint `$1` of the name key, unless one is already stored.
    pub(crate) insert_fingerprint: String,
    /// Returns a row if the schema `$1` exists and the current user can see it.
    pub(crate) find_schema: String,
    /// Returns the settings that each [`Warning`](crate::Warning) is based on, the server's time,
    /// and the persistence of the consents table in the schema `$1`.
    pub(crate) read_settings: String,
}

/// The server's time in milliseconds since the Unix epoch.
const NOW: &str = "CAST(extract(epoch FROM now()) * 1000 AS int8)";

impl Statements {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            load: format!("SELECT generation, value FROM {schema}.consents WHERE name = $1"),
            insert: format!(
                "INSERT INTO {schema}.consents (name, part, generation, value, deadline, owner) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING"
            ),
            update: format!(
                "UPDATE {schema}.consents SET generation = $3, value = $4, \
                 ended = CASE WHEN $5 IS NOT NULL THEN NULL WHEN deadline IS NULL THEN ended ELSE $6 END, \
                 deadline = $5, owner = $7 WHERE name = $1 AND generation = $2"
            ),
            remove: format!("DELETE FROM {schema}.consents WHERE name = $1 AND generation = $2"),
            list: format!(
                "SELECT name, generation, value FROM {schema}.consents \
                 WHERE owner = $1 AND name > $2 ORDER BY name LIMIT $3"
            ),
            scan: format!(
                "SELECT name, generation, value FROM {schema}.consents WHERE name > $1 ORDER BY name LIMIT $2"
            ),
            count: format!("SELECT count(*) FROM {schema}.consents"),
            is_end_unreported: format!("SELECT ended FROM {schema}.consents WHERE name = $1 AND ended IS NOT NULL"),
            due_in: format!(
                "(SELECT name, deadline FROM {schema}.consents \
                 WHERE part = $1 AND deadline IS NOT NULL AND deadline < $2 ORDER BY deadline, name LIMIT $4) \
                 UNION ALL (SELECT name, deadline FROM {schema}.consents \
                 WHERE part = $1 AND deadline IS NOT NULL AND deadline > $3 ORDER BY deadline, name LIMIT $4)"
            ),
            // The inner statements read only the index. The values are read after the limit has
            // been applied.
            due: format!(
                "SELECT d.name, c.generation, c.value, d.deadline FROM (SELECT k.name, k.deadline \
                 FROM generate_series(0, 255) AS p (part) \
                 CROSS JOIN LATERAL (SELECT i.name, i.deadline FROM {schema}.consents AS i \
                 WHERE i.part = p.part AND i.deadline IS NOT NULL \
                 AND (i.deadline, i.name) > ($1, $2) AND i.deadline < $3 ORDER BY i.deadline, i.name LIMIT $4) AS k \
                 ORDER BY k.deadline, k.name LIMIT $4) AS d \
                 JOIN {schema}.consents AS c ON c.name = d.name ORDER BY d.deadline, d.name"
            ),
            ended_in: format!(
                "SELECT name, ended FROM {schema}.consents \
                 WHERE part = $1 AND ended IS NOT NULL ORDER BY ended, name LIMIT $2"
            ),
            is_unreported: format!("SELECT ended FROM {schema}.consents WHERE name = $1 AND ended = $2"),
            mark_reported: format!("UPDATE {schema}.consents SET ended = NULL WHERE name = $1 AND ended = $2"),
            acquire_lease: format!(
                "INSERT INTO {schema}.work_leases AS l (part, holder, expires) VALUES ($1, $2, {NOW} + $3) \
                 ON CONFLICT (part) DO UPDATE SET holder = excluded.holder, expires = excluded.expires \
                 WHERE l.holder = excluded.holder OR l.expires <= {NOW}"
            ),
            release_lease: format!("DELETE FROM {schema}.work_leases WHERE part = $1 AND holder = $2"),
            read_meta: format!("SELECT key, value FROM {schema}.meta"),
            insert_fingerprint: format!(
                "INSERT INTO {schema}.meta (key, value) VALUES ('name_key', $1) ON CONFLICT (key) DO NOTHING"
            ),
            find_schema: "SELECT CAST(1 AS int8) FROM information_schema.schemata WHERE schema_name = $1".to_owned(),
            read_settings: format!(
                "SELECT current_setting('fsync', true), current_setting('full_page_writes', true), \
                 current_setting('synchronous_commit', true), current_setting('transaction_read_only', true), {NOW}, \
                 (SELECT CAST(c.relpersistence AS text) FROM pg_catalog.pg_class AS c \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = 'consents')"
            ),
        }
    }
}
