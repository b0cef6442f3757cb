package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

// permitForged has the executor present what no gate signed.
func permitForged(ctx context.Context, w *drillWorld) (verdict, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return verdict{}, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		return verdict{}, err
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{"iss": w.cfg.Ledger.Name, "aud": demoExecutor, "jti": ringfence.NewID[string]("prm"), "sub": ringfence.NewID[string]("rel"),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if err != nil {
		return verdict{}, err
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		return verdict{}, err
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		return verdict{}, err
	}
	_, err = w.bank.Redeem(ctx, lab.Permit{Token: token})
	return denied(err, "a permit that the gate never signed was redeemed"), nil
}

// noCredential asks as nobody, and as whoever guesses.
func noCredential(ctx context.Context, w *drillWorld) (verdict, error) {
	guess, err := randomHex()
	if err != nil {
		return verdict{}, err
	}
	thief, err := w.impostor(string(ringfence.DefaultTenant) + ".cli_" + guess[:26] + "." + guess)
	if err != nil {
		return verdict{}, err
	}
	_, guessed := thief.Ready(ctx)
	_, nobody := lab.NewStaff("Mallory", w.cfg.Web.Staff.URL, nil, nil).Calls(ctx)
	return worst(denied(guessed, "a guessed credential read the releases"), denied(nobody, "somebody who is not signed in read the calls")), nil
}

// invitationTwice has a thief come second to an invitation.
func invitationTwice(ctx context.Context, w *drillWorld) (verdict, error) {
	link, err := w.invite(ctx, ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: "Nina New", Email: "nina@drill.example",
		Roles: []ringfence.Role{ringfence.RoleAgent}})
	if err != nil {
		return verdict{}, err
	}
	own := lab.NewStaff("Nina New", w.cfg.Web.Staff.URL, passkeytest.New(w.cfg.Web.Staff.URL), nil)
	if err := own.Join(ctx, link); err != nil {
		return verdict{}, err
	}
	thief := lab.NewStaff("Mallory", w.cfg.Web.Staff.URL, passkeytest.New(w.cfg.Web.Staff.URL), nil)
	return denied(thief.Join(ctx, link), "a second passkey was made on one invitation"), nil
}

// invitationOwn has an administrator use the invitation that they made for a
// colleague, and have the passkey confirmed: by themselves, and by another on
// whom they press, who was not read the digits.
func invitationOwn(ctx context.Context, w *drillWorld) (verdict, error) {
	ghost := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: "Gus Ghost", Email: "gus@drill.example",
		Roles: []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk}}
	if err := w.addPerson(ctx, ghost); err != nil {
		return verdict{}, err
	}
	link, err := w.staff.grace.Invite(ctx, ghost.ID)
	if err != nil {
		return verdict{}, err
	}
	second := lab.NewStaff("Grace as Gus", w.cfg.Web.Staff.URL, passkeytest.New(w.cfg.Web.Staff.URL), nil)
	if err := second.Join(ctx, link); err != nil {
		return verdict{}, err
	}
	tries := []verdict{denied(second.Login(ctx), "a passkey that nobody confirmed signed in"),
		denied(w.staff.henry.Confirm(ctx, ghost.ID, otherDigits(second.Check)), "a passkey was confirmed by digits that it does not have")}
	if !w.cfg.SingleOperator { // which waives just this
		tries = append(tries, denied(w.staff.grace.Confirm(ctx, ghost.ID, second.Check), "whoever invited confirmed what they made"))
	}
	return worst(tries...), nil
}

// otherDigits are six that are not these.
func otherDigits(check string) string {
	if check == "000000" {
		return "000001"
	}
	return "000000"
}

// foreignPasskey signs in with a passkey that nobody bound.
func foreignPasskey(ctx context.Context, w *drillWorld) (verdict, error) {
	key := passkeytest.New(w.cfg.Web.Staff.URL)
	if err := registers(key, hostOf(w.cfg.Web.Staff.URL)); err != nil {
		return verdict{}, err
	}
	err := lab.NewStaff("Mallory", w.cfg.Web.Staff.URL, key, nil).Login(ctx)
	return denied(err, "a passkey of nobody signed in"), nil
}

// registers has a passkey made that nobody was asked for.
func registers(key *passkeytest.Authenticator, host string) error {
	options, err := json.Marshal(map[string]any{"challenge": "AAAAAAAAAAAAAAAAAAAAAA",
		"rp": map[string]any{"id": host, "name": "drill"}, "user": map[string]any{"id": "AAAA", "name": "m", "displayName": "m"},
		"pubKeyCredParams": []map[string]any{{"type": "public-key", "alg": -7}}})
	if err != nil {
		return err
	}
	_, err = key.Register(options)
	return err
}

// guessedLink tries links that nobody was sent.
func guessedLink(ctx context.Context, w *drillWorld) (verdict, error) {
	const tries = 5 // more are slowed down, which says nothing about the links
	for range tries {
		token, err := randomHex()
		if err != nil {
			return verdict{}, err
		}
		_, seen, err := lab.OpenPage(ctx, w.cfg.Web.Public.URL+"/l#"+token[:43])
		if _, refused := problemIn(err); err != nil && !refused {
			return verdict{}, err
		}
		if err == nil && seen.Outcome == "open" {
			return through("a guessed link is open"), nil
		}
	}
	return stopped("%d guessed links of 128 bits and more are answered as used ones are", tries), nil
}

// importAlone has one of the two persons who sign imports sign twice.
func importAlone(ctx context.Context, w *drillWorld) (verdict, error) {
	kinds := w.bundle.Policy().Kinds()
	if len(kinds) == 0 {
		return notApplicable("policy knows no kind of subject"), nil
	}
	in := gate.Import{Source: "drill"}
	if _, err := w.victim(ctx, kinds[0], 300, "number", &in); err != nil {
		return verdict{}, err
	}
	msg, err := gate.ImportMessage(ringfence.DefaultTenant, in)
	if err != nil {
		return verdict{}, err
	}
	sigs, err := w.signatures(ctx, "import", msg)
	if err != nil {
		return verdict{}, err
	}
	err = w.app.gate.Import(ctx, ringfence.DefaultTenant, in, sigs[0], sigs[0])
	switch {
	case err == nil:
		return through("one person put a number on file"), nil
	case errors.Is(err, gate.ErrForbidden):
		return stopped("two persons have to sign"), nil
	}
	return verdict{}, err
}
