package gate

import (
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// CheckValue returns what is wrong with a value of a type, without repeating
// it, and "" for a good one. An action's fields, a subject's record and an
// import are held to the same words.
func CheckValue(t policy.Type, value string) string { return checkValue(t, value) }

// MixedScripts reports a text whose letters come from alphabets that look
// alike. It is no fault; somebody should look at it.
func MixedScripts(text string) bool { return mixedScripts(text) }

// PayeeAccount spells an account as Payee.Account holds it: written is what
// the account fields of an action that pays carry, joined by a slash where
// there are several. It returns what to change when no action about the kind
// could pay to it.
func PayeeAccount(p *policy.Policy, kind ringfence.SubjectKind, written string) (account, says string) {
	says = "no action of the policy about a " + string(kind) + " pays to an account: leave it out"
	parts := strings.Split(written, "/")
	for _, a := range p.Actions() {
		if a.About != kind {
			continue
		}
		fields, i := map[string]string{}, 0
		why := ""
		for _, f := range a.Carries {
			if f.Type.Base != policy.BaseIBAN && f.Type.Base != policy.BaseAccount {
				continue
			}
			if i < len(parts) {
				if bad := checkValue(f.Type, parts[i]); why == "" {
					why = bad
				}
				fields[f.Name] = parts[i]
			}
			i++
		}
		account := payeeOf(a, fields)
		switch {
		case account == "" || i == 0:
		case i != len(parts):
			says = "does not have as many parts as " + a.Name + " has account fields: join them by /"
		case why != "":
			says = why
		default:
			return account, ""
		}
	}
	return "", says
}
