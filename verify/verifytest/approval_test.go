package verifytest_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// gate keeps what it is given, after checking the signature as the gate does.
type gate struct {
	w     *verifytest.World
	check func(context.Context, ringfence.Authenticator, [32]byte, []byte) error
	got   []approve.Decision
}

func (g *gate) Approval(ctx context.Context, d approve.Decision) (bool, error) {
	assertion, err := json.Marshal(d.Signature)
	if err != nil {
		return false, err
	}
	if g.check(ctx, g.w.ReadAuthenticator(d.Signature.Authenticator), d.Message(true), assertion) != nil {
		return false, nil
	}
	g.got = append(g.got, d)
	return true, nil
}

// A colleague's whole way: invited link, registration, ceremony, the gate's own
// check; and a refusal that cannot be turned into an approval.
func TestApprovalWithARealPasskey(t *testing.T) {
	const origin = "http://localhost:8443"
	rp := passkey.RP{ID: "localhost", Origins: []string{origin}, Name: "Acme staff"}
	w := verifytest.New(t)
	anna := w.Person("Anna", ringfence.RoleSupervisor)
	key := passkeytest.New(origin)
	reg, err := passkey.NewRegistrar(w.Store, rp, passkey.EnrolFunc(func(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error {
		body, err := json.Marshal(a)
		if err != nil {
			return err
		}
		return tx.Put(ctx, &verify.Record{Kind: "authenticator", ID: string(a.ID), Body: body, Keys: map[string]string{"subject": string(a.Subject)}})
	}))
	if err != nil {
		t.Fatal(err)
	}
	token, err := reg.Invite(t.Context(), verifytest.Tenant, string(anna), "Anna")
	if err != nil {
		t.Fatal(err)
	}
	options, _, err := reg.Begin(t.Context(), verifytest.Tenant, token)
	if err != nil {
		t.Fatal(err)
	}
	body, err := key.Register(options)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := reg.Finish(t.Context(), verifytest.Tenant, token, body); err != nil || !ok {
		t.Fatal(ok, err)
	}
	staff, err := passkey.NewStaff(w.Store, rp)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{w: w}
	if g.check, err = passkey.CheckApproval(rp); err != nil {
		t.Fatal(err)
	}
	desk, err := approve.NewDesk(staff, g, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := approve.Matter{Tenant: verifytest.Tenant, Release: verifytest.Release(), Digest: verifytest.Digest(1), PolicyHash: verifytest.Digest(2), EvidenceHash: verifytest.Digest(3)}
	for _, c := range []struct {
		name           string
		signed, handed bool
		want           approve.Outcome
	}{{"agreeing", true, true, approve.OutcomeTaken}, {"a refusal handed on as agreeing", false, true, approve.OutcomeWrong}, {"agreeing handed on as a refusal", true, false, approve.OutcomeWrong}} {
		handle, options, err := desk.Begin(t.Context(), anna, m, c.signed)
		if err != nil {
			t.Fatal(err)
		}
		body, err := key.Assert(options)
		if err != nil {
			t.Fatal(err)
		}
		have, err := desk.Finish(t.Context(), anna, m, c.handed, "invoice seen", handle, body)
		if err != nil || have != c.want {
			t.Errorf("%s: have %s, %v; want %s", c.name, have, err, c.want)
		}
	}
	if len(g.got) != 1 || g.got[0].Person != anna {
		t.Errorf("the gate took %d decisions", len(g.got))
	}
}
