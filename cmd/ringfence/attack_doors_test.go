package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web"
)

var otherOpener = web.Client{Name: "other crm", Scopes: []web.Scope{web.ScopeActions, web.ScopeReleases}}

// attackProofs has the executor's credential, and not its key.
func attackProofs(t *testing.T, b *battlefield) {
	const url = "/v1/releases"
	at := b.staff + url
	thief := newKeyPair(t)
	stolen := party{credential: b.bank.credential, key: thief}
	hash := func(p party) any {
		var c struct{ ATH string }
		raw := strings.Split(p.proof(t, "GET", at, nil), ".")[1]
		_ = json.Unmarshal([]byte(unb64(raw)), &c)
		return c.ATH
	}
	good := b.bank.proof(t, "GET", at, nil)
	claims := map[string]any{}
	_ = json.Unmarshal([]byte(unb64(strings.Split(good, ".")[1])), &claims)
	now := time.Now()
	for name, a := range map[string]ask{
		"a key of one's own":           {by: &stolen},
		"no proof":                     {by: &b.bank, proof: "x", header: map[string]string{"DPoP": ""}},
		"as a bearer":                  {by: &b.bank, header: map[string]string{"DPoP": "", "Authorization": "Bearer " + b.bank.credential}},
		"rubbish":                      {by: &b.bank, proof: "a.b.c"},
		"of another method":            {by: &b.bank, dpop: map[string]any{"htm": "POST"}},
		"of a method in small letters": {by: &b.bank, dpop: map[string]any{"htm": "get"}},
		"of another path":              {by: &b.bank, dpop: map[string]any{"htu": b.staff + "/v1/releases/"}},
		"of another host":              {by: &b.bank, dpop: map[string]any{"htu": "https://evil.example" + url}},
		"of a host in front of ours":   {by: &b.bank, dpop: map[string]any{"htu": strings.Replace(at, "://", "://evil.example@x.", 1)}},
		"of a host that says it is us": {by: &b.bank, dpop: map[string]any{"htu": "https://evil.example" + url}, header: map[string]string{"Host": "evil.example"}},
		"of no address":                {by: &b.bank, dpop: map[string]any{"htu": nil}},
		"of a path only":               {by: &b.bank, dpop: map[string]any{"htu": url}},
		"of two minutes ago":           {by: &b.bank, dpop: map[string]any{"iat": now.Add(-2 * time.Minute).Unix()}},
		"of in two minutes":            {by: &b.bank, dpop: map[string]any{"iat": now.Add(2 * time.Minute).Unix()}},
		"of no time":                   {by: &b.bank, dpop: map[string]any{"iat": nil}},
		"of a time beyond all":         {by: &b.bank, dpop: map[string]any{"iat": int64(1) << 62}},
		"of a time as text":            {by: &b.bank, dpop: map[string]any{"iat": fmt.Sprint(now.Unix())}},
		"without an id":                {by: &b.bank, dpop: map[string]any{"jti": nil}},
		"with an empty id":             {by: &b.bank, dpop: map[string]any{"jti": ""}},
		"for another credential":       {by: &b.bank, dpop: map[string]any{"ath": hash(b.mirror)}},
		"for no credential":            {by: &b.bank, dpop: map[string]any{"ath": nil}},
		"of another account's holder":  {by: &party{credential: b.bank.credential, key: b.mirror.key}},
		"of no algorithm":              {by: &b.bank, proof: recut(good, func(p []string) { p[0], p[2] = b64(`{"alg":"none","typ":"dpop+jwt"}`), "" })},
		"with a body of another":       {by: &b.bank, proof: recut(good, func(p []string) { p[1] = strings.Split(b.mirror.proof(t, "GET", at, nil), ".")[1] })},
		"typed as a permit":            {by: &b.bank, proof: signed(t, b.bank.key, map[jose.HeaderKey]any{"typ": "ringfence-permit+jwt"}, claims, true)},
		"without a type":               {by: &b.bank, proof: signed(t, b.bank.key, nil, claims, true)},
		"without its key":              {by: &b.bank, proof: signed(t, b.bank.key, map[jose.HeaderKey]any{"typ": "dpop+jwt"}, claims, false)},
		"whose key is at an address":   {by: &b.bank, proof: signed(t, thief, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jku": "http://127.0.0.1:1/"}, claims, false)},
		"with the private key in it":   {by: &b.bank, proof: recut(good, func(p []string) { p[0] = b64(strings.Replace(unb64(p[0]), `"x":`, `"d":"AAAA","x":`, 1)) })},
		"longer than a proof":          {by: &b.bank, dpop: map[string]any{"pad": strings.Repeat("x", 5000)}},
		"in JSON serialisation":        {by: &b.bank, proof: fmt.Sprintf(`{"payload":"%s","protected":"%s","signature":"%s"}`, strings.Split(good, ".")[1], strings.Split(good, ".")[0], strings.Split(good, ".")[2])},
	} {
		t.Run(name, func(t *testing.T) {
			a.method, a.url = "GET", url
			refused(t, b.send(t, a), 401)
		})
	}
	t.Run("sent twice", func(t *testing.T) {
		once := b.bank.proof(t, "GET", at, nil)
		if got := b.send(t, ask{by: &b.bank, method: "GET", url: url, proof: once}); got.status != 200 {
			t.Fatal(got)
		}
		refused(t, b.send(t, ask{by: &b.bank, method: "GET", url: url, proof: once}), 401)
	})
	t.Run("of reading, for redeeming", func(t *testing.T) {
		_, token := b.permit(t)
		refused(t, b.send(t, ask{by: &b.bank, method: "POST", url: "/v1/permits/redeem", body: mustJSON(t, map[string]string{"permit": token}), proof: b.bank.proof(t, "GET", at, nil)}), 401)
	})
}

// attackCredentials guesses and bends credentials.
func attackCredentials(t *testing.T, b *battlefield) {
	part := strings.Split(b.opener.credential, ".")
	again := func(parts ...string) string { return strings.Join(parts, ".") }
	for name, credential := range map[string]string{
		"nothing":                "",
		"the id only":            part[1],
		"no secret":              again(part[0], part[1], ""),
		"another secret":         again(part[0], part[1], strings.Repeat("A", 43)),
		"the secret cut":         again(part[0], part[1], part[2][:42]),
		"the secret and more":    again(part[0], part[1], part[2]+"="),
		"the id in capitals":     again(part[0], strings.ToUpper(part[1]), part[2]),
		"another account's":      again(part[0], strings.Split(b.mirror.credential, ".")[1], part[2]),
		"another tenant":         again(string(otherTenant), part[1], part[2]),
		"a tenant that is none":  again("../default", part[1], part[2]),
		"a tenant of everything": again("%", part[1], part[2]),
		"no tenant":              again("", part[1], part[2]),
		"four parts":             again(part[0], part[1], part[2], ""),
		"a NUL in it":            again(part[0], part[1]+"%00", part[2]),
		"SQL":                    again(part[0], "cli_' OR 1=1 --", part[2]),
	} {
		t.Run(name, func(t *testing.T) {
			thief := party{credential: credential, key: b.opener.key}
			refused(t, b.send(t, ask{by: &thief, method: "GET", url: "/v1/releases"}), 401)
		})
	}
	t.Run("basic", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "GET", url: "/v1/releases", header: map[string]string{"Authorization": "Basic " + b64(b.opener.credential)}}), 401)
	})
	t.Run("in the address", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "GET", url: "/v1/releases?access_token=" + b.opener.credential}), 401)
	})
	t.Run("from another network, which is said to be ours", func(t *testing.T) {
		at := b.account(ringfence.DefaultTenant, web.Client{Name: "fixed", Scopes: []web.Scope{web.ScopeReleases}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"} {
			value := "192.0.2.7"
			if header == "Forwarded" {
				value = "for=192.0.2.7"
			}
			refused(t, b.send(t, ask{by: &at, method: "GET", url: "/v1/releases", header: map[string]string{header: value}}), 401)
		}
	})
	t.Run("after it was removed", func(t *testing.T) {
		gone := b.account(ringfence.DefaultTenant, web.Client{Name: "gone", Scopes: []web.Scope{web.ScopeReleases}})
		if got := b.send(t, ask{by: &gone, method: "GET", url: "/v1/releases"}); got.status != 200 {
			t.Fatal(got)
		}
		if err := b.drillWorld.staff.grace.Ask(t.Context(), "POST", "/v1/clients/"+strings.Split(gone.credential, ".")[1]+"/remove", map[string]any{}, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, b.send(t, ask{by: &gone, method: "GET", url: "/v1/releases"}), 401)
	})
	t.Run("beyond its scope", func(t *testing.T) {
		for _, a := range []ask{{method: "GET", url: "/v1/subjects"}, {method: "GET", url: "/v1/people"}, {method: "GET", url: "/v1/ledger/entries"}, {method: "GET", url: "/v1/clients"},
			{method: "GET", url: "/v1/traversals"}, {method: "POST", url: "/v1/clients", body: `{"name":"x","scopes":["execute"],"executor":"corebank"}`}, {method: "POST", url: "/v1/jobs", body: `{}`},
			{method: "POST", url: "/v1/imports", body: `{}`}, {method: "GET", url: "/v1/recordings"}, {method: "GET", url: "/v1/system"}, {method: "POST", url: "/v1/stir/sign", body: `{}`}} {
			a.by = &b.opener
			refused(t, b.send(t, a), 403)
		}
	})
}

