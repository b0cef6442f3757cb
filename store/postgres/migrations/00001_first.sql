-- Text is compared byte by byte ("C"), as every store does.
-- +goose Up
CREATE TABLE box_keys (
  tenant_id text COLLATE "C" NOT NULL,
  subject   text COLLATE "C" NOT NULL, -- '' = the tenant's own
  wrapped   bytea            NOT NULL,
  PRIMARY KEY (tenant_id, subject)
);

CREATE TABLE key_turns (
  tenant_id text COLLATE "C" NOT NULL PRIMARY KEY,
  turn      bigint           NOT NULL -- counts erasures and rotations: opened keys are of one turn
);

CREATE TABLE writers (
  tenant_id text COLLATE "C" NOT NULL PRIMARY KEY,
  stamp     bigint           NOT NULL -- counts transactions that wrote: what a node remembers is of one stamp
);

CREATE TABLE records (
  tenant_id text COLLATE "C" NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  id        text COLLATE "C" NOT NULL,
  version   bigint           NOT NULL,
  subject   text COLLATE "C" NOT NULL,
  sort      bigint           NOT NULL,
  sealed    bytea            NOT NULL,
  PRIMARY KEY (tenant_id, kind, id)
);
CREATE INDEX records_sorted ON records (tenant_id, kind, sort, id);
CREATE INDEX records_of_subject ON records (tenant_id, subject) WHERE subject <> '';

CREATE TABLE record_keys (
  tenant_id text COLLATE "C" NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  blind     bytea            NOT NULL, -- keyed hash of name and value
  sort      bigint           NOT NULL,
  id        text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, kind, blind, sort, id)
);
CREATE INDEX record_keys_of ON record_keys (tenant_id, kind, id);

CREATE TABLE entries (
  tenant_id text COLLATE "C" NOT NULL,
  place     bigint           NOT NULL,
  leaf      bytea            NOT NULL,
  event     text COLLATE "C" NOT NULL,
  traversal text COLLATE "C" NOT NULL,
  release   text COLLATE "C" NOT NULL,
  subject   text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, place)
);
CREATE INDEX entries_event ON entries (tenant_id, event, place);
CREATE INDEX entries_traversal ON entries (tenant_id, traversal, place) WHERE traversal <> '';
CREATE INDEX entries_release ON entries (tenant_id, release, place) WHERE release <> '';
CREATE INDEX entries_subject ON entries (tenant_id, subject, place) WHERE subject <> '';

CREATE TABLE hashes (
  tenant_id text COLLATE "C" NOT NULL,
  place     bigint           NOT NULL, -- tlog.StoredHashIndex
  hash      bytea            NOT NULL,
  PRIMARY KEY (tenant_id, place)
);

CREATE TABLE checkpoints (
  tenant_id text COLLATE "C" NOT NULL,
  size      bigint           NOT NULL,
  note      bytea            NOT NULL,
  PRIMARY KEY (tenant_id, size)
);

-- +goose Down
DROP TABLE checkpoints;
DROP TABLE hashes;
DROP TABLE entries;
DROP TABLE record_keys;
DROP TABLE records;
DROP TABLE writers;
DROP TABLE key_turns;
DROP TABLE box_keys;
