package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// SSO is a company's OpenID Connect provider. It only says who somebody is:
// whether they may sign in, and what they may do, stands here (invariant 20).
// It never makes a person, and what needs a passkey still needs it.
type SSO struct {
	// Issuer is the provider's https address; http on loopback only.
	Issuer   string
	ClientID string
	Secret   ringfence.Secret
}

// Check says what makes the provider unusable, or nil.
func (o SSO) Check() error {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("issuer %q is no address", o.Issuer)
	}
	local := u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1"
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && local):
		return errors.New("issuer: use https")
	case o.ClientID == "":
		return errors.New("client_id is missing")
	case len(o.Secret) == 0:
		return errors.New("client_secret is missing: register ringfence as a confidential client")
	}
	return nil
}

const (
	// kindSSO holds ssoTry by the SHA-256 of its state; kindSSOSubject which
	// account of the provider a person signs in with, by person.
	kindSSO        ledger.Kind = "sso_login"
	kindSSOSubject ledger.Kind = "sso_subject"

	ssoLife    = 10 * time.Minute
	ssoTimeout = 10 * time.Second
	maxSSOBody = 1 << 20
)

// ssoTry is one login on its way to the provider and back.
type ssoTry struct {
	Nonce    string           `json:"nonce"`
	Verifier ringfence.Secret `json:"verifier"` // RFC 7636
	Browser  string           `json:"browser"`  // SHA-256 of the cookie: the login ends in the browser it began in
	Until    time.Time        `json:"until"`
}

// ssoSubject pins a person to one account of the provider, so that an address
// that is given to somebody else opens nothing.
type ssoSubject struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
}

// sso is a provider in use. Its keys are fetched by the library.
type sso struct {
	SSO
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider // guarded by mu; nil until it was reached
}

func newSSO(o SSO) (*sso, error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("web: sso: %w", err)
	}
	return &sso{SSO: o, client: &http.Client{Timeout: ssoTimeout, Transport: boundedTransport{},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("sso: the provider answers with a redirect")
		}}}, nil
}

// boundedTransport cuts answers that no provider needs.
type boundedTransport struct{}

func (boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxSSOBody)
	}
	return resp, err
}

// reach returns the provider. Its document is fetched when it is first needed,
// and again after a failure: a provider that is down keeps nobody's passkey out.
func (o *sso) reach(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider != nil {
		return o.provider, nil
	}
	// The library fetches keys later with this context: it must outlive the request.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.client), o.Issuer)
	if err == nil {
		o.provider = p
	}
	return p, err
}

func (o *sso) oauth(p *oidc.Provider, back string) *oauth2.Config {
	return &oauth2.Config{ClientID: o.ClientID, ClientSecret: string([]byte(o.Secret)), Endpoint: p.Endpoint(),
		RedirectURL: back, Scopes: []string{oidc.ScopeOpenID, "email"}}
}

func (s *Server) ssoCookie(r *http.Request) string { return s.cookieName(r) + "-sso" }

// ssoBack is where the provider sends the browser.
func (s *Server) ssoBack(r *http.Request) string {
	if s.cfg.StaffURL != "" {
		return s.cfg.StaffURL + "/login/sso/back"
	}
	return "http://" + r.Host + "/login/sso/back"
}

// ssoBegin sends the browser to the provider with a state, a nonce and a PKCE
// challenge of this login only.
func (s *Server) ssoBegin(w http.ResponseWriter, r *http.Request) {
	if s.sso == nil {
		s.refuse(w, r, errNotFound)
		return
	}
	if err := s.guesses.spend(sourceOf(r)); err != nil {
		s.refuse(w, r, err)
		return
	}
	p, err := s.sso.reach(r.Context())
	if err != nil {
		s.ssoFailed(w, r, "the provider cannot be reached", err)
		return
	}
	state, browser, nonce := randomText(), randomText(), randomText()
	try := ssoTry{Nonce: nonce, Verifier: ringfence.Secret(oauth2.GenerateVerifier()), Browser: hashSecret(browser)}
	err = s.cfg.Store.Update(r.Context(), s.tenantOf(r), func(tx ledger.Tx) error {
		try.Until = tx.Now().Add(ssoLife)
		return ledger.Write(r.Context(), tx, &ledger.Record{Kind: kindSSO, ID: hashSecret(state), Sort: try.Until.UnixNano()}, try)
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: s.ssoCookie(r), Value: browser, Path: "/", HttpOnly: true, Secure: s.secure(r),
		SameSite: http.SameSiteLaxMode, MaxAge: int(ssoLife / time.Second)})
	http.Redirect(w, r, s.sso.oauth(p, s.ssoBack(r)).AuthCodeURL(state, oidc.Nonce(nonce),
		oauth2.S256ChallengeOption(string([]byte(try.Verifier)))), http.StatusSeeOther)
}

