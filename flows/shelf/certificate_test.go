package shelf

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

func certified(b *flows.Bundle) (flows.Certificate, error) { return flows.Prove(b).Certificate(), nil }

// A bundle is kept with the certificate of its proof, and one that was written
// otherwise, or does not agree with the proof done anew, lets nothing in.
func TestCertificate(t *testing.T) {
	for _, c := range []struct {
		name  string
		forge func(*flows.Certificate)
		raw   string
		want  string // "" = it is taken
	}{
		{"as written", func(*flows.Certificate) {}, "", ""},
		{"of an older engine", func(c *flows.Certificate) { c.Engine, c.States = "ringfence flows 0", 1 }, "", ""},
		{"other states", func(c *flows.Certificate) { c.States++ }, "", "not the one that this version writes"},
		{"fewer properties", func(c *flows.Certificate) { c.Properties = c.Properties[1:] }, "", "not the one that this version writes"},
		{"refuted", func(c *flows.Certificate) { c.Result = "refuted by 1 findings" }, "", "not that of a proof"},
		{"of another bundle", func(c *flows.Certificate) { c.Bundle = strings.Repeat("0", 64) }, "", "not that of a proof"},
		{"not one", nil, `{"engine":"x","more":1}`, "no certificate"},
		{"of another form", nil, `[]`, "no certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.cfg.Prove = certified
				o.Shelf = o.process()
				o.publish(stricter(t), "olga", "omar")
				hash := stricter(t).HashText()
				row, _, err := readBundle(o, hash)
				if err != nil {
					t.Fatal(err)
				}
				cert, err := flows.ReadCertificate(row.Certificate)
				if err != nil || cert.Result != flows.ResultProved || cert.Bundle != hash {
					t.Fatalf("kept %s, %v", row.Certificate, err)
				}
				if row.Certificate = json.RawMessage(c.raw); c.forge != nil {
					c.forge(&cert)
					row.Certificate = cert.Canonical()
				}
				o.put(kindBundle, hash, nil, row)
				s, err := New(o.cfg)
				if err != nil {
					t.Fatal(err)
				}
				err = s.Refresh(t.Context(), tenant)
				if c.want == "" && (err != nil || s.Current(tenant).HashText() != hash) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || s.Current(tenant) != nil) {
					t.Errorf("%v, want %q", err, c.want)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

func readBundle(o *office, hash string) (row storedBundle, version int64, err error) {
	err = o.store.View(o.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		row, version, err = ledger.Read[storedBundle](o.t.Context(), tx, kindBundle, hash)
		return err
	})
	return row, version, err
}
