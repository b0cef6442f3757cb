package flows

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var effectNames = map[EffectKind]string{EffLine: "line", EffOutcome: "outcome", EffPrivate: "private", EffSpeak: "speak", EffStopSpeech: "stop speech",
	EffTimer: "timer", EffCollect: "collect", EffCancel: "cancel", EffCheck: "check", EffIdentify: "identify", EffOpenAction: "open action",
	EffCancelAction: "cancel action", EffVerify: "verify", EffConfirm: "confirm", EffReach: "reach", EffCallback: "callback", EffDial: "dial",
	EffSuspend: "suspend", EffApprove: "approve", EffRelease: "release", EffConnect: "connect", EffAlert: "alert", EffTell: "tell",
	EffLanguage: "language", EffReturn: "return", EffHangup: "hang up", EffFault: "fault", EffEnd: "end"}

// show writes an effect on one line, with what is set in it.
func show(e Effect) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s", effectNames[e.Kind])
	put := func(name string, v any) {
		if s := fmt.Sprint(v); s != "" && s != "0" && s != "0s" && s != "false" && s != "[]" && s != "map[]" {
			fmt.Fprintf(&out, " %s=%s", name, s)
		}
	}
	put("ref", e.Ref)
	put("on", e.On)
	if e.Kind == EffLine || e.Kind == EffOutcome {
		fmt.Fprintf(&out, " at=%s/%s/%d", e.At.Flow, e.At.Scene, e.At.Line)
	}
	if e.Kind == EffSpeak || e.Kind == EffTell {
		fmt.Fprintf(&out, " %s %q", e.Speech.Language, spokenText(e.Speech))
	}
	put("fields", e.Fields)
	put("challenge", e.Challenge)
	put("whole", e.Whole)
	put("after", e.After)
	put("first", e.First)
	put("between", e.Between)
	put("life", e.Life)
	put("min", e.Min)
	put("max", e.Max)
	put("tries", e.Tries)
	put("open", e.Open)
	put("star", e.Star)
	put("void", e.Void)
	put("method", e.Method)
	put("subject", e.Subject)
	put("by", e.By)
	put("value", e.Value)
	put("into", e.Into)
	put("wants", e.Wants)
	put("action", e.Action)
	put("payload", e.Payload)
	put("to", e.To)
	put("with", e.With)
	put("hold", e.Hold)
	put("group", e.Group)
	put("count", e.Count)
	put("queue", e.Queue)
	if e.Kind != EffLine {
		put("text", e.Text)
	}
	put("outcome", e.Outcome)
	put("flag", e.Flag)
	return out.String()
}

// The whole contract between engine and runner, effect by effect, for three
// calls that meet every challenge.
func TestEffectsOfCalls(t *testing.T) {
	b := shipped(t)
	tests, _ := LoadTests(b, os.DirFS("../scripts"))
	for name, file := range map[string]string{
		"a bank change needs a second proof and a call back":                 "bank-change",
		"the real person confirms, a manager agrees, it is paid":             "invoice",
		"a new PIN is chosen, proved, confirmed and approved":                "enrol-pin",
		"a payment is proved, read back and made":                            "payment",
		"the real person presses star: the clerk is told to stop":            "impostor",
		"the caller is on the number on file: called back, then put through": "step-up",
	} {
		found := false
		for _, ft := range tests {
			if ft.Name != name {
				continue
			}
			found = true
			var out strings.Builder
			m, err := NewSimulator(b, ft.Flow, ft.World)
			if err != nil {
				t.Fatal(err)
			}
			m.watch = func(e Effect) { fmt.Fprintf(&out, "%7.1fs %s\n", m.now.Seconds(), show(e)) }
			a := &actor{m: m, scripts: map[string][]Beat{}}
			for _, s := range ft.Scripts {
				a.scripts[s.Leg] = append(a.scripts[s.Leg], s.Beats...)
			}
			m.heard = a.act
			if err := m.start(); err != nil {
				t.Fatal(err)
			}
			for m.now < time.Hour && m.next() {
			}
			for _, secret := range []string{worldCarry, worldFresh + worldCarry, worldTOTP, "482137", "583920"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("%s: the secret %s stands in an effect", name, secret)
				}
			}
			golden(t, "testdata/effects/"+file+".txt", out.String())
		}
		if !found {
			t.Errorf("no test %q", name)
		}
	}
}

// A session saved as a test passes as a test.
func TestSessionsSaveAsTests(t *testing.T) {
	b := shipped(t)
	for name, tt := range map[string]struct {
		flow     string
		settings []string
		typed    string
	}{
		"balance":       {"customer-line", nil, "10002000\n482137\n1\n0\n"},
		"no passkey":    {"customer-line", []string{"passkey=none", "call.attestation=C"}, "10002000\n482137\n2\n55556666\nthe code\nthe fresh digits and the code\nyes\n/approve\n"},
		"star":          {"check-claimed-person", []string{"payload.amount=600000 GBP"}, "star\n"},
		"silence":       {"customer-line", []string{"queue.customer_service=closed"}, "10002000\n/wait 90s\n"},
		"hang":          {"customer-line", nil, "10002000\n/hang\n"},
		"wrong PINs":    {"customer-line", nil, "10002000\n111111\n222222\n333333\n"},
		"page refuses":  {"step-up-passkey", []string{"action=payment"}, "/page refuses\n"},
		"nobody agrees": {"step-up-colleague", []string{"action=bank_change"}, "/refuse\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s, err := NewSession(b, tt.flow, tt.settings, &out)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Play(strings.NewReader(tt.typed)); err != nil {
				t.Fatal(err)
			}
			if !s.m.ended() {
				t.Fatalf("it goes on:\n%s", out.String())
			}
			saved := s.Test("saved: " + name)
			d := &diags{}
			ft := readTest(b, "saved.yaml", []byte(saved), d)
			if len(d.list) > 0 {
				t.Fatalf("%v\n%s", d.list, saved)
			}
			if r := ft.Run(b); len(r.Problems) > 0 {
				t.Errorf("%v\n%s\n%s", r.Problems, saved, strings.Join(r.Trace, "\n"))
			}
			for _, secret := range []string{worldCarry, worldTOTP} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the terminal shows %s", secret)
				}
			}
		})
	}
	if _, err := NewSession(b, "customer-line", []string{"pasky=none"}, &strings.Builder{}); err == nil {
		t.Error("a misspelt setting is taken")
	}
}
