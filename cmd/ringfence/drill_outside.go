package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/web"
)

func outside(name, layer, does string, at outsideDoor, play func(context.Context, *stranger) (verdict, error)) outsideAttack {
	return outsideAttack{Drill: web.Drill{Name: name, Layer: layer, Does: does}, door: at, play: play}
}

// outsideAttacks are all that need no view inside, in their order.
var outsideAttacks = []outsideAttack{
	outside("outside-no-credential", "web", "asks every door of staff and systems as nobody", staffDoor, outsideNobody),
	outside("outside-guessed-credential", "web", "guesses the credentials of a system and of a browser", staffDoor, outsideGuessed),
	outside("outside-permit-forged", "gate", "presents permits that the gate never signed", staffDoor, outsidePermit),
	outside("outside-foreign-passkey", "web", "signs in to the console with a passkey of their own", staffDoor, outsidePasskey),
	outside("outside-invitation-guessed", "web", "guesses the invitation of a member of staff", staffDoor, outsideInvitation),
	outside("outside-staff-at-callers-door", "web", "looks for the console and the API at the callers' door", callerDoor, outsideWrongDoor),
	outside("outside-link-guessed", "verify", "guesses links of the callers' page", callerDoor, outsideLink),
	outside("outside-stop-guessed", "gate", "guesses the link by which a payment is stopped, to stop everybody's", callerDoor, outsideStop),
	outside("outside-reference-guessed", "verify", "guesses call references, to hear when whose telephone rang", callerDoor, outsideReference),
	outside("outside-cross-site", "web", "has the browser of a member of staff send requests from another site", anyDoor, outsideCrossSite),
	outside("outside-carrier-forged", "web", "reports in the carrier's name that a message arrived and digits were keyed", anyDoor, outsideCarrier),
	outside("outside-files", "web", "asks for files of the machine by paths that go up", anyDoor, outsideFiles),
	outside("outside-insides", "web", "asks for metrics, profiles, configuration and backups", anyDoor, outsideInsides),
	outside("outside-other-host", "web", "asks under another host name, to have it appear in a link", anyDoor, outsideHost),
	outside("outside-huge", "web", "sends bodies that are huge, deep, or two things at once", anyDoor, outsideHuge),
	outside("outside-methods", "web", "uses methods that no door has", anyDoor, outsideMethods),
	outside("outside-framed", "web", "puts a page into a frame of their own, and has it guess types", anyDoor, outsideFramed),
	outside("outside-old-tls", "web", "speaks without TLS, or with versions that are broken", anyDoor, outsideTLS),
}

// try is one request of an attack, and allRefused judges that each is refused.
type try struct {
	method, path, body string
	header             map[string]string
}

func allRefused(ctx context.Context, s *stranger, tries ...try) (verdict, error) {
	for _, t := range tries {
		got, err := s.send(ctx, t.method, t.path, t.body, t.header)
		if err != nil {
			return verdict{}, fmt.Errorf("%s %s: %w", t.method, t.path, err)
		}
		if got.status >= 500 {
			return verdict{}, fmt.Errorf("%s %s is answered %d", t.method, t.path, got.status)
		}
		if !got.refused() {
			return through("%s %s is answered %d", t.method, t.path, got.status), nil
		}
	}
	return stopped("%d requests, all refused", len(tries)), nil
}

const nobodysRelease = "/v1/releases/rel_00000000000000000000000000"

// staffOnly are doors behind which something of the house is to be had.
var staffOnly = []string{"/v1/me", "/v1/releases", "/v1/subjects", "/v1/people", "/v1/clients", "/v1/ledger/entries", "/v1/ledger/bundle", "/v1/recordings",
	"/v1/captures", "/v1/traversals", "/v1/history", "/v1/alerts", "/v1/system", "/v1/flows", "/v1/events", nobodysRelease}

func outsideNobody(ctx context.Context, s *stranger) (verdict, error) {
	var tries []try
	for _, path := range staffOnly {
		tries = append(tries, try{http.MethodGet, path, "", nil})
	}
	for _, path := range []string{"/v1/actions", "/v1/permits/redeem", nobodysRelease + "/permit", nobodysRelease + "/release", "/v1/imports", "/v1/jobs", "/v1/people/drafts", "/v1/clock/confirm", "/v1/drills"} {
		tries = append(tries, try{http.MethodPost, path, "{}", nil})
	}
	return allRefused(ctx, s, tries...)
}

