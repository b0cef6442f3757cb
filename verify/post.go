package verify

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
)

// Post is a message that leaves outside any challenge: a link, or a notice.
type Post struct {
	Contact ringfence.ContactPoint
	By      ringfence.PersonID // who causes it; "" = nobody of the staff
	// Notice counts apart from codes and links, so that neither uses up what the
	// other needs. Same, when set, is what it says again: a contact point is told
	// the same within its own caps only.
	Notice bool
	Same   string
}

// postWindows lists the caps that a message outside a challenge counts in.
func (v *Verifier) postWindows(p Post) []window {
	l, at := v.cfg.Limits, string(p.Contact.ID)
	if !p.Notice {
		return v.windows(row{Challenge: Challenge{By: p.By}}, Spec{}, p.Contact)
	}
	list := []window{{"notices/tenant", l.TenantHour, time.Hour}}
	if prefix, ok := v.prefix(p.Contact); ok {
		list = append(list, window{"notices/prefix/" + prefix.Digits, prefix.hourly(), time.Hour})
	}
	if p.Same != "" {
		list = append(list, window{"notices/" + at + "/" + p.Same, l.PerContactHour, time.Hour}, window{"notices/" + at + "/" + p.Same, l.PerContactDay, 24 * time.Hour})
	}
	return list
}

// Post counts a message that is about to leave outside a challenge, in the
// transaction that makes it certain. may is false for a number that may not be
// written to at all. retry, when set, is when it may leave; again reports that only
// the caps of the contact point itself stop it, so that it has been told already.
func (v *Verifier) Post(ctx context.Context, tx Tx, p Post) (may, again bool, retry time.Time, err error) {
	if !v.allowed(p.Contact) {
		return false, false, time.Time{}, nil
	}
	_, retry, over, err := v.takeAll(ctx, tx, v.postWindows(p), nil)
	told := "notices/" + string(p.Contact.ID) + "/" + p.Same
	return true, p.Notice && p.Same != "" && over == told, retry, err
}
