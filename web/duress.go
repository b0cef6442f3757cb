package web

import (
	"slices"

	"github.com/ringfence/ringfence/ledger"
)

// tellsDuress reports an entry that names duress: the alarm, its acknowledgement,
// and the hold that logs of earlier versions have beside it.
func tellsDuress(e ledger.Entry) bool {
	return AlertKind(e.Data["alarm"]).sensitive() || AlertKind(e.Data["why"]).sensitive()
}

// shown is an entry as the principal may read it. One that tells of duress is
// bare to all but those who watch over calls: that there is an entry stays, so
// that no index is missing, but not what it is about (invariant 26). Proofs and
// exports hold the whole entry, for else they would prove nothing.
func (p principal) shown(e ledger.Entry) ledger.Entry {
	if p.watches() || !tellsDuress(e) {
		return e
	}
	return ledger.Entry{Index: e.Index, Tenant: e.Tenant, At: e.At, Event: e.Event}
}

// shownAll is shown for the answer to a query. A bare entry is about no call, no
// action and nobody, and so no answer to a question for one.
func (p principal) shownAll(all []ledger.Entry, q ledger.EntryQuery) []ledger.Entry {
	if p.watches() {
		return all
	}
	if q.Traversal != "" || q.Release != "" || q.Subject != "" {
		return slices.DeleteFunc(slices.Clone(all), tellsDuress)
	}
	out := make([]ledger.Entry, len(all))
	for i, e := range all {
		out[i] = p.shown(e)
	}
	return out
}
