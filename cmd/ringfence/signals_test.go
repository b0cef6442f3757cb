package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/deliver/twilio/twiliotest"
)

// TestSignalsOfARelease: the numbers of whoever proves and the account that is
// named are asked about, each by who can know it; a landline that nobody knows
// anything about leaves the whole unknown.
func TestSignalsOfARelease(t *testing.T) {
	provider, err := twiliotest.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	provider.Lookups["+447700900123"] = goodLookup("447700900123")
	bank := httptest.NewServer(nameCheck(t, "Bram Ltd"))
	defer bank.Close()
	a := started(t, newPeer(t, "agents"), func(c *config.Config) {
		c.Deliver.Twilio = config.Twilio{AccountSID: twiliotest.Account, AuthToken: config.NewSecret(twiliotest.Secret), From: twiliotest.From, BaseURL: provider.URL}
		c.Verify.Signals.Services = []config.SignalService{{Name: "bank", URL: bank.URL, Secret: config.NewSecret(bankSecret), Answers: []string{"name_check"}}}
	})
	ctx := t.Context()
	subject := func(id ringfence.SubjectID, points ...ringfence.ContactPoint) {
		if err := a.store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
			rec := ledger.Record{Kind: ledger.KindSubject, ID: string(id), Subject: id}
			if err := ledger.Write(ctx, tx, &rec, ringfence.Subject{ID: id, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive}); err != nil {
				return err
			}
			for _, p := range points {
				p.Subject, p.Status = id, ringfence.StatusActive
				rec := ledger.Record{Kind: ledger.KindContactPoint, ID: string(p.ID), Subject: id, Keys: map[string]string{"subject": string(id)}}
				if err := ledger.Write(ctx, tx, &rec, p); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	mobile := ringfence.ContactPoint{ID: "cpt_1", Type: ringfence.ContactMobile, Value: "447700900123"}
	mail := ringfence.ContactPoint{ID: "cpt_2", Type: ringfence.ContactEmail, Value: "a@example.com"}
	desk := ringfence.ContactPoint{ID: "cpt_3", Type: ringfence.ContactLandline, Value: "442079460000"}
	subject("sub_a", mobile, mail)
	ask := func(id ringfence.SubjectID, payee string) map[string]ringfence.Tri {
		list := a.signals(ctx, gate.Release{Tenant: ringfence.DefaultTenant, Subject: id, Proves: id, Type: "payment",
			Policy: ringfence.Digest((policies{a.shelf}).Current(ringfence.DefaultTenant).Hash()), Fields: map[string]string{"payee": payee, "amount": "100 GBP", "account": "12345678"}})
		for _, s := range list {
			if s.Source == "" || time.Since(s.At) > time.Minute {
				t.Errorf("no provenance: %+v", s)
			}
		}
		return valuesOf(list)
	}
	got := ask("sub_a", "Bram Ltd")
	for name, want := range map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No, "forwarding": ringfence.No, "line_type": ringfence.Yes, "name_check": ringfence.Yes} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got := ask("sub_a", "Mallory"); got["name_check"] != ringfence.No {
		t.Errorf("another name: %v", got)
	}
	n := len(provider.Asked())
	ask("sub_a", "Bram Ltd")
	if len(provider.Asked()) != n || n != 3 {
		t.Errorf("asked %d times, then %d", n, len(provider.Asked()))
	}
	subject("sub_b", ringfence.ContactPoint{ID: "cpt_4", Type: ringfence.ContactMobile, Value: "447700900123"},
		ringfence.ContactPoint{ID: "cpt_5", Type: desk.Type, Value: desk.Value})
	if got := ask("sub_b", "Bram Ltd"); got["diversion"] != ringfence.Unknown || got["sim_swap"] != ringfence.No {
		t.Errorf("with a landline: %v", got)
	}
	if got := ask("sub_nobody", "Bram Ltd"); len(got) != 0 {
		t.Errorf("about nobody: %v", got)
	}
	if bad := provider.Complaints(); len(bad) != 0 {
		t.Errorf("we broke the contract: %v", bad)
	}
}

const bankSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// nameCheck is a bank that knows one name.
func nameCheck(t *testing.T, known string) http.Handler {
	sign, err := standardwebhooks.NewWebhook(bankSecret)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q struct {
			Data struct {
				Ask            []string
				Account, Payee string
			}
		}
		if err != nil || sign.Verify(body, r.Header) != nil || json.Unmarshal(body, &q) != nil || q.Data.Account != "12345678" {
			t.Errorf("question %s", body)
		}
		says := "no"
		if q.Data.Payee == known {
			says = "yes"
		}
		id, now := r.Header.Get(standardwebhooks.HeaderWebhookID), time.Now()
		out, _ := json.Marshal(map[string]any{"id": id, "signals": []map[string]any{{"name": "name_check", "answer": says}}})
		signature, _ := sign.Sign(id, now, out)
		w.Header().Set(standardwebhooks.HeaderWebhookID, id)
		w.Header().Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		w.Header().Set(standardwebhooks.HeaderWebhookSignature, signature)
		_, _ = w.Write(out)
	})
}
