package rows

import (
	"context"
	"maps"
)

// ReadEdge asks for what Recent.At takes; its two arguments are the tenant.
const ReadEdge = `SELECT COALESCE((SELECT MAX(place) + 1 FROM entries WHERE tenant_id = ?), 0), COALESCE((SELECT turn FROM key_turns WHERE tenant_id = ?), 0)`

// edge makes the size of the log and the turn of the keys known.
func (t *Tx) edge(ctx context.Context) error {
	if t.size >= 0 {
		return nil
	}
	c := t.cfg.Recent
	if !c.sure {
		var size, turn int64
		if err := t.ask(ctx, func(f *Flight) bool { return f.size >= 0 }, ReadEdge, func(s Scanner) error { return s.Scan(&size, &turn) }, t.cfg.Tenant, t.cfg.Tenant); err != nil {
			return t.broke("size", err)
		}
		c.At(size, turn)
	}
	t.size, t.turn = c.size, c.turn
	return nil
}

// Keep lets the writer remember what the transaction did; call it when nothing
// but the commit can undo it.
func (t *Tx) Keep() {
	if t.size < 0 {
		return // it asked for nothing
	}
	c := t.cfg.Recent
	if a := t.cfg.Ahead; a != nil {
		if a.Open.add(t.wrote); a.Open.size < 0 {
			a.Open.size, a.Open.turn = c.size, c.turn
		}
	}
	if len(c.hashes)+len(t.fresh) > maxRecentHashes {
		clear(c.hashes)
	}
	maps.Copy(c.hashes, t.fresh)
	c.size, c.turn = t.size, t.turn
	for o, b := range t.boxes {
		t.cfg.Keys.keep(o, b, t.turn)
	}
}

// Undo forgets what a failed transaction may have changed, and gives the records
// of its callback, which may run again, their versions back: raised ones would
// overwrite what they were refused for.
func (t *Tx) Undo() {
	t.cfg.Recent.undo(t)
	for _, r := range t.raised {
		r.Version--
	}
	t.raised = nil
}
