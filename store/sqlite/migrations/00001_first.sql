-- +goose Up
CREATE TABLE box_keys (
  tenant_id TEXT NOT NULL,
  subject   TEXT NOT NULL, -- '' = the tenant's own
  wrapped   BLOB NOT NULL,
  PRIMARY KEY (tenant_id, subject)
) WITHOUT ROWID;

CREATE TABLE records (
  tenant_id TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  subject   TEXT    NOT NULL,
  sort      INTEGER NOT NULL,
  sealed    BLOB    NOT NULL,
  PRIMARY KEY (tenant_id, kind, id)
) WITHOUT ROWID;
CREATE INDEX records_sorted ON records (tenant_id, kind, sort, id);
CREATE INDEX records_of_subject ON records (tenant_id, subject) WHERE subject <> '';

CREATE TABLE record_keys (
  tenant_id TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  blind     BLOB    NOT NULL, -- keyed hash of name and value
  sort      INTEGER NOT NULL,
  id        TEXT    NOT NULL,
  PRIMARY KEY (tenant_id, kind, blind, sort, id)
) WITHOUT ROWID;
CREATE INDEX record_keys_of ON record_keys (tenant_id, kind, id);

CREATE TABLE entries (
  tenant_id TEXT    NOT NULL,
  place     INTEGER NOT NULL,
  leaf      BLOB    NOT NULL,
  event     TEXT    NOT NULL,
  traversal TEXT    NOT NULL,
  release   TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  PRIMARY KEY (tenant_id, place)
) WITHOUT ROWID;
CREATE INDEX entries_event ON entries (tenant_id, event, place);
CREATE INDEX entries_traversal ON entries (tenant_id, traversal, place) WHERE traversal <> '';
CREATE INDEX entries_release ON entries (tenant_id, release, place) WHERE release <> '';
CREATE INDEX entries_subject ON entries (tenant_id, subject, place) WHERE subject <> '';

CREATE TABLE hashes (
  tenant_id TEXT    NOT NULL,
  place     INTEGER NOT NULL, -- tlog.StoredHashIndex
  hash      BLOB    NOT NULL,
  PRIMARY KEY (tenant_id, place)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
  tenant_id TEXT    NOT NULL,
  size      INTEGER NOT NULL,
  note      BLOB    NOT NULL,
  PRIMARY KEY (tenant_id, size)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE checkpoints;
DROP TABLE hashes;
DROP TABLE entries;
DROP TABLE record_keys;
DROP TABLE records;
DROP TABLE box_keys;