func unb64(s string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(s)
	return string(raw)
}

// attackTenants is another tenant's executor, with every scope there is.
func attackTenants(t *testing.T, b *battlefield) {
	id, token := b.permit(t)
	prm := idOf(token)
	for name, a := range map[string]ask{
		"redeems":          {method: "POST", url: "/v1/permits/redeem", body: mustJSON(t, map[string]string{"permit": token})},
		"reports":          {method: "POST", url: "/v1/permits/" + prm + "/report", body: `{"outcome":"executed"}`},
		"pulls":            {method: "POST", url: "/v1/releases/" + string(id) + "/permit", body: "{}"},
		"reads":            {method: "GET", url: "/v1/releases/" + string(id)},
		"rejects":          {method: "POST", url: "/v1/releases/" + string(id) + "/reject", body: "{}"},
		"cancels":          {method: "POST", url: "/v1/releases/" + string(id) + "/cancel", body: "{}"},
		"disputes":         {method: "POST", url: "/v1/releases/" + string(id) + "/dispute", body: "{}"},
		"opens about ours": {method: "POST", url: "/v1/actions", body: mustJSON(t, map[string]any{"type": "newsletter", "subject": b.subject, "fields": map[string]string{"topic": "x"}})},
		"steps up":         {method: "POST", url: "/v1/traversals/trv_00000000000000000000000000/step-ups", body: mustJSON(t, map[string]any{"flow": "step-up-passkey", "release": id})},
		"under our host":   {method: "GET", url: "/v1/releases/" + string(id), header: map[string]string{"X-Tenant": "default", "X-Forwarded-Host": "localhost"}},
	} {
		t.Run(name, func(t *testing.T) {
			a.by = &b.stranger
			refused(t, b.send(t, a))
		})
	}
	for _, url := range []string{"/v1/releases", "/v1/subjects", "/v1/contact-points?subject=" + string(b.subject), "/v1/ledger/entries", "/v1/traversals"} {
		t.Run("lists "+url, func(t *testing.T) {
			got := b.send(t, ask{by: &b.stranger, method: "GET", url: url})
			if strings.Contains(got.body, string(b.subject)) || strings.Contains(got.body, string(id)) || got.status >= 500 {
				t.Errorf("another tenant is told %s", got)
			}
		})
	}
	t.Run("its idempotency key is not ours", func(t *testing.T) {
		body := mustJSON(t, map[string]any{"type": "newsletter", "subject": b.subject, "fields": map[string]string{"topic": "shared key"}})
		if got := b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/actions", key: "shared-by-tenants", body: body}); got.status != 201 {
			t.Fatal(got)
		}
		refused(t, b.send(t, ask{by: &b.stranger, method: "POST", url: "/v1/actions", key: "shared-by-tenants", body: body}))
	})
	if got := b.redeem(t, &b.bank, token); got.status != 200 {
		t.Errorf("a stranger spent the permit: %s", got)
	}
}

