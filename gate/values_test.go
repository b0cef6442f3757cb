package gate

import (
	"os"
	"testing"

	"github.com/ringfence/ringfence/policy"
)

// An imported payee is spelt as a payment spells it, or it would never be
// found again.
func TestPayeeAccountIsSpeltAsAnActionSpellsIt(t *testing.T) {
	src, err := os.ReadFile("../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, found := policy.Load("policy.yaml", src)
	if p == nil {
		t.Fatal(found)
	}
	for _, bad := range []string{"", "12 34", "abc", "12345678/1", "/12345678"} {
		if account, says := PayeeAccount(p, "customer", bad); account != "" || says == "" {
			t.Errorf("%q became %q", bad, account)
		}
	}
	if account, says := PayeeAccount(p, "employee", "12345678"); account != "" || says == "" {
		t.Errorf("a kind that nobody pays for has payee %q", account)
	}
	a, _ := p.Action("payment")
	want := payeeOf(a, map[string]string{"account": "12345678"})
	if got, says := PayeeAccount(p, "customer", "12345678"); got != want || says != "" {
		t.Errorf("%q, %s; a payment spells it %q", got, says, want)
	}
}
