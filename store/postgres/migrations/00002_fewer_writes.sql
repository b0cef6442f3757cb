-- +goose Up
-- What leads to a record is found from the record itself.
DROP INDEX record_keys_of;

-- +goose Down
CREATE INDEX record_keys_of ON record_keys (tenant_id, kind, id);
