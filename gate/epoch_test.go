package gate

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func signs(t *testing.T, e Epoch, who ringfence.PersonID) Signature {
	t.Helper()
	msg, err := EpochMessage(ten, e)
	if err != nil {
		t.Fatal(err)
	}
	aut := ringfence.AuthenticatorID("aut_" + who)
	return Signature{Person: who, Authenticator: aut, Assertion: assertionOf(aut, msg)}
}

func epochSigned(t *testing.T, w *world, outside string) bool {
	t.Helper()
	var have bool
	err := w.g.cfg.Store.View(t.Context(), ten, func(tx ledger.Tx) (err error) {
		have, err = EpochSigned(t.Context(), tx, []byte(outside))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// An epoch answers exactly the checkpoint outside that it names.
func TestEpochSigned(t *testing.T) {
	w, _ := importWorld(t)
	e := Epoch{Store: "head", Outside: "a newer head", Reason: "restored"}
	if epochSigned(t, w, e.Outside) {
		t.Error("answered before it was signed")
	}
	if err := w.g.NewEpoch(t.Context(), ten, e, signs(t, e, admin1), signs(t, e, admin2)); err != nil {
		t.Fatal(err)
	}
	if !epochSigned(t, w, e.Outside) || epochSigned(t, w, "another head") {
		t.Error("it does not answer its own checkpoint only")
	}
	if err := w.g.NewEpoch(t.Context(), ten, e, signs(t, e, admin1), signs(t, e, admin2)); err != nil {
		t.Errorf("the same again: %v", err)
	}
	lost := Epoch{Store: "head", Reason: "the copies are lost"}
	if err := w.g.NewEpoch(t.Context(), ten, lost, signs(t, lost, admin1), signs(t, lost, admin2)); err != nil {
		t.Fatal(err)
	}
	if epochSigned(t, w, "") {
		t.Error("an epoch without a checkpoint answers the empty one")
	}
	for _, bad := range []Epoch{{Reason: "x"}, {Store: "x"}} {
		var invalid *InvalidError
		if err := w.g.NewEpoch(t.Context(), ten, bad, signs(t, bad, admin1), signs(t, bad, admin2)); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A command-line key signs for a person of the role, when it verifies.
func TestEpochByKey(t *testing.T) {
	e := Epoch{Store: "head", Reason: "restored"}
	byKey := func(who ringfence.PersonID) Signature {
		return Signature{Person: who, Key: "laptop", Assertion: []byte("good")}
	}
	check := func(_ context.Context, _ ledger.Tx, s Signature, _ [32]byte) error {
		if s.Key != "laptop" || string(s.Assertion) != "good" {
			return errors.New("it does not verify")
		}
		return nil
	}
	bad := byKey(admin2)
	bad.Assertion = []byte("bad")
	for name, tt := range map[string]struct {
		sigs  []Signature
		check bool
		want  error
	}{
		"two keys":              {[]Signature{byKey(admin1), byKey(admin2)}, true, nil},
		"a passkey and a key":   {[]Signature{signs(t, e, admin1), byKey(admin2)}, true, nil},
		"a key that is bad":     {[]Signature{byKey(admin1), bad}, true, ErrForbidden},
		"one key twice":         {[]Signature{byKey(admin1), byKey(admin1)}, true, ErrForbidden},
		"an agent's key":        {[]Signature{byKey(admin1), byKey(agent)}, true, ErrForbidden},
		"a stranger's key":      {[]Signature{byKey(admin1), byKey("per_x")}, true, ErrForbidden},
		"nobody can check them": {[]Signature{byKey(admin1), byKey(admin2)}, false, ErrForbidden},
	} {
		w, _ := importWorld(t)
		if tt.check {
			w.g.cfg.CheckKey = check
		}
		if err := w.g.NewEpoch(t.Context(), ten, e, tt.sigs...); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// An epoch stops everything, however many pages it is.
func TestEpochStopsEveryPage(t *testing.T) {
	const codes, releases = 501, 1001
	w, _ := importWorld(t)
	w.g = w.open(w.store) // each change of a thousand once, and not once for each operation
	first := w.opened("payment")
	err := w.store.Update(t.Context(), ten, func(tx ledger.Tx) error {
		r, _, err := ledger.Read[row](t.Context(), tx, KindRelease, string(first.ID))
		if err != nil {
			return err
		}
		for i := range releases {
			r.ID = ringfence.ReleaseID(fmt.Sprintf("rel_%04d", i))
			rec := ledger.Record{Kind: KindRelease, ID: string(r.ID), Keys: r.keys(), Sort: r.RequestedAt.UnixNano()}
			if err := ledger.Write(t.Context(), tx, &rec, r); err != nil {
				return err
			}
		}
		for i := range codes {
			a := ringfence.Authenticator{ID: id[ringfence.AuthenticatorID]("aut"), Subject: ann, Type: ringfence.AuthRecovery, Status: ringfence.StatusActive}
			rec := ledger.Record{Kind: ledger.KindAuthenticator, ID: string(a.ID), Sort: int64(i)}
			if err := ledger.Write(t.Context(), tx, &rec, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := Epoch{Store: "head", Reason: "restored"}
	if err := w.g.NewEpoch(t.Context(), ten, e, signs(t, e, admin1), signs(t, e, admin2)); err != nil {
		t.Fatal(err)
	}
	if n := count(w, "release.invalidated"); n != releases+1 {
		t.Errorf("%d releases are void, of %d", n, releases+1)
	}
	if n := count(w, "authenticator.suspended"); n != codes {
		t.Errorf("%d sets of codes are stopped, of %d", n, codes)
	}
}