func randomText() string {
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic("web: no randomness: " + err.Error()) // no input can cause it
	}
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// ssoFinish takes the browser back. Whatever is wrong is told alike: that it
// did not work.
func (s *Server) ssoFinish(w http.ResponseWriter, r *http.Request) {
	if s.sso == nil {
		s.refuse(w, r, errNotFound)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: s.ssoCookie(r), Path: "/", HttpOnly: true, Secure: s.secure(r), MaxAge: -1})
	tenant := s.tenantOf(r)
	try, err := s.takeTry(r, tenant)
	if err != nil {
		s.ssoFailed(w, r, "no such login", err)
		return
	}
	id, err := s.sso.identity(r, try, s.ssoBack(r))
	if err != nil {
		s.ssoFailed(w, r, "not vouched for", err)
		return
	}
	person, err := s.ssoPerson(r.Context(), tenant, id)
	if err != nil {
		s.ssoFailed(w, r, "nobody here", err)
		return
	}
	if err := s.newSession(w, r, tenant, person); err != nil {
		s.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Server) ssoFailed(w http.ResponseWriter, r *http.Request, what string, err error) {
	s.log.WarnContext(r.Context(), "single sign-on refused", "why", what, "err", err)
	http.Redirect(w, r, "/login?sso=no", http.StatusSeeOther)
}

// takeTry spends the login of a state; it works once, in time, and in the
// browser that began it.
func (s *Server) takeTry(r *http.Request, tenant ringfence.TenantID) (ssoTry, error) {
	state := r.URL.Query()["state"]
	cookie, err := r.Cookie(s.ssoCookie(r))
	if err != nil || len(state) != 1 || len(state[0]) > 128 {
		return ssoTry{}, errors.New("no state, or another browser")
	}
	var try ssoTry
	good := false
	err = s.cfg.Store.Update(r.Context(), tenant, func(tx ledger.Tx) error {
		var version int64
		var err error
		if try, version, err = ledger.Read[ssoTry](r.Context(), tx, kindSSO, hashSecret(state[0])); err != nil {
			return err
		}
		good = tx.Now().Before(try.Until) && subtle.ConstantTimeCompare([]byte(try.Browser), []byte(hashSecret(cookie.Value))) == 1
		return tx.Delete(r.Context(), kindSSO, hashSecret(state[0]), version)
	})
	if err == nil && !good {
		err = errors.New("too late, or another browser")
	}
	return try, err
}

// ssoIdentity is what the provider says of who signed in.
type ssoIdentity struct{ issuer, subject, email string }

// identity fetches and checks the ID token: signature, issuer, audience and
// time by the library, the nonce here.
func (o *sso) identity(r *http.Request, try ssoTry, back string) (ssoIdentity, error) {
	q := r.URL.Query()
	if len(q["code"]) != 1 || q.Has("error") {
		return ssoIdentity{}, errors.New("the provider gave no code")
	}
	ctx, cancel := context.WithTimeout(r.Context(), ssoTimeout)
	defer cancel()
	p, err := o.reach(ctx)
	if err != nil {
		return ssoIdentity{}, err
	}
	token, err := o.oauth(p, back).Exchange(oidc.ClientContext(ctx, o.client), q.Get("code"), oauth2.VerifierOption(string([]byte(try.Verifier))))
	if err != nil {
		return ssoIdentity{}, errors.New("the code was not taken") // the answer of a stranger stays out of the log
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: o.ClientID}).Verify(oidc.ClientContext(ctx, o.client), raw)
	if err != nil {
		return ssoIdentity{}, errors.New("the ID token does not verify")
	}
	var claims struct {
		Email    string  `json:"email"`
		Verified bool    `json:"email_verified"`
		Party    *string `json:"azp"`
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(try.Nonce)) != 1:
		return ssoIdentity{}, errors.New("the nonce is another login's")
	case id.Claims(&claims) != nil || !claims.Verified || claims.Email == "" || id.Subject == "":
		return ssoIdentity{}, errors.New("the provider vouches for no address")
	case len(id.Audience) != 1 || claims.Party != nil && *claims.Party != o.ClientID: // OpenID Connect Core 1.0, section 3.1.3.7, steps 3 to 5
		return ssoIdentity{}, errors.New("the ID token is for others as well")
	}
	return ssoIdentity{id.Issuer, id.Subject, claims.Email}, nil
}

// ssoPerson finds the one active person of an address, and pins them to the
// account of the provider that they first came with.
func (s *Server) ssoPerson(ctx context.Context, tenant ringfence.TenantID, who ssoIdentity) (ringfence.PersonID, error) {
	var found ringfence.PersonID
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		recs, err := tx.List(ctx, ledger.KindPerson, ledger.Query{Key: "email", Value: who.email, Limit: 2})
		if err != nil {
			return err
		}
		if len(recs) != 1 {
			return ledger.ErrNotFound
		}
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, recs[0].ID)
		if err != nil {
			return err
		}
		if p.Status != ringfence.StatusActive || p.Email != who.email {
			return ledger.ErrNotFound
		}
		pin, _, err := ledger.Read[ssoSubject](ctx, tx, kindSSOSubject, string(p.ID))
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			row := ssoSubject{Issuer: who.issuer, Subject: who.subject, Since: tx.Now()}
			if err := ledger.Write(ctx, tx, &ledger.Record{Kind: kindSSOSubject, ID: string(p.ID)}, row); err != nil {
				return err
			}
		case err != nil:
			return err
		case pin.Issuer != who.issuer || pin.Subject != who.subject:
			return errors.New("another account of the provider came with this address")
		}
		found = p.ID
		_, err = tx.Append(ctx, ledger.Entry{Event: "person.signed_in", Person: p.ID, Data: map[string]string{"by": "oidc", "issuer": who.issuer}})
		return err
	})
	return found, err
}
