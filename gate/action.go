package gate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
	"golang.org/x/text/unicode/norm"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

const digestDomain = "ringfence/action/v1\x00"

// Canonical returns the canonical form of an action (RFC 8785) and its
// digest, SHA-256("ringfence/action/v1" ‖ 0x00 ‖ canonical). The nonce makes
// the digest of one release useless for any other, and an erased action
// impossible to guess from its digest.
func Canonical(r Release) ([]byte, ringfence.Digest, error) {
	plain, err := json.Marshal(map[string]any{"v": 1, "tenant": r.Tenant, "release": r.ID, "nonce": r.Nonce,
		"type": r.Type, "subject": r.Subject, "fields": r.Fields})
	if err != nil {
		return nil, ringfence.Digest{}, fmt.Errorf("canonical action: %v", err)
	}
	canonical, err := jcs.Transform(plain)
	if err != nil {
		return nil, ringfence.Digest{}, fmt.Errorf("canonical action: %v", err)
	}
	return canonical, sha256.Sum256(append([]byte(digestDomain), canonical...)), nil
}

// CheckFields returns the fields of an action in their one canonical text,
// with flags for a person to look at (a name of mixed alphabets). Every field
// that the action carries must be there, and no other.
func CheckFields(a *policy.Action, fields map[string]string) (flags []string, err error) {
	for name := range fields {
		if _, ok := a.Field(name); !ok {
			return nil, &InvalidError{Field: name, Says: "is no field of " + a.Name}
		}
	}
	for _, f := range a.Carries {
		v, ok := fields[f.Name]
		if !ok {
			return nil, &InvalidError{Field: f.Name, Says: "is missing"}
		}
		if says := checkValue(f.Type, v); says != "" {
			return nil, &InvalidError{Field: f.Name, Says: says}
		}
		if (f.Type.Base == policy.BaseName || f.Type.Base == policy.BaseText) && mixedScripts(v) {
			flags = append(flags, f.Name+" mixes alphabets whose letters look alike")
		}
		if (f.Type.Base == policy.BaseName || f.Type.Base == policy.BaseText) && disguised(v) {
			flags = append(flags, f.Name+" is written in another alphabet that looks like ours")
		}
	}
	return flags, nil
}

// checkValue returns what is wrong with a value, without the value.
func checkValue(t policy.Type, v string) string {
	switch t.Base {
	case policy.BaseDigits, policy.BaseAccount:
		low, high := t.Bounds()
		if !digits(v) || len(v) < low || len(v) > high {
			if low == high {
				return fmt.Sprintf("want %d digits, nothing else", low)
			}
			return fmt.Sprintf("want %d to %d digits, nothing else", low, high)
		}
	case policy.BaseNumber:
		if !digits(v) || len(v) > 15 || len(v) > 1 && v[0] == '0' {
			return "want a whole number without leading zeros"
		}
	case policy.BaseMoney:
		if _, ok := policy.ParseMoney(v); !ok {
			return "want minor units and currency, such as 1250 GBP, more than zero"
		}
	case policy.BaseDate:
		if d, err := time.Parse(time.DateOnly, v); err != nil || d.Format(time.DateOnly) != v {
			return "want a date as YYYY-MM-DD"
		}
	case policy.BaseIBAN:
		if !validIBAN(v) {
			return "is no IBAN: check it for a typing error, and write it without blanks in capitals"
		}
	case policy.BaseTN:
		if !digits(v) || len(v) < 7 || len(v) > 15 || v[0] == '0' {
			return "want a telephone number with country code: 7 to 15 digits, no plus sign"
		}
	case policy.BaseEmail:
		a, err := mail.ParseAddress(v)
		if err != nil || a.Address != v || a.Name != "" || len(v) > 254 || !printableASCII(v) {
			return "want one e-mail address"
		}
	case policy.BaseOneOf:
		if !slices.Contains(t.OneOf, v) {
			return "want one of " + strings.Join(t.OneOf, ", ")
		}
	case policy.BaseName:
		return checkText(v, 140)
	case policy.BaseText:
		return checkText(v, 500)
	default:
		return "has a type that nothing can be"
	}
	return ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func printableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// maxMarks is how many marks one letter may carry. Four are more than any
// language writes; dozens paint over the lines around.
const maxMarks = 4

// shows reports whether a character is seen where it stands: none of those that
// Unicode calls default-ignorable (fillers, joiners, variation selectors), and
// not the braille cell without a dot.
func shows(r rune) bool {
	return !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && r != '\u2800' &&
		(r == ' ' || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S))
}

// checkText refuses what makes two readers read two texts: control and
// format characters (bidi overrides, zero width), private use, unpaired
// surrogates, uncomposed letters, whatever does not show, heaps of marks.
func checkText(s string, most int) string {
	switch {
	case s == "" || s != strings.TrimSpace(s):
		return "is empty, or has blanks at an end"
	case !utf8.ValidString(s) || utf8.RuneCountInString(s) > most:
		return fmt.Sprintf("want at most %d characters of UTF-8", most)
	case !norm.NFC.IsNormalString(s):
		return "want composed letters (NFC)"
	}
	marks := 0
	for _, r := range s {
		if !shows(r) {
			return fmt.Sprintf("holds a character that does not show (U+%04X)", r)
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if marks > maxMarks {
			return "has more marks on one letter than can be read"
		}
	}
	return ""
}

// mixedScripts reports letters of more than one alphabet whose letters look
// alike.
func mixedScripts(s string) bool {
	n := 0
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee} {
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(script, r) }) {
			n++
		}
	}
	return n > 1
}

// ibanLengths are the lengths of the SWIFT IBAN registry.
const ibanLengths = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 " +
	"EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 " +
	"LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 " +
	"RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"

// validIBAN checks country, length and the check digits of ISO 13616
// (ISO 7064, MOD 97-10).
func validIBAN(s string) bool {
	if len(s) < 5 || !strings.Contains(" "+ibanLengths+" ", fmt.Sprintf(" %s%d ", s[:2], len(s))) {
		return false
	}
	rest := 0
	for _, c := range []byte(s[4:] + s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	// 00, 01 and 99 leave the same rest as 97, 98 and 02: they would be a second
	// way to write an account (ISO 7064: check digits are 02 to 98).
	return rest == 1 && digits(s[2:4]) && s[2:4] >= "02" && s[2:4] <= "98"
}

// payeeOf returns the account that an action pays to, "" when it pays nobody.
func payeeOf(a *policy.Action, fields map[string]string) string {
	pays, account := a.Like == policy.LikePayment, ""
	for _, f := range a.Carries {
		switch f.Type.Base {
		case policy.BaseMoney:
			pays = true
		case policy.BaseIBAN, policy.BaseAccount:
			account += "/" + fields[f.Name]
		}
	}
	if !pays {
		return ""
	}
	return account
}

// AccountNamed returns the account that an action names, whether it pays to it
// or puts it on file, and the name given for it: the first field of a name.
// Both are empty when there is no account.
func AccountNamed(a *policy.Action, fields map[string]string) (account, name string) {
	for _, f := range a.Carries {
		switch f.Type.Base {
		case policy.BaseIBAN, policy.BaseAccount:
			account += "/" + fields[f.Name]
		case policy.BaseName:
			if name == "" {
				name = fields[f.Name]
			}
		}
	}
	if account == "" {
		return "", ""
	}
	return account, name
}
