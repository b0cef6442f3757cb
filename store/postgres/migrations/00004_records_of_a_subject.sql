-- +goose Up
-- An erasure goes through the records of a subject in the order of their kinds
-- and ids: with these in the index it need not sort them at each page, nor walk
-- everybody's records past those of others.
CREATE INDEX records_of_one_subject ON records (tenant_id, subject, kind, id) WHERE subject <> '';
DROP INDEX records_of_subject;
ALTER INDEX records_of_one_subject RENAME TO records_of_subject;

-- +goose Down
DROP INDEX records_of_subject;
CREATE INDEX records_of_subject ON records (tenant_id, subject) WHERE subject <> '';
