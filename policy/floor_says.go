package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
)

// Floor tells the least that any policy asks for in a class: any one of the
// lines is enough. An unknown class has none, so nothing is enough.
func Floor(class ringfence.Class) []string {
	out := []string{}
	for _, f := range floors[class] {
		out = append(out, f.says())
	}
	return out
}

// says is one line of the table of classes.
func (f floor) says() string {
	if f.facts == 0 {
		return "nothing"
	}
	var names []string
	for _, fact := range f.facts.Facts() {
		name := strings.ReplaceAll(string(fact), "_", " ")
		if fact == ringfence.FactApproved && f.approvals > 1 {
			name = fmt.Sprintf("%s by %d", name, f.approvals)
		}
		names = append(names, name)
	}
	says := strings.Join(names, " and ")
	for _, extra := range slices.DeleteFunc([]string{
		when(f.simSwapNo, "the SIM was not swapped"), when(f.otherContact, "on two different contact points"),
		when(f.counterparty, "only for subjects who cannot hold an authenticator"), when(f.first, "only for a subject's first authenticator"),
		when(f.hold > 0, fmt.Sprintf("then %v h of waiting", f.hold.Hours())),
	}, func(s string) bool { return s == "" }) {
		says += ", " + extra
	}
	return says
}

func when(holds bool, says string) string {
	if holds {
		return says
	}
	return ""
}
