-- +goose Up
-- The planner takes a tenant to have ten entries and reads all of them rather
-- than use an index. What it is told here holds for any ledger that is worth an
-- index: a tenant has many entries; a call, a release or a subject has few.
ANALYZE entries;
DELETE FROM sqlite_stat1 WHERE tbl = 'entries';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('entries', 'entries', '1000000 1000000 1'),
  ('entries', 'entries_event', '1000000 1000000 20000 1'),
  ('entries', 'entries_traversal', '1000000 1000000 20 1'),
  ('entries', 'entries_release', '100000 100000 20 1'),
  ('entries', 'entries_subject', '1000000 1000000 100 1');
ANALYZE sqlite_schema;

-- +goose Down
DELETE FROM sqlite_stat1 WHERE tbl = 'entries';
ANALYZE sqlite_schema;
