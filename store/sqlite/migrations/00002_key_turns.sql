-- +goose Up
CREATE TABLE key_turns (
  tenant_id TEXT    NOT NULL PRIMARY KEY,
  turn      INTEGER NOT NULL -- counts erasures and rotations: opened keys are of one turn
) WITHOUT ROWID;

-- +goose Down
DROP TABLE key_turns;
