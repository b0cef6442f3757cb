-- +goose Up
-- A record changes some times soon after it came. With room on its page the new
-- version stays beside the old one, and no index has to be told.
ALTER TABLE records SET (fillfactor = 70);

-- +goose Down
ALTER TABLE records RESET (fillfactor);
