package recovery_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/recovery"
	"github.com/ringfence/ringfence/verify/verifytest"
)

func newCodes(t testing.TB) *recovery.Codes {
	t.Helper()
	c, err := recovery.New(verifytest.Pepper)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func made(t testing.TB, c *recovery.Codes) (codes []ringfence.Secret, kept ringfence.Secret) {
	t.Helper()
	codes, kept, err := c.Make("")
	if err != nil {
		t.Fatal(err)
	}
	return codes, kept
}

func TestSpendRefuses(t *testing.T) {
	c := newCodes(t)
	codes, kept := made(t, c)
	others, _ := made(t, c)
	first := string(codes[0])
	for name, typed := range map[string]string{
		"nothing": "", "somebody else's": string(others[0]), "half": first[:9], "and more": first + "0", "blanks": "    ", "all of them": strings.Repeat(first, 4),
		"zeros": "0000-0000-0000-0000", "a letter that is none": "U" + first[1:], "bytes": "\xff\xfe" + first[2:], "a tag": string(kept[:16]),
	} {
		if _, ok := c.Spend(kept, ringfence.Secret(typed), time.Now()); ok {
			t.Errorf("%s opens", name)
		}
	}
	for name, set := range map[string]string{"none": "", "no JSON": "x", "another form": `{"v":2}`, "no codes": `{"v":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA==","tags":[],"used":[]}`} {
		if _, ok := c.Spend(ringfence.Secret(set), codes[0], time.Now()); ok {
			t.Errorf("%s opens", name)
		}
	}
	other, err := recovery.New(ringfence.Secret(strings.Repeat("q", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := other.Spend(kept, codes[0], time.Now()); ok {
		t.Error("a stolen store is enough without the pepper")
	}
	if _, err := recovery.New(ringfence.Secret("short")); err == nil {
		t.Error("a short pepper is taken")
	}
}

// Ten codes of 80 bits, each good once, as people type them; nothing of them is
// kept but hashes.
func TestEachCodeIsGoodOnce(t *testing.T) {
	c := newCodes(t)
	codes, kept := made(t, c)
	if len(codes) != 10 || recovery.Bits < 64 {
		t.Fatalf("%d codes of %d bits", len(codes), recovery.Bits)
	}
	seen := map[string]bool{}
	for i, code := range codes {
		text := string([]byte(code))
		if seen[text] || bytes.Contains(kept, []byte(text)) || bytes.Contains(kept, []byte(strings.ReplaceAll(text, "-", ""))) || strings.Contains(fmt.Sprint(code), text) {
			t.Errorf("code %d is twice, or kept, or printed", i)
		}
		seen[text] = true
		typed := strings.ToLower(strings.ReplaceAll(text, "-", " "))
		if i%2 == 0 {
			typed = strings.NewReplacer("-", "", "0", "o", "1", "l").Replace(text)
		}
		left, ok := c.Spend(kept, ringfence.Secret(typed), time.Now())
		if !ok || recovery.Left(left) != 9-i {
			t.Fatalf("code %d: %v, %d left", i, ok, recovery.Left(left))
		}
		if kept = left; recovery.Left(kept) != 9-i {
			t.Error("nothing was used up")
		}
		if _, ok := c.Spend(kept, code, time.Now()); ok {
			t.Errorf("code %d is good twice", i)
		}
	}
}

type door struct {
	*verifytest.World
	*recovery.Desk
	v *verify.Verifier
}

func newDoor(t *testing.T) door {
	w := verifytest.New(t)
	v := w.Verifier()
	d, err := recovery.NewDesk(v, newCodes(t))
	if err != nil {
		t.Fatal(err)
	}
	return door{w, d, v}
}

func (d door) have(account string) (ringfence.SubjectID, ringfence.AuthenticatorID, []ringfence.Secret) {
	codes, kept := made(d.TB, d.Codes)
	sub := d.Subject(account)
	return sub, d.Authenticator(string(sub), ringfence.AuthRecovery, kept), codes
}

func (d door) try(account string, code ringfence.Secret) (ringfence.SubjectID, bool) {
	d.TB.Helper()
	s, ok, err := d.Recover(d.TB.Context(), verifytest.Tenant, recovery.Claim{Kind: "customer", Field: "account", Value: account, Code: code})
	if err != nil {
		d.TB.Fatal(err)
	}
	return s, ok
}

// Five wrong codes lock this door and no other, for known and unknown alike; a
// right one does not open a locked door, and is not used up by trying.
func TestTriesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		sub, _, codes := d.have("20481516")
		_, _, others := d.have("20481524")
		for range verify.LockAfter {
			if _, ok := d.try("20481516", others[0]); ok {
				t.Fatal("somebody else's code opens")
			}
		}
		if _, ok := d.try("20481516", codes[0]); ok {
			t.Error("a locked door opens")
		}
		if until, err := d.v.Locked(t.Context(), verifytest.Tenant, sub, verify.T0); err != nil || !until.IsZero() {
			t.Errorf("the telephone is locked as well: %v %v", until, err)
		}
		time.Sleep(verify.LockFirst + time.Second)
		if got, ok := d.try("20481516", codes[0]); !ok || got != sub {
			t.Error("the owner stays outside")
		}
		if _, ok := d.try("20481516", codes[0]); ok {
			t.Error("one code twice")
		}
		if _, ok := d.try("99999999", codes[1]); ok {
			t.Error("nobody's door opens")
		}
	})
}

// Someone who does not exist leaves the same trace in the log, but for the id.
func TestInvariant23NobodyTakesTheSameSteps(t *testing.T) {
	d := newDoor(t)
	_, _, codes := d.have("20481516")
	steps := func(account string) (out []ledger.Event) {
		before := len(d.Store.Entries(verifytest.Tenant))
		d.try(account, ringfence.Secret("AAAA-AAAA-AAAA-AAAA"))
		for _, e := range d.Store.Entries(verifytest.Tenant)[before:] {
			out = append(out, e.Event)
		}
		return out
	}
	known, nobody := steps("20481516"), steps("99999999")
	if fmt.Sprint(known) != fmt.Sprint(nobody) || len(known) == 0 {
		t.Errorf("known %v, nobody %v", known, nobody)
	}
	for _, e := range d.Store.Entries(verifytest.Tenant) {
		for _, v := range e.Data {
			if strings.Contains(v, string([]byte(codes[0]))) {
				t.Error("a code stands in the log")
			}
		}
	}
}

// One code at several doors at once opens one.
func TestOneCodeRacedOpensOnce(t *testing.T) {
	d := newDoor(t)
	_, _, codes := d.have("20481516")
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened := 0
	for range 4 { // fewer than lock the door
		wg.Go(func() {
			if _, ok := d.try("20481516", codes[3]); ok {
				mu.Lock()
				defer mu.Unlock()
				opened++
			}
		})
	}
	if wg.Wait(); opened != 1 {
		t.Errorf("opened %d times", opened)
	}
}

// Fifty failures in its life switch a set off.
func TestASetIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		_, _, codes := d.have("20481516")
		for range verify.AuthenticatorFailures {
			d.try("20481516", ringfence.Secret("AAAA-AAAA-AAAA-AAAA"))
			time.Sleep(verify.LockMost + time.Second)
		}
		if _, ok := d.try("20481516", codes[0]); ok {
			t.Error("a set that failed fifty times opens")
		}
	})
}

func FuzzSpend(f *testing.F) {
	c := newCodes(f)
	codes, kept := made(f, c)
	f.Add([]byte(kept), "0000-0000-0000-0000")
	f.Add([]byte("{}"), string([]byte(codes[0])))
	f.Fuzz(func(t *testing.T, set []byte, typed string) {
		left, ok := c.Spend(set, ringfence.Secret(typed), time.Now())
		if ok && recovery.Left(left) != recovery.Left(set)-1 {
			t.Error("more or less than one was used up")
		}
		if !ok && left != nil {
			t.Error("a miss changed the set")
		}
	})
}
