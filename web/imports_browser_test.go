package web

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func TestTwoPersonsImportASubject(t *testing.T) {
	s := newStaffed(t, withPINs(t))
	ada, omar := s.person("Ada", ringfence.RoleAdmin), s.person("Omar", ringfence.RoleOps)
	first, second := open(t, s.origin), open(t, s.origin)
	first.enter(s, ada)
	first.visit("/import")
	first.press("Try it")
	first.see("Choose a file or paste its text first.")
	paste(first, "kind,account,mobile\ncustomer,1000200,07700 900917\ncustomer,10002001,+447700900917\nperson,,\n")
	first.fill("i-source", "CRM export of 2026-11-20")
	first.press("Try it")
	first.see("Line 2, account")
	first.see("plus and country code")
	first.see("Line 4, kind")
	first.looks("import-faults")
	paste(first, "kind,account,first_name,mobile,email,verified_at,pin,totp,payees\ncustomer,10002000,Dana,+44 7700 900917,dana@example.com,2019-04-01,random,new,20003000@2021-05-04\ncustomer,10002001,Дana,+44 7700 900917,,,,,\n")
	first.press("Try it")
	first.see("waits for two signatures")
	first.see("2 first secrets will be shown once")
	first.see("Dates go back to 2019-04-01")
	first.see("mobile +44…17")
	first.see("mixes alphabets")
	first.press("Sign with a passkey")
	first.see("A second person has to sign as well")
	first.looks("import-waiting")
	first.press("Sign with a passkey")
	first.see("You have signed. Another person has to.")

	second.enter(s, omar)
	second.visit("/import")
	second.see("Signed by Ada.")
	second.press("Sign with a passkey")
	second.see("This is shown once")
	second.see("First PIN")
	second.see("otpauth://totp/")
	second.looks("import-result")
	second.press("All handed over")
	second.gone("First PIN")
	first.visit("/import")
	first.gone("2 of 2")
	err := s.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		recs, err := tx.List(t.Context(), ledger.KindSubject, ledger.Query{Key: "customer:account", Value: "10002000", Limit: 2})
		if err == nil && len(recs) != 1 {
			t.Errorf("%d subjects on file", len(recs))
		}
		for _, kind := range []ledger.Kind{kindImport, kindImportBody} {
			if left, err := tx.List(t.Context(), kind, ledger.Query{Limit: 1}); err != nil || len(left) > 0 {
				t.Errorf("%s is kept: %v", kind, err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.quietly(t)
}

// paste puts text into the page as a paste does: keys would take a minute.
func paste(b *tab, text string) {
	b.t.Helper()
	b.focus("i-text")
	js[chromedp.Void](b, fmt.Sprintf(`{ const e = document.getElementById("i-text"); e.select(); document.execCommand("insertText", false, %q) };undefined`, text))
}
