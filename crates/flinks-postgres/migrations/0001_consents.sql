-- Version 1 of the tables of flinks-postgres.
--
-- Each statement can be repeated. To use a schema with another name, replace "flinks" everywhere.

CREATE SCHEMA IF NOT EXISTS "flinks";

-- One row for each consent. "name" is the hidden name of the consent, and "part" is its first byte.
-- "value" is the encrypted record. Times are in milliseconds since the Unix epoch:
-- "deadline" is the idle deadline of a consent that has not ended, and "ended" is the last idle
-- deadline of an ended consent that has not been reported yet.
CREATE TABLE IF NOT EXISTS "flinks".consents (
    name bytea NOT NULL PRIMARY KEY CHECK (octet_length(name) = 16),
    part int2 NOT NULL,
    generation int8 NOT NULL,
    value bytea NOT NULL,
    deadline int8,
    ended int8,
    owner bytea
);

-- The part comes first, so that concurrent refreshes do not all change the same end of the index.
CREATE INDEX IF NOT EXISTS consents_deadline ON "flinks".consents (part, deadline, name)
WHERE deadline IS NOT NULL;

CREATE INDEX IF NOT EXISTS consents_ended ON "flinks".consents (part, ended, name)
WHERE ended IS NOT NULL;

CREATE INDEX IF NOT EXISTS consents_owner ON "flinks".consents (owner, name)
WHERE owner IS NOT NULL;

-- The keep-alive worker that holds the lease on a part.
CREATE TABLE IF NOT EXISTS "flinks".work_leases (
    part int2 NOT NULL PRIMARY KEY,
    holder text NOT NULL,
    expires int8 NOT NULL
);

-- The version of the tables and the fingerprint of the name key.
CREATE TABLE IF NOT EXISTS "flinks".meta (
    key text NOT NULL PRIMARY KEY,
    value text NOT NULL
);

INSERT INTO "flinks".meta (key, value) VALUES ('version', '1') ON CONFLICT (key) DO NOTHING;