func outsideGuessed(ctx context.Context, s *stranger) (verdict, error) {
	secret, id := rand.Text(), strings.ToLower(rand.Text())
	credential := string(ringfence.DefaultTenant) + ".cli_" + id + "." + secret
	var tries []try
	for _, header := range []map[string]string{
		{"Authorization": "Bearer " + credential}, {"Authorization": "DPoP " + credential, "DPoP": "e30.e30.AA"}, {"Authorization": "Basic YWRtaW46YWRtaW4="},
		{"Cookie": "ringfence=" + secret}, {"Cookie": "__Host-ringfence=" + secret}, {"X-Forwarded-User": "admin", "X-Remote-User": "admin"},
		{"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
	} {
		tries = append(tries, try{http.MethodGet, "/v1/releases", "", header})
	}
	return allRefused(ctx, s, tries...)
}

func outsidePermit(ctx context.Context, s *stranger) (verdict, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return verdict{}, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("ringfence-permit+jwt"))
	if err != nil {
		return verdict{}, err
	}
	jws, err := signer.Sign(fmt.Appendf(nil, `{"iss":"ringfence","aud":"bank","jti":"prm_00000000000000000000000000","exp":%d}`, time.Now().Add(time.Minute).Unix()))
	if err != nil {
		return verdict{}, err
	}
	own, err := jws.CompactSerialize()
	if err != nil {
		return verdict{}, err
	}
	none := b64url(`{"alg":"none","typ":"ringfence-permit+jwt"}`) + "." + strings.Split(own, ".")[1] + "."
	var tries []try
	for _, token := range []string{own, none} {
		raw, err := json.Marshal(map[string]string{"permit": token})
		if err != nil {
			return verdict{}, err
		}
		tries = append(tries, try{http.MethodPost, "/v1/permits/redeem", string(raw), nil}, try{http.MethodPost, "/v1/permits/redeem", string(raw), map[string]string{"Authorization": "Bearer " + token}})
	}
	return allRefused(ctx, s, tries...)
}

func outsidePasskey(ctx context.Context, s *stranger) (verdict, error) {
	u, err := url.Parse(s.origin)
	if err != nil {
		return verdict{}, err
	}
	key := passkeytest.New(s.origin)
	if err := registers(key, u.Hostname()); err != nil {
		return verdict{}, err
	}
	return denied(lab.NewStaff("Mallory", s.origin, key, nil).Login(ctx), "a passkey of nobody signed in"), nil
}

func outsideInvitation(ctx context.Context, s *stranger) (verdict, error) {
	return allRefused(ctx, s, try{http.MethodPost, "/v1/invite/begin", `{"token":"` + rand.Text() + rand.Text() + `"}`, nil},
		try{http.MethodPost, "/v1/invite/begin", `{"token":""}`, nil})
}

func outsideWrongDoor(ctx context.Context, s *stranger) (verdict, error) {
	var tries []try
	for _, path := range append([]string{"/login", "/board", "/calls", "/flows", "/reference", "/v1/openapi.json"}, staffOnly...) {
		tries = append(tries, try{http.MethodGet, path, "", nil})
	}
	return allRefused(ctx, s, append(tries, try{http.MethodPost, "/v1/login/begin", "{}", nil})...)
}

// closedTo judges that guesses at a step of the callers' page find nothing.
func closedTo(ctx context.Context, s *stranger, path string, tokens ...string) (verdict, error) {
	for _, token := range tokens {
		raw, err := json.Marshal(map[string]string{"token": token})
		if err != nil {
			return verdict{}, err
		}
		got, err := s.send(ctx, http.MethodPost, path, string(raw), nil)
		if err != nil {
			return verdict{}, err
		}
		var out struct{ Outcome string }
		_ = json.Unmarshal([]byte(got.body), &out) // a refusal is a problem
		if got.status >= 500 {
			return verdict{}, fmt.Errorf("%s is answered %d", path, got.status)
		}
		if !got.refused() && out.Outcome != "closed" {
			return through("a guess at %s is answered %q", path, out.Outcome), nil
		}
	}
	return stopped("%d guesses find nothing", len(tokens)), nil
}

func outsideLink(ctx context.Context, s *stranger) (verdict, error) {
	look, err := closedTo(ctx, s, "/l/look", rand.Text()+rand.Text(), strings.Repeat("A", 43), strings.Repeat("0", 64))
	if err != nil {
		return verdict{}, err
	}
	enrol, err := closedTo(ctx, s, "/enrol/look", rand.Text()+rand.Text())
	return worst(look, enrol), err
}

func outsideStop(ctx context.Context, s *stranger) (verdict, error) {
	id := ringfence.NewID[string](ringfence.PrefixRelease)
	return closedTo(ctx, s, "/stop", id+"."+strings.Repeat("0", 32), id+".", "."+strings.Repeat("0", 32), id+"."+rand.Text())
}

// outsideReference compares the answers to two references of nobody.
func outsideReference(ctx context.Context, s *stranger) (verdict, error) {
	var answers []seen
	for _, ref := range []string{"AAAA-2222", "ZZZZ-9999"} {
		got, err := s.send(ctx, http.MethodPost, "/call", url.Values{"ref": {ref}, "tail": {"0000"}}.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
		if err != nil {
			return verdict{}, err
		}
		got.body = strings.ReplaceAll(got.body, ref, "")
		answers = append(answers, got)
	}
	if a, b := answers[0], answers[1]; a.status != b.status || a.body != b.body {
		return through("two references of nobody are answered in two ways"), nil
	}
	return stopped("references of nobody are all answered alike (%d)", answers[0].status), nil
}
