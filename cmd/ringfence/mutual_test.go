package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
)

// rang writes that a call was placed, as the runner keeps it.
func rang(t *testing.T, a *app, reference string, ended time.Time) {
	t.Helper()
	if err := a.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		rec := ledger.Record{Kind: "call_reference", ID: "trv_" + reference, Sort: tx.Now().UnixNano(),
			Keys: map[string]string{"reference": reference, "keypad": ringfence.Keypad(reference)}}
		return ledger.Write(t.Context(), tx, &rec, map[string]any{"reference": reference, "at": tx.Now(), "tail": "0117", "action": "bank_change", "ended": ended})
	}); err != nil {
		t.Fatal(err)
	}
}

// checkLine is an app with a line of the mutual check.
func checkLine(t *testing.T) *app {
	t.Helper()
	return started(t, newPeer(t, "agents"), func(c *config.Config) {
		c.Lines = append(c.Lines, config.Line{Name: "check", Kind: config.LineMutualCheck, Numbers: []string{"442079460005"}, Zone: "UTC", Language: "en"})
	})
}

// Wrong, unknown, over, too short and too many tries are one answer.
func TestMutualCheckHasOneNeutralAnswer(t *testing.T) {
	a := checkLine(t)
	rang(t, a, "K7M2P9QX", time.Now())
	rang(t, a, "ABCD2345", time.Now().Add(-16*time.Minute))
	line, _ := a.routing.Line("carrier", "442079460005")
	if line.Name != "check" {
		t.Fatalf("have the line %+v", line)
	}
	answer := func(source, ref, tail string) string {
		c := &checkCall{a: a, line: line, words: checkWordsOf("en"), source: source}
		return fmt.Sprint(c.answer(t.Context(), ref, tail))
	}
	none := fmt.Sprint([][]ringfence.SpeechPart{fixed(checkWordsOf("en").none)})
	for name, keyed := range map[string][2]string{"unknown": {"22222222", "0117"}, "wrong digits": {"57627979", "0118"}, "over": {"22232345", "0117"},
		"short": {"5762797", "0117"}, "no digits": {"57627979", ""}, "a reference as read": {"K7M2P9QX", "0117"}} {
		if got := answer(name, keyed[0], keyed[1]); got != none {
			t.Errorf("%s: %s", name, got)
		}
	}
	for i := range 6 {
		if got := answer("447700900123", "57627979", "0117"); (got == none) != (i == 5) {
			t.Errorf("try %d of one source: %s", i+1, got)
		}
	}
	for i := range 6 { // others guess at one reference; one was guessed above, five found it
		answer(fmt.Sprint("44770090", i), "57627979", "0000")
	}
	if got := answer("447700900999", "57627979", "0117"); got != none {
		t.Errorf("a reference that was guessed at too often: %s", got)
	}
}

// Somebody who was rung calls the line, keys, and hears which call was ours.
func TestMutualCheckByTelephone(t *testing.T) {
	t.Parallel()
	a := checkLine(t)
	rang(t, a, "K7M2P9QX", time.Time{})
	call, err := newPeer(t, "caller").Call(t.Context(), peer.Invite{To: "sip:442079460005@" + a.ua.Addrs()["carrier"].String(), FromTN: "447700900117"})
	if err != nil {
		t.Fatal(err)
	}
	if live := a.runner.Live(ringfence.DefaultTenant); len(live) != 0 {
		t.Errorf("a call of the check stands on the console: %+v", live)
	}
	if err := call.Press("576279790117"); err != nil {
		t.Fatal(err)
	}
	lib, err := voice.Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	ear, err := voice.NewRecogniser(lib, "en")
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	limit := time.After(90 * time.Second)
	for strings.Join(heard, "|") == "" || !strings.Contains(strings.Join(heard, "|"), "on another call") {
		select {
		case f, ok := <-call.Audio():
			if !ok {
				t.Fatalf("the call ended; heard %q", heard)
			}
			if f.Way == rtp.Received && f.PCM != nil {
				for _, h := range ear.Write(f.PCM) {
					heard = append(heard, h.Text)
				}
			}
		case <-limit:
			t.Fatalf("heard %q", heard)
		}
	}
	call.Hangup()
	all := strings.Join(heard, "|")
	for _, want := range []string{"This call was ours|We rang the number ending in|1|7|The time was|", "|hours and|", "|minutes|This is to change the bank account we pay you on|"} {
		if !strings.Contains(all, want) {
			t.Errorf("heard %q, want %q", all, want)
		}
	}
}

// Every text of the line is recorded in its language.
func TestMutualCheckIsRecorded(t *testing.T) {
	lib, err := voice.Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	v, err := voice.New(voice.Config{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range checkTexts {
		for i := range reflect.ValueOf(w).NumField() {
			text := reflect.ValueOf(w).Field(i).String()
			if text == w.language {
				continue
			}
			if missing := v.Missing(ringfence.Speech{Language: w.language, Parts: fixed(text)}); len(missing) > 0 {
				t.Errorf("%s: no recording of %q", w.language, missing)
			}
		}
	}
}
