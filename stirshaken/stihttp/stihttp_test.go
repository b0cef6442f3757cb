package stihttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stihttp"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const x5u = "https://cert.example.org/1234.pem"

// inventory proves one number.
type inventory struct{}

func (inventory) Proves(_ context.Context, tenant ringfence.TenantID, tn ringfence.TN) (string, time.Time, bool, error) {
	return "contract 7", now.AddDate(-1, 0, 0), tenant == "ten_a" && tn == "12155551212", nil
}

func start(t *testing.T) (*httptest.Server, *stirshaken.Signer) {
	t.Helper()
	ca, err := stirtest.New(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(stirtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer := &stirshaken.Signer{Inventory: inventory{}}
	if err := signer.SetKey(leaf.Key, leaf.Bundle, x5u); err != nil {
		t.Fatal(err)
	}
	v, err := stirshaken.NewVerifier(stirshaken.Config{Trust: ca.Trust(), Fetch: stirshaken.FetchConfig{Off: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	v.Preload(x5u, leaf.Bundle)
	s := &stihttp.Service{Verifier: v, Signer: signer, Now: func() time.Time { return now },
		CustomerKnown: func(id ringfence.TenantID) bool { return id == "ten_a" },
		Authorize: func(r *http.Request) (ringfence.TenantID, bool) {
			switch r.Header.Get("Authorization") {
			case "Bearer a":
				return "ten_a", true
			case "Bearer b":
				return "ten_b", true
			}
			return "", false
		}}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return srv, signer
}

func post(t *testing.T, url, bearer, body string, edit ...func(*http.Request)) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer)
	req.Header.Set("Content-Type", "application/json")
	for _, e := range edit {
		e(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%d %s", resp.StatusCode, b)
	}
	return resp.StatusCode, out
}

func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

var signing = fmt.Sprintf(`{"signingRequest":{"attest":"A","dest":{"tn":["12155550100"]},"iat":%d,"orig":{"tn":"12155551212"},"origid":"123e4567-e89b-12d3-a456-426655440000"}}`, now.Unix())

func TestRefusals(t *testing.T) {
	srv, _ := start(t)
	r := strings.Replace
	for _, k := range []struct {
		name, path, bearer, body string
		status                   int
		id                       string
		edit                     func(*http.Request)
	}{
		{"no credential", "/stir/v1/signing", "", signing, 401, "POL4010", nil},
		{"GET", "/stir/v1/signing", "Bearer a", signing, 405, "POL4050", func(r *http.Request) { r.Method = "GET" }},
		{"no body", "/stir/v1/signing", "Bearer a", "", 400, "SVC4000", nil},
		{"text", "/stir/v1/signing", "Bearer a", signing, 415, "SVC4004", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{"wants xml", "/stir/v1/signing", "Bearer a", signing, 406, "SVC4002", func(r *http.Request) { r.Header.Set("Accept", "text/xml") }},
		{"no length", "/stir/v1/signing", "Bearer a", signing, 411, "SVC4007", func(r *http.Request) { r.ContentLength = -1 }},
		{"too long", "/stir/v1/signing", "Bearer a", strings.Repeat(" ", stihttp.MaxBodyBytes+1), 413, "SVC4006", nil},
		{"not JSON", "/stir/v1/signing", "Bearer a", "x", 400, "SVC4006", nil},
		{"duplicate member", "/stir/v1/signing", "Bearer a", r(signing, `"attest"`, `"attest":"C","attest"`, 1), 400, "SVC4006", nil},
		{"empty object", "/stir/v1/signing", "Bearer a", "{}", 400, "SVC4001", nil},
		{"no attest", "/stir/v1/signing", "Bearer a", r(signing, `"attest":"A",`, "", 1), 400, "SVC4001", nil},
		{"attest D", "/stir/v1/signing", "Bearer a", r(signing, `"A"`, `"D"`, 1), 400, "SVC4005", nil},
		{"iat stale", "/stir/v1/signing", "Bearer a", r(signing, fmt.Sprint(now.Unix()), "1", 1), 400, "SVC4005", nil},
		{"orig no number", "/stir/v1/signing", "Bearer a", r(signing, "12155551212", "x", 1), 400, "SVC4005", nil},
		{"A without inventory", "/stir/v1/signing", "Bearer b", signing, 403, "POL4030", nil},
		{"A for another number", "/stir/v1/signing", "Bearer a", r(signing, "12155551212", "12155551213", 1), 403, "POL4030", nil},
		{"B for an unknown customer", "/stir/v1/signing", "Bearer b", r(signing, `"A"`, `"B"`, 1), 403, "POL4030", nil},
		{"unknown path", "/stir/v2/signing", "Bearer a", signing, 404, "SVC4003", nil},
		{"verification without identity", "/stir/v1/verification", "Bearer a", `{"verificationRequest":{"from":{"tn":"1"},"to":{"tn":["2"]},"time":1}}`, 400, "SVC4001", nil},
		{"verification with a bad from", "/stir/v1/verification", "Bearer a", `{"verificationRequest":{"from":{"uri":"sip:a@b>\r\nX: y"},"to":{"tn":["2"]},"time":1,"identity":"x"}}`, 400, "SVC4005", nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			edit := k.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			status, out := post(t, srv.URL+k.path, k.bearer, k.body, edit)
			id := at(out, "requestError", "serviceException", "messageId")
			if id == nil {
				id = at(out, "requestError", "policyException", "messageId")
			}
			if status != k.status || id != k.id {
				t.Errorf("have %d %v, want %d %s", status, out, k.status, k.id)
			}
		})
	}
	rec := httptest.NewRecorder()
	new(stihttp.Service).Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/stir/v1/signing", strings.NewReader(signing)))
	if rec.Code != 401 {
		t.Errorf("the zero Service answers %d", rec.Code)
	}
}

func TestSignAndVerify(t *testing.T) {
	srv, _ := start(t)
	status, out := post(t, srv.URL+"/stir/v1/signing", "Bearer a", signing)
	identity, _ := at(out, "signingResponse", "identity").(string)
	if status != 200 || identity == "" {
		t.Fatal(status, out)
	}
	verification := func(to string) string {
		return fmt.Sprintf(`{"verificationRequest":{"from":{"tn":"+1 215 555 1212"},"to":{"tn":["%s"]},"time":%d,"identity":%q}}`, to, now.Unix(), identity)
	}
	status, out = post(t, srv.URL+"/stir/v1/verification", "Bearer b", verification("12155550100"))
	if status != 200 || at(out, "verificationResponse", "verstat") != "TN-Validation-Passed" || at(out, "verificationResponse", "attest") != "A" {
		t.Error(status, out)
	}
	status, out = post(t, srv.URL+"/stir/v1/verification", "Bearer b", verification("12155550101"))
	if status != 200 || at(out, "verificationResponse", "verstat") != "TN-Validation-Failed" || at(out, "verificationResponse", "reasonCode") != 438.0 {
		t.Error(status, out)
	}
}

func TestCPS(t *testing.T) {
	_, signer := start(t)
	signed, refusal, err := signer.Sign(stirshaken.SigningRequest{Orig: stirshaken.Party{TN: "12155551212"}, Dest: []stirshaken.Party{{TN: "12155550100"}}, Attest: "A"}, now)
	if err != nil || refusal != "" {
		t.Fatal(err, refusal)
	}
	stored := map[string][]byte{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(401)
			return
		}
		if r.Method == "POST" {
			stored[r.URL.Path], _ = io.ReadAll(r.Body)
			w.WriteHeader(201)
			return
		}
		b, ok := stored[r.URL.Path]
		if !ok {
			w.WriteHeader(404)
			return
		}
		_, _ = w.Write(b)
	}))
	defer srv.Close()
	bearer := func(context.Context) (string, error) { return "t", nil }
	if _, err := stihttp.NewCPS(srv.URL, stirshaken.FetchConfig{}, bearer); err == nil {
		t.Fatal("http without leave")
	}
	guarded := stirshaken.FetchConfig{LabCertificateHosts: []string{strings.TrimPrefix(srv.URL, "http://")}}
	c, err := stihttp.NewCPS(srv.URL, guarded, bearer)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := c.Retrieve(ctx, "12155551212", "12155550100"); !errors.Is(err, stihttp.ErrNoPASSporT) {
		t.Error(err)
	}
	if err := c.Publish(ctx, "12155551212", "12155550100", []string{signed.Token}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Retrieve(ctx, "12155551212", "12155550100")
	if err != nil || len(got) != 1 || got[0] != signed.Identity {
		t.Errorf("%v %q, want %q", err, got, signed.Identity)
	}
	if err := c.Publish(ctx, "12155551212", "12155550100", []string{"rubbish"}); err == nil {
		t.Error("rubbish published")
	}
	stored["/passports/2/1"] = []byte(`["a.b.c","` + signed.Token + `;x=y"]`)
	if _, err := c.Retrieve(ctx, "1", "2"); !errors.Is(err, stihttp.ErrNoPASSporT) {
		t.Error(err)
	}
	none, err := stihttp.NewCPS(srv.URL, guarded, nil)
	if err != nil {
		t.Fatal(err)
	}
	var status *stihttp.CPSError
	if _, err := none.Retrieve(ctx, "1", "2"); !errors.As(err, &status) || status.Status != 401 || status.Retry {
		t.Error(err)
	}
}
