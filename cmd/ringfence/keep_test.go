package main

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/pin"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	method, err := pin.New(ringfence.Secret("a pepper of thirty-two bytes!!!!"), pin.Cost{})
	if err != nil {
		t.Fatal(err)
	}
	m := methods{pin: method}
	keep := func(k gate.Keeping) gate.Kept {
		t.Helper()
		out, err := m.keep(context.Background(), k)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	secrets := func(pairs ...string) map[string]ringfence.Secret {
		out := map[string]ringfence.Secret{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = ringfence.Secret(pairs[i+1])
		}
		return out
	}
	keys := func(secret ringfence.Secret, keyed string) verify.Verdict {
		t.Helper()
		v, err := method.Check(context.Background(), verify.Attempt{Answer: verify.Answer{Value: ringfence.Secret(keyed)}, Now: time.Now(),
			Authenticators: []ringfence.Authenticator{{ID: "aut_1", Secret: secret}}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, weak := range []string{"123456", "111111", "48213", "170384", "48213a"} {
		if out := keep(gate.Keeping{Values: secrets("new_pin", weak)}); out.Refused == "" || out.Field != "new_pin" || out.Secret != nil {
			t.Errorf("%s: %+v", weak, out)
		}
	}
	if out := keep(gate.Keeping{Values: secrets("new_pin", "482137"), Own: []string{"447700482137"}}); out.Barred == "" || out.Refused != "" {
		t.Errorf("part of their own number: %+v", out)
	}
	first := keep(gate.Keeping{Values: secrets("new_pin", "482137", "duress_pin", "907351")})
	if first.Refused+first.Barred != "" || first.Type != ringfence.AuthPIN {
		t.Fatalf("%+v", first)
	}
	if v := keys(first.Secret, "482137"); !v.OK || v.Duress || v.MustChange {
		t.Errorf("the PIN: %+v", v)
	}
	if v := keys(first.Secret, "907351"); !v.OK || !v.Duress {
		t.Errorf("the duress PIN: %+v", v)
	}
	if out := keep(gate.Keeping{Values: secrets("new_pin", "482137"), Before: first.Secret}); out.Barred == "" {
		t.Error("the same PIN again")
	}
	if out := keep(gate.Keeping{Values: secrets("new_pin", "907351"), Before: first.Secret}); out.Barred == "" {
		t.Error("the duress PIN becomes the PIN: it would cry for help each time")
	}
	next := keep(gate.Keeping{Values: secrets("new_pin", "639582"), Before: first.Secret})
	if v := keys(next.Secret, "907351"); !v.OK || !v.Duress {
		t.Errorf("a new PIN forgets the duress PIN: %+v", v)
	}
	if v := keys(next.Secret, "482137"); v.OK {
		t.Error("the old PIN still counts")
	}
	for name, v := range map[string]map[string]ringfence.Secret{
		"duress alone": secrets("duress_pin", "907351"), "one finger away": secrets("new_pin", "482137", "duress_pin", "482138"),
		"a weak duress PIN": secrets("new_pin", "482137", "duress_pin", "111111")} {
		if out := keep(gate.Keeping{Values: v}); out.Refused == "" || out.Field != "duress_pin" {
			t.Errorf("%s: %+v", name, out)
		}
	}
}
