package approve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// signer is a passkey whose assertion is the message itself.
type signer struct {
	begun map[string][32]byte
	err   error
}

func (s *signer) BeginSign(_ context.Context, _ ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte) (ringfence.Secret, json.RawMessage, error) {
	handle, _ := verify.Token(128)
	s.begun[string(handle)+string(person)+purpose] = message
	return handle, nil, s.err
}

func (s *signer) FinishSign(_ context.Context, _ ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte, handle ringfence.Secret, body []byte) (verify.Signature, bool, error) {
	begun, ok := s.begun[string(handle)+string(person)+purpose]
	delete(s.begun, string(handle)+string(person)+purpose)
	if s.err != nil || !ok || begun != message || !bytes.Equal(body, message[:]) {
		return verify.Signature{}, false, s.err
	}
	return verify.Signature{Person: person, Purpose: purpose, Message: message, At: time.Unix(1000, 0)}, true, nil
}

// gate takes what it is told to take.
type gate struct {
	refuse bool
	err    error
	got    []approve.Decision
}

func (g *gate) Approval(_ context.Context, d approve.Decision) (bool, error) {
	g.got = append(g.got, d)
	return !g.refuse, g.err
}

func matter() approve.Matter {
	return approve.Matter{Tenant: verifytest.Tenant, Release: verifytest.Release(), Digest: verifytest.Digest(1), PolicyHash: sha256.Sum256([]byte("policy")), EvidenceHash: sha256.Sum256([]byte("evidence"))}
}

func TestNewDeskRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		s    approve.Signer
		g    approve.Approvals
		life time.Duration
	}{
		{"no signer", nil, &gate{}, 0}, {"no gate", &signer{}, nil, 0}, {"longer than 4 h", &signer{}, &gate{}, 4*time.Hour + 1}, {"a negative life", &signer{}, &gate{}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := approve.NewDesk(c.s, c.g, c.life); err == nil {
				t.Error("have no error")
			}
		})
	}
}

// Invariant 14: bound to release, digest, policy hash and evidence hash.
func TestMessageBindsEveryPart(t *testing.T) {
	m := matter()
	seen := map[[32]byte]string{m.Message(true): "agreeing"}
	for name, have := range map[string][32]byte{
		"refusing":               m.Message(false),
		"another release":        with(m, func(m *approve.Matter) { m.Release = verifytest.Release() }),
		"another tenant":         with(m, func(m *approve.Matter) { m.Tenant = "ten_b" }),
		"another digest":         with(m, func(m *approve.Matter) { m.Digest[31]++ }),
		"another policy":         with(m, func(m *approve.Matter) { m.PolicyHash[0]++ }),
		"other evidence":         with(m, func(m *approve.Matter) { m.EvidenceHash[0]++ }),
		"policy for evidence":    with(m, func(m *approve.Matter) { m.PolicyHash, m.EvidenceHash = m.EvidenceHash, m.PolicyHash }),
		"a release with a digit": with(m, func(m *approve.Matter) { m.Release += "0" }),
	} {
		if twin, ok := seen[have]; ok {
			t.Errorf("%s signs the same as %s", name, twin)
		}
		seen[have] = name
	}
}

func with(m approve.Matter, change func(*approve.Matter)) [32]byte {
	change(&m)
	return m.Message(true)
}

func TestFinish(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *approve.Matter, agrees *bool, person *ringfence.PersonID, g *gate)
		want   approve.Outcome
	}{
		{"as begun", nil, approve.OutcomeTaken},
		{"refusing as begun", func(_ *approve.Matter, a *bool, _ *ringfence.PersonID, _ *gate) {}, approve.OutcomeTaken},
		{"evidence changed meanwhile", func(m *approve.Matter, _ *bool, _ *ringfence.PersonID, _ *gate) { m.EvidenceHash[0]++ }, approve.OutcomeWrong},
		{"policy changed meanwhile", func(m *approve.Matter, _ *bool, _ *ringfence.PersonID, _ *gate) { m.PolicyHash[0]++ }, approve.OutcomeWrong},
		{"the action changed meanwhile", func(m *approve.Matter, _ *bool, _ *ringfence.PersonID, _ *gate) { m.Digest[0]++ }, approve.OutcomeWrong},
		{"another release", func(m *approve.Matter, _ *bool, _ *ringfence.PersonID, _ *gate) { m.Release = verifytest.Release() }, approve.OutcomeWrong},
		{"agreeing with a signed refusal", func(_ *approve.Matter, a *bool, _ *ringfence.PersonID, _ *gate) { *a = !*a }, approve.OutcomeWrong},
		{"another person", func(_ *approve.Matter, _ *bool, p *ringfence.PersonID, _ *gate) { *p = "per_anna" }, approve.OutcomeWrong},
		{"an empty matter", func(m *approve.Matter, _ *bool, _ *ringfence.PersonID, _ *gate) { *m = approve.Matter{} }, approve.OutcomeWrong},
		{"the gate refuses", func(_ *approve.Matter, _ *bool, _ *ringfence.PersonID, g *gate) { g.refuse = true }, approve.OutcomeRefused},
		{"the gate does not know", func(_ *approve.Matter, _ *bool, _ *ringfence.PersonID, g *gate) { g.err = errors.New("disk") }, approve.OutcomeRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, g := &signer{begun: map[string][32]byte{}}, &gate{}
			k, err := approve.NewDesk(s, g, 0)
			if err != nil {
				t.Fatal(err)
			}
			m, agrees, person := matter(), c.name != "refusing as begun", ringfence.PersonID("per_priya")
			handle, _, err := k.Begin(t.Context(), person, m, agrees)
			if err != nil {
				t.Fatal(err)
			}
			signed := m.Message(agrees)
			if c.change != nil {
				c.change(&m, &agrees, &person, g)
			}
			have, err := k.Finish(t.Context(), person, m, agrees, "looks right", handle, signed[:])
			if have != c.want || (err != nil) != (g.err != nil) {
				t.Errorf("have %s, %v; want %s", have, err, c.want)
			}
			if c.want == approve.OutcomeTaken {
				d := g.got[0]
				if d.Matter != m || d.Agrees != agrees || d.Person != person || d.ExpiresAt.Sub(d.At) != approve.Life || d.Signature.Message != signed {
					t.Errorf("the gate got %+v", d)
				}
			}
			if c.want == approve.OutcomeWrong && len(g.got) != 0 {
				t.Error("the gate heard of a wrong one")
			}
			if have, _ := k.Finish(t.Context(), person, m, agrees, "", handle, signed[:]); have != approve.OutcomeWrong {
				t.Errorf("a second time: have %s", have)
			}
		})
	}
}

func TestBeginRefusesAMatterWithSomethingMissing(t *testing.T) {
	k, err := approve.NewDesk(&signer{begun: map[string][32]byte{}}, &gate{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*approve.Matter){
		"release": func(m *approve.Matter) { m.Release = "" }, "digest": func(m *approve.Matter) { m.Digest = ringfence.Digest{} },
		"policy": func(m *approve.Matter) { m.PolicyHash = ringfence.Digest{} }, "evidence": func(m *approve.Matter) { m.EvidenceHash = ringfence.Digest{} },
	} {
		m := matter()
		change(&m)
		if _, _, err := k.Begin(t.Context(), "per_priya", m, true); err == nil {
			t.Errorf("it begins without a %s", name)
		}
	}
}
