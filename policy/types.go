package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// Base is the kind of a value.
type Base string

// The bases. In conditions, number and money are integers, bool is bool, and
// everything else is text.
const (
	BaseDigits  Base = "digits"
	BaseNumber  Base = "number"
	BaseMoney   Base = "money"
	BaseDate    Base = "date" // YYYY-MM-DD
	BaseText    Base = "text"
	BaseName    Base = "name"
	BaseOneOf   Base = "one of"
	BaseIBAN    Base = "iban"
	BaseAccount Base = "account" // a domestic account number: 6 to 18 digits
	BaseTN      Base = "tn"
	BaseEmail   Base = "email"
	BaseBool    Base = "bool" // conditions only: got.pin, call.open
)

// Type is the type of a field or variable. The zero value is no type: nothing
// can be compared with it and no value is valid for it.
type Type struct {
	Base Base
	// Min and Max bound the count of digits; both zero means 1 to 32.
	Min, Max int
	OneOf    []string
	// Secret values are never spoken, shown, logged or compared.
	Secret bool
	// Currency is the base currency by which conditions read a money value.
	// Empty makes every amount count as over every limit.
	Currency string
}

const maxDigits = 32

// ParseType reads `digits N`, `digits N-M`, `digits`, `number`, `money`,
// `date`, `text`, `name`, `iban`, `account`, `tn`, `email` or
// `one of [a, b]`, each with `secret` in front if it is one. Currency is left
// empty.
func ParseType(s string) (Type, error) {
	var t Type
	rest, secret := strings.CutPrefix(strings.TrimSpace(s), "secret ")
	t.Secret = secret
	rest = strings.TrimSpace(rest)
	word, arg, _ := strings.Cut(rest, " ")
	arg = strings.TrimSpace(arg)
	if list, ok := strings.CutPrefix(rest, "one of"); ok {
		return parseOneOf(t, strings.TrimSpace(list))
	}
	switch b := Base(word); b {
	case BaseDigits:
		t.Base = b
		return parseDigits(t, arg)
	case BaseNumber, BaseMoney, BaseDate, BaseText, BaseName, BaseIBAN, BaseAccount, BaseTN, BaseEmail:
		t.Base = b
		if arg != "" {
			return Type{}, fmt.Errorf("type %q: nothing may follow %s", s, word)
		}
		return t, nil
	default:
		return Type{}, fmt.Errorf("unknown type %q", s)
	}
}

func parseDigits(t Type, arg string) (Type, error) {
	if arg == "" {
		return t, nil
	}
	low, high, ranged := strings.Cut(arg, "-")
	if !ranged {
		high = low
	}
	var err1, err2 error
	t.Min, err1 = strconv.Atoi(strings.TrimSpace(low))
	t.Max, err2 = strconv.Atoi(strings.TrimSpace(high))
	if err1 != nil || err2 != nil || t.Min < 1 || t.Max < t.Min || t.Max > maxDigits {
		return Type{}, fmt.Errorf("digits %q: want N or N-M within 1 to %d", arg, maxDigits)
	}
	return t, nil
}

func parseOneOf(t Type, list string) (Type, error) {
	body, ok := strings.CutPrefix(list, "[")
	body, ok2 := strings.CutSuffix(body, "]")
	if !ok || !ok2 {
		return Type{}, fmt.Errorf("one of %q: want one of [a, b]", list)
	}
	t.Base = BaseOneOf
	for _, w := range strings.Split(body, ",") {
		w = strings.Trim(strings.TrimSpace(w), `"'`)
		if w == "" {
			return Type{}, fmt.Errorf("one of %q: an empty choice", list)
		}
		t.OneOf = append(t.OneOf, w)
	}
	return t, nil
}

// String returns the type as the file writes it.
func (t Type) String() string {
	s := string(t.Base)
	switch {
	case t.Base == BaseOneOf:
		s += " [" + strings.Join(t.OneOf, ", ") + "]"
	case t.Base == BaseDigits && t.Min != 0 && t.Min == t.Max:
		s += " " + strconv.Itoa(t.Min)
	case t.Base == BaseDigits && t.Min != 0:
		s += fmt.Sprintf(" %d-%d", t.Min, t.Max)
	}
	if t.Secret {
		s = "secret " + s
	}
	return s
}

// Bounds returns the least and greatest count of digits of a digits or
// account type; 0, 0 for any other.
func (t Type) Bounds() (low, high int) {
	switch {
	case t.Base == BaseAccount:
		return 6, 18
	case t.Base != BaseDigits:
		return 0, 0
	case t.Min == 0 && t.Max == 0:
		return 1, maxDigits
	default:
		return t.Min, t.Max
	}
}
