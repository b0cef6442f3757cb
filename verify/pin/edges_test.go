package pin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// The first and the last of what is a date, a length, an own number.
func TestJudgeEdges(t *testing.T) {
	for keyed, want := range map[string]pin.Refusal{
		"84937": pin.RefusedForm, "849376": "", "849376105287": "", "8493761052874": pin.RefusedForm,
		"010185": pin.RefusedDate, "000185": "", "310185": pin.RefusedDate, "320185": "", "311285": pin.RefusedDate, "311385": "",
		"851231": pin.RefusedDate, "851232": "", "851331": "", "850131": pin.RefusedDate, "850031": "", "850100": "",
		"122085": pin.RefusedDate, "132085": "", "132185": "",
		"201307": pin.RefusedDate, "191307": pin.RefusedDate, "211307": "", "201313": "", "201300": "", "991907": "", "201372": "",
		"31121985": pin.RefusedDate, "32121985": "", "31131985": "", "12311985": pin.RefusedDate, "12312085": pin.RefusedDate, "12312185": "", "12311885": "",
		"19851231": pin.RefusedDate, "19853112": pin.RefusedDate, "19851331": "", "19851232": "", "20850131": pin.RefusedDate, "21851231": "",
	} {
		if have := pin.Judge(ringfence.Secret(keyed)); have != want {
			t.Errorf("%s: %q, want %q", keyed, have, want)
		}
	}
	for own, want := range map[string]pin.Refusal{"849": "", "8493": pin.RefusedOwn, "84 93": pin.RefusedOwn, "937": "", "1234": ""} {
		if have := pin.Judge(ringfence.Secret("849376"), own); have != want {
			t.Errorf("own %s: %q, want %q", own, have, want)
		}
	}
}

// A PIN that somebody else made has the form of one, and a duress PIN is three
// digits away.
func TestChoiceEdges(t *testing.T) {
	m := method(t)
	for first, want := range map[string]pin.Refusal{"12345": pin.RefusedForm, "123456": "", "123456789012": "", "1234567890123": pin.RefusedForm, "12345x": pin.RefusedForm} {
		if _, why, err := m.Enrol(t.Context(), pin.Choice{PIN: ringfence.Secret(first), Initial: true}); err != nil || why != want {
			t.Errorf("%s: %q, %v", first, why, err)
		}
	}
	for duress, want := range map[string]pin.Refusal{"849321": pin.RefusedDuress, "849321x": pin.RefusedForm, "841521": "", "849527": "", "849372": pin.RefusedDuress} {
		if _, why, err := m.Enrol(t.Context(), pin.Choice{PIN: ringfence.Secret("849376"), Duress: ringfence.Secret(duress)}); err != nil || why != want {
			t.Errorf("%s under pressure: %q, %v", duress, why, err)
		}
	}
}

// The cost of a comparison has a least and a most.
func TestCostEdges(t *testing.T) {
	for name, tt := range map[string]struct {
		c  pin.Cost
		ok bool
	}{
		"the least":             {pin.Cost{Passes: 2, MemoryKiB: 19 * 1024, Lanes: 1}, true},
		"less memory":           {pin.Cost{Passes: 2, MemoryKiB: 19*1024 - 1, Lanes: 1}, false},
		"one pass over 46 MiB":  {pin.Cost{Passes: 1, MemoryKiB: 46 * 1024, Lanes: 1}, true},
		"one pass over less":    {pin.Cost{Passes: 1, MemoryKiB: 46*1024 - 1, Lanes: 1}, false},
		"no lane":               {pin.Cost{Passes: 2, MemoryKiB: 19 * 1024}, false},
		"no pass":               {pin.Cost{MemoryKiB: 64 * 1024, Lanes: 1}, false},
		"sixteen passes":        {pin.Cost{Passes: 16, MemoryKiB: 19 * 1024, Lanes: 1}, true},
		"seventeen passes":      {pin.Cost{Passes: 17, MemoryKiB: 19 * 1024, Lanes: 1}, false},
		"more memory than that": {pin.Cost{Passes: 2, MemoryKiB: 1<<20 + 1, Lanes: 1}, false},
	} {
		if _, err := pin.New(verifytest.Pepper, tt.c); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n, ok := range map[int]bool{31: false, 32: true, 33: true} {
		if _, err := pin.New(ringfence.Secret(strings.Repeat("p", n)), pin.Cost{}); (err == nil) != ok {
			t.Errorf("a pepper of %d bytes: %v", n, err)
		}
	}
}

// A record from elsewhere is taken up to each of its ends.
func TestImportEdges(t *testing.T) {
	good := func() map[string]any {
		rec, why, err := method(t).Enrol(t.Context(), pin.Choice{PIN: ringfence.Secret("849376")})
		if err != nil || why != "" {
			t.Fatal(why, err)
		}
		var out map[string]any
		if err := json.Unmarshal(rec, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}()
	cost := func(passes, memory, lanes int) map[string]any {
		return map[string]any{"passes": passes, "memory_kib": memory, "lanes": lanes}
	}
	raw := func(n int) []byte { return make([]byte, n) }
	past := func(n, each int) (out [][]byte) {
		for range n {
			out = append(out, raw(each))
		}
		return out
	}
	for name, tt := range map[string]struct {
		field string
		value any
		ok    bool
	}{
		"as it was":        {"v", 1, true},
		"ten passes":       {"cost", cost(10, 19*1024, 1), true},
		"eleven passes":    {"cost", cost(11, 19*1024, 1), false},
		"128 MiB":          {"cost", cost(2, 128<<10, 1), true},
		"more than that":   {"cost", cost(2, 128<<10+1, 1), false},
		"four lanes":       {"cost", cost(2, 19*1024, 4), true},
		"five lanes":       {"cost", cost(2, 19*1024, 5), false},
		"no cost":          {"cost", cost(0, 0, 0), false},
		"salt of 15":       {"salt", raw(15), false},
		"salt of 16":       {"salt", raw(16), true},
		"salt of 64":       {"salt", raw(64), true},
		"salt of 65":       {"salt", raw(65), false},
		"five before":      {"past", past(5, 32), true},
		"six before":       {"past", past(6, 32), false},
		"one before short": {"past", past(1, 31), false},
		"one before long":  {"past", past(1, 33), false},
		"another version":  {"v", 2, false},
	} {
		rec := map[string]any{}
		for k, v := range good {
			rec[k] = v
		}
		rec[tt.field] = tt.value
		body, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pin.ImportRecord(body); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