// attackActions writes fields so that two readers read two things.
func attackActions(t *testing.T, b *battlefield) {
	good := map[string]string{"payee": "Northwind", "amount": "12500 GBP", "account": "20003000"}
	open := func(t *testing.T, fields any, more map[string]any) reply {
		body := map[string]any{"type": "payment", "subject": b.subject, "fields": fields}
		for k, v := range more {
			body[k] = v
		}
		return b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/actions", body: mustJSON(t, body)})
	}
	if got := open(t, good, nil); got.status != 201 {
		t.Fatalf("the good action: %s", got)
	}
	bad := map[string][]string{
		"amount": {"", "0 GBP", "-1 GBP", "+1 GBP", "1e3 GBP", "1E3 GBP", "1.00 GBP", "1,000 GBP", "01 GBP", "0x1 GBP", "1_0 GBP", " 1 GBP", "1 GBP ", "1  GBP", "1\tGBP", "1\u00a0GBP", "1\u2007GBP", "1 gbp", "1 Gbp", "1 GB", "1 GBPX", "1GBP", "GBP 1", "£1",
			"１２５００ GBP", "١٢٥ GBP", "1 ＧＢＰ", "1 GBР", "9223372036854775808 GBP", "99999999999999999999999 GBP", "NaN GBP", "Inf GBP", "1 GBP\u0000", "1 GBP\n2 GBP", "1 GBP 2 GBP", "1\u200b0 GBP", "2-1 GBP", "1;2 GBP"},
		"account": {"", "20003", strings.Repeat("2", 19), "2000 3000", "20-00-30", "20003000 ", "\t20003000", "+20003000", "２０００３０００", "2000300O", "2000300l", "20003\u200b000", "20003000\u0000", "2000300\u0660", "0x200030"},
		"payee": {"", " ", " Nova", "Nova ", "No\u200bva", "No\u200cva", "No\u2060va", "No\ufeffva", "\u202eavoN", "No\u2066va\u2069", "No\u00adva", "No\u034fva", "Nova\ufe0f", "Nova\U000e0100", "Nova\U000e0041", "No\u180eva", "No\u180bva", "Nova\u1160", "Nova\uffa0", "Nova\u3164",
			"Nova\u115f", "Nova\u2800", "Nova\u17b4", "No\u00a0va", "No\u2003va", "No\u3000va", "No\nva", "No\rva", "No\tva", "No\u0000va", "No\u0007va", "No\u2028va", "No\u2029va", "No\ufffeva", "No\ue000va", "Nova\u0065\u0301", "\u212bngstrom", "N" + strings.Repeat("\u0336", 12), strings.Repeat("N", 141)},
	}
	for field, values := range bad {
		for _, v := range values {
			t.Run(fmt.Sprintf("%s %+q", field, v), func(t *testing.T) {
				fields := map[string]string{"payee": good["payee"], "amount": good["amount"], "account": good["account"]}
				fields[field] = v
				refused(t, open(t, fields, nil), 400, 422)
			})
		}
	}
	for _, v := range []string{"Ｎｏｖａ", "𝐍𝐨𝐯𝐚", "Ⓝova", "ﬁnova", "Nоva", "АСМЕ"} {
		t.Run(fmt.Sprintf("a payee in disguise %+q", v), func(t *testing.T) {
			got := open(t, map[string]string{"payee": v, "amount": "1 GBP", "account": "20003000"}, nil)
			var r struct{ Flags []string }
			if err := json.Unmarshal([]byte(got.body), &r); err != nil || got.status != 201 || len(r.Flags) == 0 {
				t.Errorf("nobody is told to look at it: %s", got)
			}
		})
	}
	for name, fields := range map[string]any{
		"no fields":         map[string]string{},
		"none at all":       nil,
		"one too many":      map[string]string{"payee": "Nova", "amount": "1 GBP", "account": "20003000", "memo": "x"},
		"one missing":       map[string]string{"payee": "Nova", "amount": "1 GBP"},
		"another case":      map[string]string{"payee": "Nova", "Amount": "1 GBP", "account": "20003000"},
		"both cases":        map[string]string{"payee": "Nova", "amount": "1 GBP", "AMOUNT": "2 GBP", "account": "20003000"},
		"a number":          map[string]any{"payee": "Nova", "amount": 1, "account": "20003000"},
		"null":              map[string]any{"payee": nil, "amount": "1 GBP", "account": "20003000"},
		"a list":            map[string]any{"payee": []string{"Nova"}, "amount": "1 GBP", "account": "20003000"},
		"an object":         map[string]any{"payee": map[string]string{"": "Nova"}, "amount": "1 GBP", "account": "20003000"},
		"money as it is in": map[string]any{"payee": "Nova", "amount": map[string]any{"minor": 1, "currency": "GBP"}, "account": "20003000"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, open(t, fields, nil), 400, 422) })
	}
	for name, more := range map[string]map[string]any{
		"a type of nobody":         {"type": "paymentt"},
		"a type in capitals":       {"type": "PAYMENT"},
		"a class of one's own":     {"class": "C0"},
		"a known payee, says who":  {"known_payee": true},
		"proved, says who":         {"evidence": []string{"pin"}},
		"a subject of nobody":      {"subject": "sub_00000000000000000000000000"},
		"a call of nobody":         {"traversal": "trv_00000000000000000000000000"},
		"asked by nobody":          {"asked_by": "telepathy"},
		"a state of one's own":     {"state": "ready"},
		"an executor of one's own": {"executor": "mirror"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, open(t, good, more)) })
	}
	t.Run("for somebody without a mandate", func(t *testing.T) {
		if got := open(t, good, map[string]any{"represents": b.victims["link"].subject}); got.status != 201 || got.member("state") != "denied" {
			t.Errorf("answered %s", got)
		}
	})
}

