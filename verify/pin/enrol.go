package pin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Lengths of a PIN in digits (NIST SP 800-63B-4, "Password Verifiers", for
// numeric secrets).
const (
	MinDigits = 6
	MaxDigits = 12
	// Remembered is how many earlier PINs may not come back.
	Remembered = 5
)

// Refusal is why a PIN may not be used. The empty value allows it. It is told
// to the person who chooses the PIN, nobody else.
type Refusal string

// The refusals.
const (
	RefusedForm   Refusal = "six to twelve digits, nothing else"
	RefusedRepeat Refusal = "the same digit or group again and again"
	RefusedRun    Refusal = "a run of digits up or down"
	RefusedDate   Refusal = "a date"
	RefusedOwn    Refusal = "part of one of your own numbers"
	RefusedUsed   Refusal = "one of your last five"
	RefusedDuress Refusal = "too close to the duress PIN"
)

// Judge says whether a PIN may be chosen by somebody whose own numbers
// (telephones, account, date of birth) are given as digits.
func Judge(pin ringfence.Secret, own ...string) Refusal {
	n := len(pin)
	switch {
	case n < MinDigits || n > MaxDigits || !verify.AllDigits(pin, n):
		return RefusedForm
	case repeats(pin):
		return RefusedRepeat
	case runs(pin):
		return RefusedRun
	case date(string(pin)):
		return RefusedDate
	}
	for _, o := range own {
		if o = digits(o); len(o) >= 4 && (strings.Contains(o, string(pin)) || strings.Contains(string(pin), o)) {
			return RefusedOwn
		}
	}
	return ""
}

// repeats finds PINs made of one short group (111111, 121212, 123123) or of at
// most two different digits.
func repeats(pin []byte) bool {
	for group := 1; group <= len(pin)/2; group++ {
		if len(pin)%group != 0 {
			continue
		}
		same := true
		for i := group; i < len(pin) && same; i++ {
			same = pin[i] == pin[i-group]
		}
		if same {
			return true
		}
	}
	kinds := map[byte]bool{}
	for _, d := range pin {
		kinds[d] = true
	}
	return len(kinds) <= 2
}

// runs finds PINs whose digits go steadily up or down by the same step
// (123456, 987654, 246802), counted around the keypad's 0.
func runs(pin []byte) bool {
	step := (int(pin[1]) - int(pin[0]) + 10) % 10
	for i := 2; i < len(pin); i++ {
		if (int(pin[i])-int(pin[i-1])+10)%10 != step {
			return false
		}
	}
	return true
}

// date finds six or eight digits that read as day, month and year in any of
// the usual orders.
func date(pin string) bool {
	two := func(i int) int { return int(pin[i]-'0')*10 + int(pin[i+1]-'0') }
	day := func(n int) bool { return n >= 1 && n <= 31 }
	month := func(n int) bool { return n >= 1 && n <= 12 }
	century := func(n int) bool { return n == 19 || n == 20 }
	switch len(pin) {
	case 6:
		a, b, c := two(0), two(2), two(4)
		return day(a) && month(b) || month(a) && day(b) || month(b) && day(c) || // DDMMYY, MMDDYY, YYMMDD
			month(a) && century(b) || century(a) && month(c) // MMYYYY, YYYYMM
	case 8:
		a, b, c, d := two(0), two(2), two(4), two(6)
		return (day(a) && month(b) || month(a) && day(b)) && century(c) || century(a) && (month(c) && day(d) || day(c) && month(d))
	}
	return false
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// Choice is a PIN to be stored.
type Choice struct {
	PIN ringfence.Secret
	// Duress, when set, is the opt-in PIN keyed under pressure. It obeys the
	// same rules and differs from PIN in at least three places.
	Duress ringfence.Secret
	// Own are the subject's numbers, which the PIN may not be part of.
	Own []string
	// Initial marks a PIN that somebody else knows and that must be changed.
	Initial bool
	// Before is the Secret of the authenticator that the new one replaces;
	// empty for a first PIN.
	Before ringfence.Secret
}

// Enrol returns what ringfence.Authenticator.Secret is to hold for a PIN, or
// why it may not be used. Storing it is the gate's: a new PIN is a change of an
// authenticator. It costs up to two argon2id.
func (m *Method) Enrol(ctx context.Context, c Choice) (ringfence.Secret, Refusal, error) {
	if !c.Initial {
		if why := Judge(c.PIN, c.Own...); why != "" {
			return nil, why, nil
		}
	} else if !verify.AllDigits(c.PIN, len(c.PIN)) || len(c.PIN) < MinDigits || len(c.PIN) > MaxDigits {
		return nil, RefusedForm, nil
	}
	rec := record{V: 1, Cost: m.cost, Salt: random(16), Duress: random(32), Initial: c.Initial}
	if len(c.Before) > 0 {
		var old record
		if err := json.Unmarshal(c.Before, &old); err != nil || old.V != 1 {
			return nil, "", errors.New("pin: the record to be replaced is damaged")
		}
		// Salt and cost stay, or the remembered PINs could not be compared.
		rec.Salt, rec.Cost = old.Salt, old.Cost
		rec.Past = slices.Concat([][]byte{old.Tag}, old.Past)
		rec.Past = rec.Past[:min(len(rec.Past), Remembered)]
		rec.Duress = old.Duress // whoever opted in stays in
	}
	h, err := m.hash(ctx, rec, c.PIN)
	if err != nil {
		return nil, "", err
	}
	rec.Tag = m.tag("pin", h)
	for _, past := range rec.Past {
		if subtle.ConstantTimeCompare(past, rec.Tag) == 1 {
			return nil, RefusedUsed, nil
		}
	}
	if subtle.ConstantTimeCompare(m.tag("duress", h), rec.Duress) == 1 {
		return nil, RefusedUsed, nil // it would be a cry for help each time
	}
	if len(c.Duress) > 0 {
		if why := m.duress(ctx, c, &rec); why != "" {
			return nil, why, nil
		}
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return nil, "", fmt.Errorf("pin: %v", err)
	}
	return body, "", nil
}

func (m *Method) duress(ctx context.Context, c Choice, rec *record) Refusal {
	if why := Judge(c.Duress, c.Own...); why != "" {
		return why
	}
	apart := 0
	for i := range min(len(c.PIN), len(c.Duress)) {
		if c.PIN[i] != c.Duress[i] {
			apart++
		}
	}
	if apart < 3 { // a slip of the finger must not raise an alarm
		return RefusedDuress
	}
	h, err := m.hash(ctx, *rec, c.Duress)
	if err != nil {
		return RefusedForm
	}
	rec.Duress = m.tag("duress", h)
	return ""
}

// Random returns a first PIN of six digits that Judge allows. It is told to
// the subject once, is to be changed, and is never stored in clear.
func Random() ringfence.Secret {
	for {
		if p := verify.Digits(MinDigits); Judge(p) == "" {
			return p
		}
	}
}
