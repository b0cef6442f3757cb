package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Describe returns the fields of an action that name one thing on file for a
// subject: its id, and what people are told of it (kind, ending, since, check).
// It returns ErrNotFound for what is not on file for this subject, and an
// *InvalidError when the action does nothing to such a thing as it stands.
func (g *Gate) Describe(ctx context.Context, tenant ringfence.TenantID, action string, subject ringfence.SubjectID, target string) (map[string]string, error) {
	a, ok := g.cfg.Policies.Current(tenant).Action(action)
	if !ok {
		return nil, &InvalidError{Field: "type", Says: "is no action of the policy"}
	}
	var out map[string]string
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		out, err = describe(ctx, tx, a, subject, target)
		return err
	})
	return out, err
}

// thing is what is on file under an id, as an action may speak of it.
type thing struct {
	status ringfence.Status
	slot   string // the field that names one that is active
	words  map[string]string
}

func describe(ctx context.Context, tx ledger.Tx, a *policy.Action, subject ringfence.SubjectID, id string) (map[string]string, error) {
	one, err := thingOf(ctx, tx, subject, id)
	if err != nil {
		return nil, err
	}
	switch one.status {
	case ringfence.StatusSuspended:
		if _, ok := a.Field("resume"); ok && one.words["kind"] != string(ringfence.AuthRecovery) {
			one.slot = "resume"
		}
	case ringfence.StatusPending:
		one.slot = "fingerprint"
	case ringfence.StatusActive:
	default:
		return nil, ErrNotFound
	}
	if _, ok := a.Field(one.slot); !ok {
		return nil, &InvalidError{Field: "target", Says: "is nothing that this action changes as it stands"}
	}
	if one.slot != "fingerprint" {
		one.words[one.slot] = id
	}
	out := map[string]string{}
	for _, f := range a.Carries {
		if v, ok := one.words[f.Name]; ok {
			out[f.Name] = v
		}
	}
	return out, nil
}

func thingOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID, id string) (thing, error) {
	switch {
	case strings.HasPrefix(id, ringfence.PrefixContactPoint):
		c, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, id)
		if err != nil || c.Subject != subject {
			return thing{}, orNotFound(err)
		}
		return thing{c.Status, "contact", map[string]string{"kind": string(c.Type), "ending": ending(c.Value), "since": c.ChangedAt.UTC().Format(time.DateOnly)}}, nil
	case strings.HasPrefix(id, ringfence.PrefixAuthenticator):
		a, _, err := ledger.Read[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, id)
		if err != nil || a.Subject != subject {
			return thing{}, orNotFound(err)
		}
		words := map[string]string{"kind": string(a.Type), "since": a.BoundAt.UTC().Format(time.DateOnly)}
		if a.Status == ringfence.StatusPending {
			print := Fingerprint(a.Secret)
			words = map[string]string{"type": string(a.Type), "fingerprint": print, "check": CheckDigits(print)}
		}
		return thing{a.Status, "authenticator", words}, nil
	}
	m, _, err := ledger.Read[Mandate](ctx, tx, KindMandate, id)
	if err != nil || m.Subject != subject {
		return thing{}, orNotFound(err)
	}
	return thing{m.Status, "mandate", map[string]string{"kind": "mandate", "since": m.Since.UTC().Format(time.DateOnly)}}, nil
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return ErrNotFound
}

// ending is what people are told of a number or address: its last two
// characters, of an address those before the at sign.
func ending(value string) string {
	local, _, _ := strings.Cut(value, "@")
	if len(local) < 4 {
		return "--"
	}
	return local[len(local)-2:]
}

// named checks that an action which names something on file says of it what is
// true: whoever hears or reads the action hears of exactly that thing.
func (t *turn) named(a *policy.Action) error {
	if !changesDirectory(a.Like) {
		return nil
	}
	for _, slot := range []string{"contact", "authenticator", "resume", "mandate"} {
		id := t.r.Fields[slot]
		if id == "" {
			continue
		}
		want, err := describe(t.ctx, t.tx, a, t.r.Subject, id)
		var bad *InvalidError
		switch {
		case errors.Is(err, ErrNotFound), errors.As(err, &bad), err == nil && want[slot] != id:
			return &InvalidError{Field: slot, Says: "is not on file for this subject, or not as this action needs it"}
		case err != nil:
			return err
		}
		for name, v := range want {
			if t.r.Fields[name] != v {
				return &InvalidError{Field: name, Says: "is not what stands on file"}
			}
		}
	}
	return t.representative(a)
}

// representative checks that who is to get a mandate is the person by whose
// name the action calls them.
func (t *turn) representative(a *policy.Action) error {
	name, ok := t.r.Fields["representative"]
	if !ok || a.Like != policy.LikeMandateChange {
		return nil
	}
	s, _, err := ledger.Read[ringfence.Subject](t.ctx, t.tx, ledger.KindSubject, t.r.Fields["person"])
	if err != nil && !missing(err) {
		return err
	}
	kind, _ := t.pinned().Kind(s.Kind)
	called := slices.ContainsFunc(kind.Fields, func(f policy.Field) bool { return f.Type.Base == policy.BaseName && s.Record[f.Name] == name })
	if err != nil || s.Status != ringfence.StatusActive || s.ID == t.r.Subject || !called {
		return &InvalidError{Field: "person", Says: "is no other active subject of the name given"}
	}
	return nil
}