// attackBodies writes JSON that two parsers read as two things.
func attackBodies(t *testing.T, b *battlefield) {
	_, token := b.permit(t)
	_, other := b.permit(t)
	for name, body := range map[string]string{
		"a member twice":         `{"permit":"` + token + `","permit":"` + other + `"}`,
		"a member in capitals":   `{"PERMIT":"` + token + `"}`,
		"both":                   `{"permit":"` + token + `","Permit":"` + other + `"}`,
		"escaped to be the same": `{"permit":"` + token + `","p\u0065rmit":"` + other + `"}`,
		"long s for s":           `{"permit":"` + token + `","permit\u017f":"x"}`,
		"something after":        `{"permit":"` + token + `"}{"permit":"` + other + `"}`,
		"a list":                 `[{"permit":"` + token + `"}]`,
		"a text":                 `"` + token + `"`,
		"a list of permits":      `{"permit":["` + token + `"]}`,
		"null":                   `{"permit":null}`,
		"an unknown member":      `{"permit":"` + token + `","executor":"mirror"}`,
		"a prototype":            `{"permit":"` + token + `","__proto__":{"executor":"mirror"}}`,
		"a comment":              `{"permit":"` + token + `"/**/}`,
		"a mark in front":        "\ufeff" + `{"permit":"` + token + `"}`,
		"no UTF-8":               `{"permit":"` + token + "\xff" + `"}`,
		"a lone surrogate":       `{"permit":"` + token + `\ud800"}`,
		"very deep":              strings.Repeat(`{"permit":`, 10_000) + "1" + strings.Repeat("}", 10_000),
		"a megabyte":             `{"permit":"` + strings.Repeat("A", 1<<20) + `"}`,
		"a form":                 "permit=" + token,
		"nothing":                "",
		"single quotes":          `{'permit':'` + token + `'}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.try(t, ask{by: &b.bank, method: "POST", url: "/v1/permits/redeem", body: body})
			if err != nil { // a connection that is cut is a refusal of what is too long
				if len(body) < 1<<20 {
					t.Error(err)
				}
				return
			}
			refused(t, got)
		})
	}
	for name, header := range map[string]map[string]string{
		"as text":             {"Content-Type": "text/plain"},
		"as a form":           {"Content-Type": "application/x-www-form-urlencoded"},
		"compressed":          {"Content-Encoding": "gzip"},
		"as YAML":             {"Content-Type": "application/yaml"},
		"as CBOR":             {"Content-Type": "application/cbor"},
		"in another alphabet": {"Content-Type": "application/json; charset=utf-16"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, b.send(t, ask{by: &b.bank, method: "POST", url: "/v1/permits/redeem", body: "permit: " + token, header: header}))
		})
	}
	for name, a := range map[string]ask{
		"a GET that redeems":    {method: "GET", url: "/v1/permits/redeem?permit=" + token},
		"a PUT":                 {method: "PUT", url: "/v1/permits/redeem", body: `{"permit":"` + token + `"}`},
		"another method inside": {method: "GET", url: "/v1/permits/redeem?permit=" + token, header: map[string]string{"X-HTTP-Method-Override": "POST"}},
		"a path with a slash":   {method: "POST", url: "/v1/permits/redeem/", body: `{"permit":"` + token + `"}`},
		"a path in capitals":    {method: "POST", url: "/V1/Permits/Redeem", body: `{"permit":"` + token + `"}`},
		"a path that goes up":   {method: "GET", url: "/assets/..%2f..%2fv1/releases"},
		"a file of the machine": {method: "GET", url: "/assets/..%2f..%2f..%2f..%2fetc/passwd"},
	} {
		t.Run(name, func(t *testing.T) {
			a.by = &b.bank
			if got := b.send(t, a); got.status < 300 || got.status >= 500 || strings.Contains(got.body, "root:") {
				t.Errorf("answered %s", got)
			}
		})
	}
	for _, one := range []string{token, other} {
		if got := b.redeem(t, &b.bank, one); got.status != 200 {
			t.Errorf("a bad body spent a permit: %s", got)
		}
	}
}

// attackSessions is a page of somebody else in the browser of a member of staff.
func attackSessions(t *testing.T, b *battlefield) {
	grace := b.drillWorld.staff.grace
	cookie, finish := b.signedIn(t, grace.key, nil)
	me := ask{method: "GET", url: "/v1/me", header: map[string]string{"Cookie": cookie}}
	if got := b.send(t, me); got.status != 200 {
		t.Fatalf("signed in: %s", got)
	}
	t.Run("a sign-in played again", func(t *testing.T) {
		finish.key = ""
		refused(t, b.send(t, finish), 400, 401, 403, 404, 409, 410)
	})
	change := ask{method: "POST", url: "/v1/clients", body: `{"name":"evil","scopes":["actions"]}`}
	for name, header := range map[string]map[string]string{
		"another origin":               {"Origin": "https://evil.example"},
		"no origin at all, cross-site": {"Sec-Fetch-Site": "cross-site"},
		"the same site, another host":  {"Sec-Fetch-Site": "same-site", "Origin": strings.Replace(b.staff, "localhost", "evil.localhost", 1)},
		"an origin of null":            {"Origin": "null"},
		"our name in front of theirs":  {"Origin": b.staff + ".evil.example"},
		"another port":                 {"Origin": "http://localhost:1"},
		"a form":                       {"Origin": "https://evil.example", "Content-Type": "text/plain"},
		"another method inside":        {"Origin": "https://evil.example", "X-HTTP-Method-Override": "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			a := change
			a.header = map[string]string{"Cookie": cookie}
			for k, v := range header {
				a.header[k] = v
			}
			refused(t, b.send(t, a), 403)
		})
	}
	t.Run("a reader of another site gets no leave to read", func(t *testing.T) {
		got := b.send(t, ask{method: "GET", url: "/v1/me", header: map[string]string{"Cookie": cookie, "Origin": "https://evil.example"}})
		for _, h := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
			if got.header.Get(h) != "" {
				t.Errorf("%s: %s", h, got.header.Get(h))
			}
		}
	})
	t.Run("a session that was planted before the sign-in", func(t *testing.T) {
		planted := "ringfence=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		fresh, _ := b.signedIn(t, grace.key, map[string]string{"Cookie": planted})
		if fresh == planted || fresh == "" {
			t.Error("the planted session was taken over")
		}
		refused(t, b.send(t, ask{method: "GET", url: "/v1/me", header: map[string]string{"Cookie": planted}}), 401)
	})
	for name, value := range map[string]string{"nothing": "ringfence=", "the hash of it": "ringfence=" + strings.Repeat("0", 64), "two": "ringfence=x; " + cookie + "y", "a NUL": "ringfence=%00"} {
		t.Run("a cookie of "+name, func(t *testing.T) {
			refused(t, b.send(t, ask{method: "GET", url: "/v1/me", header: map[string]string{"Cookie": value}}), 401)
		})
	}
	t.Run("a cookie at the callers' door", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "GET", url: "/v1/me", origin: b.public, header: map[string]string{"Cookie": cookie}}), 404)
	})
	t.Run("after signing out", func(t *testing.T) {
		out := ask{method: "POST", url: "/v1/logout", body: "{}", header: map[string]string{"Cookie": cookie, "Origin": b.staff, "Sec-Fetch-Site": "same-origin"}}
		if got := b.send(t, out); got.status >= 300 {
			t.Fatal(got)
		}
		refused(t, b.send(t, me), 401)
	})
	t.Run("an executor's permit is nothing for staff", func(t *testing.T) {
		id := b.ready(t)
		own, _ := b.signedIn(t, grace.key, nil)
		refused(t, b.send(t, ask{method: "POST", url: "/v1/releases/" + string(id) + "/permit", body: "{}", header: map[string]string{"Cookie": own, "Origin": b.staff, "Sec-Fetch-Site": "same-origin"}}), 403)
	})
}
