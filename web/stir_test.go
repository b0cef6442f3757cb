package web

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// inventory proves one number, for the default tenant.
type inventory struct{}

func (inventory) Proves(_ context.Context, tenant ringfence.TenantID, tn ringfence.TN) (string, time.Time, bool, error) {
	return "test", time.Now().Add(-time.Hour), tenant == ringfence.DefaultTenant && tn == "442079460000", nil
}

func stirDesktop(t testing.TB) *desktop {
	t.Helper()
	ca, err := stirtest.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(stirtest.Options{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	const x5u = "https://cert.example.com/acme.pem"
	signer, err := leaf.Signer(x5u)
	if err != nil {
		t.Fatal(err)
	}
	signer.Inventory = inventory{}
	verifier, err := stirshaken.NewVerifier(stirshaken.Config{Trust: ca.Trust()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	if r := verifier.Preload(x5u, leaf.Bundle); r != nil {
		t.Fatal(r)
	}
	return newDesktop(t, func(c *Config) { c.Signer, c.Verifier = signer, verifier })
}

// as sends a request of a service account with these scopes.
func (d *desktop) as(scopes ...Scope) func(path string, body any) *httptest.ResponseRecorder {
	d.t.Helper()
	_, secret, err := d.CreateClient(d.t.Context(), ringfence.DefaultTenant, Client{Name: "switch", Scopes: scopes}, "")
	if err != nil {
		d.t.Fatal(err)
	}
	credential := "Bearer " + string([]byte(secret))
	return func(path string, body any) *httptest.ResponseRecorder {
		return d.ask(nil, "POST", path, body, "Authorization", credential)
	}
}

// signing is a request that is signed; edit spoils it.
func signing(edit func(map[string]any)) map[string]any {
	r := map[string]any{"attest": "A", "orig": map[string]any{"tn": "+44 20 7946 0000"}, "dest": map[string]any{"tn": []string{"447700900123"}},
		"iat": time.Now().Unix(), "origid": "123e4567-e89b-42d3-a456-426614174000"}
	if edit != nil {
		edit(r)
	}
	return map[string]any{"signingRequest": r}
}

func verification(identity any, edit func(map[string]any)) map[string]any {
	r := map[string]any{"from": map[string]any{"tn": "442079460000"}, "to": map[string]any{"tn": []string{"447700900123"}}, "time": time.Now().Unix(), "identity": identity}
	if edit != nil {
		edit(r)
	}
	return map[string]any{"verificationRequest": r}
}

func TestStirRefusals(t *testing.T) {
	d := stirDesktop(t)
	ask := d.as(ScopeStir)
	set := func(name string, v any) func(map[string]any) { return func(r map[string]any) { r[name] = v } }
	long := strings.Repeat("a", maxStirBody)
	for name, k := range map[string]struct {
		path string
		body any
		want int
	}{
		"A for a number that is not ours":   {"/v1/stir/sign", signing(set("orig", map[string]any{"tn": "442079460009"})), 403},
		"A for no number":                   {"/v1/stir/sign", signing(set("orig", map[string]any{"uri": "sip:a@example.com"})), 403},
		"no attestation":                    {"/v1/stir/sign", signing(func(r map[string]any) { delete(r, "attest") }), 422},
		"attestation of lower case":         {"/v1/stir/sign", signing(set("attest", "a")), 422},
		"a caller that is no number":        {"/v1/stir/sign", signing(set("orig", map[string]any{"tn": "bob"})), 422},
		"a caller by number and by URI":     {"/v1/stir/sign", signing(set("orig", map[string]any{"tn": "442079460000", "uri": "sip:a@b"})), 422},
		"nobody called":                     {"/v1/stir/sign", signing(set("dest", map[string]any{})), 422},
		"a URI with a header in it":         {"/v1/stir/sign", signing(set("dest", map[string]any{"uri": []string{"sip:a@b>\r\nX: y"}})), 422},
		"stale":                             {"/v1/stir/sign", signing(set("iat", time.Now().Add(-time.Hour).Unix())), 422},
		"origid that is no UUID":            {"/v1/stir/sign", signing(set("origid", "1")), 422},
		"diverted by a number not ours":     {"/v1/stir/sign", signing(set("div", map[string]any{"tn": "442079460009"})), 403},
		"diverted by nobody":                {"/v1/stir/sign", signing(set("div", map[string]any{})), 422},
		"sign: oversized":                   {"/v1/stir/sign", signing(set("origid", long)), 413},
		"sign: something else in it":        {"/v1/stir/sign", signing(set("ppt", "rcd")), 422},
		"sign: twice the same name":         {"/v1/stir/sign", `{"signingRequest":{},"signingRequest":{}}`, 400},
		"verify: oversized":                 {"/v1/stir/verify", verification(long, nil), 413},
		"verify: one value too long":        {"/v1/stir/verify", verification(strings.Repeat("a", stirshaken.MaxIdentityBytes+1), nil), 422},
		"verify: too many":                  {"/v1/stir/verify", verification(slices.Repeat([]string{"a"}, 11), nil), 422},
		"verify: none":                      {"/v1/stir/verify", verification([]string{}, nil), 422},
		"verify: no caller":                 {"/v1/stir/verify", verification("a", set("from", map[string]any{})), 422},
		"verify: nobody called":             {"/v1/stir/verify", verification("a", set("to", map[string]any{"tn": []string{"-"}})), 422},
		"verify: a time before there was":   {"/v1/stir/verify", verification("a", set("time", -1)), 422},
		"verify: identity that is a number": {"/v1/stir/verify", verification(7, nil), 422},
	} {
		w := ask(k.path, k.body)
		if w.Code != k.want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: answered %d %s %s, want a problem with %d", name, w.Code, w.Header().Get("Content-Type"), w.Body, k.want)
		}
		if strings.Contains(w.Body.String(), "442079460009") {
			t.Errorf("%s: the number is repeated", name)
		}
	}
	for _, path := range []string{"/v1/stir/sign", "/v1/stir/verify"} {
		for name, got := range map[string]int{"nobody": d.ask(nil, "POST", path, signing(nil)).Code,
			"no scope":         d.as(ScopeEvents, ScopeActions)(path, signing(nil)).Code,
			"an administrator": d.ask(d.signIn(d.person("root", allRoles...)), "POST", path, signing(nil)).Code} {
			want := map[string]int{"nobody": 401}[name]
			if want == 0 {
				want = 403
			}
			if got != want {
				t.Errorf("%s: %s got %d, want %d", path, name, got, want)
			}
		}
		if got := newDesktop(t).as(ScopeStir)(path, map[string]any{"/v1/stir/sign": signing(nil), "/v1/stir/verify": verification("a", nil)}[path]); got.Code != 503 {
			t.Errorf("%s without a key or roots answered %d", path, got.Code)
		}
	}
}

// What the service signs, the service verifies: for its own call only.
func TestStirSignAndVerify(t *testing.T) {
	d := stirDesktop(t)
	ask := d.as(ScopeStir)
	w := ask("/v1/stir/sign", signing(nil))
	signed := decode[struct{ SigningResponse struct{ Identity string } }](t, w).SigningResponse.Identity
	if signed == "" {
		t.Fatalf("not signed: %d %s", w.Code, w.Body)
	}
	type verdict struct {
		VerificationResponse struct {
			Verstat, Attest, OrigID, Says string
			ReasonCode                    int
		}
	}
	for name, k := range map[string]struct {
		body    any
		verstat string
		attest  string
		code    int
	}{
		"as signed":         {verification(signed, nil), "TN-Validation-Passed", "A", 0},
		"in a list":         {verification([]string{signed}, nil), "TN-Validation-Passed", "A", 0},
		"to another callee": {verification(signed, func(r map[string]any) { r["to"] = map[string]any{"tn": []string{"447700900124"}} }), "TN-Validation-Failed", "", 438},
		"no PASSporT":       {verification("nonsense", nil), "TN-Validation-Failed", "", 436},
	} {
		w := ask("/v1/stir/verify", k.body)
		got := decode[verdict](t, w).VerificationResponse
		if w.Code != 200 || got.Verstat != k.verstat || got.Attest != k.attest || got.ReasonCode != k.code || got.Says == "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for name, body := range map[string]any{
		"B for a number that is not ours": signing(func(r map[string]any) { r["attest"], r["orig"] = "B", map[string]any{"tn": "442079460009"} }),
		"C for a number of ours":          signing(func(r map[string]any) { r["attest"] = "C" }),
		"diverted by a number of ours": signing(func(r map[string]any) {
			delete(r, "attest")
			delete(r, "origid")
			r["orig"], r["div"] = map[string]any{"tn": "447700900123"}, map[string]any{"tn": "442079460000"}
		}),
	} {
		if w := ask("/v1/stir/sign", body); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// The shape of Identity in the description is a string or a list.
func TestStirDescription(t *testing.T) {
	doc := newDesktop(t).ask(nil, "GET", "/v1/openapi.json", nil).Body.Bytes()
	if !json.Valid(doc) || !strings.Contains(string(doc), `"verificationRequest"`) || !strings.Contains(string(doc), `"signingRequest"`) {
		t.Error("the services are not described")
	}
}
