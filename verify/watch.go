package verify

import (
	"context"
	"sync"

	"github.com/ringfence/ringfence"
)

// watchers wakes whoever waits for a challenge in this process. It only says
// that something happened: the rows are the truth.
type watchers struct {
	mu   sync.Mutex
	byID map[ringfence.ChallengeID]map[*watcher]bool // guarded by mu
}

type watcher struct{ ch chan Result }

// Watch returns a channel of what becomes of the challenge: the newest event
// (older unread ones are dropped), and the final one, after which the channel
// is closed. It is closed without a final event when ctx ends. A challenge
// that is final already gives its outcome at once. Only events of this process
// wake it; with several nodes call Refresh from time to time.
func (v *Verifier) Watch(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) <-chan Result {
	w := &watcher{ch: make(chan Result, 1)}
	v.watchers.add(id, w)
	context.AfterFunc(ctx, func() { v.watchers.drop(id, w) })
	v.Refresh(ctx, tenant, id)
	return w.ch
}

// Refresh reads the challenge and wakes its watchers if it is final.
func (v *Verifier) Refresh(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) {
	var r row
	err := v.cfg.Store.View(ctx, tenant, func(tx Tx) (err error) {
		r, _, err = loadRow(ctx, tx, id)
		return err
	})
	if err == nil && r.State.Final() {
		res := r.result(r.standing())
		res.At = r.EndedAt
		v.watchers.tell(res)
	}
}

func (ws *watchers) add(id ringfence.ChallengeID, w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byID == nil {
		ws.byID = map[ringfence.ChallengeID]map[*watcher]bool{}
	}
	if ws.byID[id] == nil {
		ws.byID[id] = map[*watcher]bool{}
	}
	ws.byID[id][w] = true
}

func (ws *watchers) drop(id ringfence.ChallengeID, w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byID[id][w] {
		close(w.ch)
		delete(ws.byID[id], w)
	}
	if len(ws.byID[id]) == 0 {
		delete(ws.byID, id)
	}
}

// tell hands res to every watcher of its challenge and lets them go when it is
// final. The channels hold one value, so nothing blocks.
func (ws *watchers) tell(res Result) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.byID[res.Challenge] {
		select {
		case <-w.ch:
		default:
		}
		w.ch <- res
		if res.State.Final() {
			close(w.ch)
			delete(ws.byID[res.Challenge], w)
		}
	}
	if len(ws.byID[res.Challenge]) == 0 {
		delete(ws.byID, res.Challenge)
	}
}
