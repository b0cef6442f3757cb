package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/web/problem"
)

// Bounds of a web session (NIST SP 800-63B, section 4.3.3, AAL3).
const (
	sessionIdle     = 15 * time.Minute
	sessionAbsolute = 12 * time.Hour
	// maxSessions is how many a person has at once; another ends the oldest.
	maxSessions = 10
	// touchEvery is how stale the stored time of the last use may be.
	touchEvery = time.Minute
)

// kindSession holds sessionRow; the id is the SHA-256 of the cookie's secret,
// so that whoever reads the store cannot sign in. Key: person.
const kindSession ledger.Kind = "web_session"

// sessionRow is a web session as it is stored.
type sessionRow struct {
	ID      string             `json:"id"`
	Person  ringfence.PersonID `json:"person"`
	Began   time.Time          `json:"began"`
	Used    time.Time          `json:"used"`
	Version int64              `json:"-"`
}

// until is when the session ends if it is not used again.
func (r sessionRow) until() time.Time {
	idle, end := r.Used.Add(sessionIdle), r.Began.Add(sessionAbsolute)
	if idle.Before(end) {
		return idle
	}
	return end
}

// cookieName is __Host- bound on https; browsers refuse that prefix on plain
// http, which only localhost uses.
func (s *Server) cookieName(r *http.Request) string {
	if s.secure(r) {
		return "__Host-ringfence"
	}
	return "ringfence"
}

// secure reports whether the reader's side of the connection is https.
func (s *Server) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(s.cfg.StaffURL, "https://") && r.Host == hostOf(s.cfg.StaffURL) ||
		strings.HasPrefix(s.cfg.PublicURL, "https://") && r.Host == hostOf(s.cfg.PublicURL)
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	host, _, _ = strings.Cut(host, "/")
	return host
}

// newSession stores a fresh session, ends the one whose cookie came with the
// request, and sets the cookie. The entry of the login is the ceremony's.
func (s *Server) newSession(w http.ResponseWriter, r *http.Request, tenant ringfence.TenantID, person ringfence.PersonID) error {
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	secret := base64.RawURLEncoding.EncodeToString(raw[:])
	err := s.cfg.Store.Update(r.Context(), tenant, func(tx ledger.Tx) error {
		if old, err := r.Cookie(s.cookieName(r)); err == nil {
			if err := endSession(r.Context(), tx, hashSecret(old.Value)); err != nil {
				return err
			}
		}
		if err := makeRoom(r.Context(), tx, person); err != nil {
			return err
		}
		row := sessionRow{ID: hashSecret(secret), Person: person, Began: tx.Now(), Used: tx.Now()}
		rec := ledger.Record{Kind: kindSession, ID: row.ID, Keys: map[string]string{"person": string(person)}, Sort: row.Began.UnixNano()}
		return ledger.Write(r.Context(), tx, &rec, row)
	})
	if err != nil {
		return err
	}
	s.left.ring(tenant) // whose session ended by it
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(r), Value: secret, Path: "/", HttpOnly: true,
		Secure: s.secure(r), SameSite: http.SameSiteLaxMode, MaxAge: int(sessionAbsolute / time.Second)})
	return nil
}

// makeRoom ends the oldest sessions of a person who has too many: forgotten ones,
// or somebody else's.
func makeRoom(ctx context.Context, tx ledger.Tx, person ringfence.PersonID) error {
	kept := 0
	for rec, err := range ledger.All(ctx, tx, kindSession, ledger.Query{Key: "person", Value: string(person), Desc: true}) {
		if err != nil {
			return err
		}
		if kept++; kept < maxSessions {
			continue
		}
		if err := endSession(ctx, tx, rec.ID); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes what nobody comes back for: sessions and begun signatures, logins
// and invitations whose time is long over. Strangers can begin logins.
func (s *Server) Sweep(ctx context.Context, tenant ringfence.TenantID) error {
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		now := tx.Now()
		for kind, before := range map[ledger.Kind]time.Time{kindSession: now.Add(-sessionAbsolute), kindSSO: now, passkey.KindCeremony: now,
			passkey.KindInvite: now.Add(-24 * time.Hour)} {
			rows, err := tx.List(ctx, kind, ledger.Query{To: before.UnixNano(), Limit: sweepPage})
			for i := 0; err == nil && i < len(rows); i++ {
				err = tx.Delete(ctx, kind, rows[i].ID, rows[i].Version)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepPage bounds what one sweep removes of a kind; the next goes on.
const sweepPage = 500

// endSession removes a session if it is there.
func endSession(ctx context.Context, tx ledger.Tx, id string) error {
	row, version, err := ledger.Read[sessionRow](ctx, tx, kindSession, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.Delete(ctx, kindSession, id, version); err != nil {
		return err
	}
	_, err = tx.Append(ctx, ledger.Entry{Event: "person.signed_out", Person: row.Person})
	return err
}

// authenticateSession finds the person of a session cookie.
func (s *Server) authenticateSession(w http.ResponseWriter, r *http.Request) (principal, error) {
	cookie, err := r.Cookie(s.cookieName(r))
	if err != nil {
		return principal{}, problem.New(problem.Unauthenticated, "")
	}
	p, err := s.sessionOf(r.Context(), s.tenantOf(r), hashSecret(cookie.Value))
	if err != nil {
		return principal{}, err
	}
	return p, s.touch(r, p)
}

// sessionOf reads a session and its person and judges both by the store's time.
func (s *Server) sessionOf(ctx context.Context, tenant ringfence.TenantID, id string) (principal, error) {
	p := principal{tenant: tenant}
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		if p.session, p.session.Version, err = ledger.Read[sessionRow](ctx, tx, kindSession, id); err != nil {
			return err
		}
		p.at = tx.Now()
		if !p.at.Before(p.session.until()) {
			return ledger.ErrNotFound
		}
		p.person, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(p.session.Person))
		return err
	})
	switch {
	case errors.Is(err, ledger.ErrNotFound), err == nil && p.person.Status != ringfence.StatusActive:
		return principal{}, problem.New(problem.Unauthenticated, "Your session has ended. Sign in again.")
	case err != nil:
		return principal{}, err
	}
	return p, nil
}

// touch notes that the session was used. What a page reads by itself, when
// something changes or again and again, does not keep a session alive: only what
// somebody opens or does.
func (s *Server) touch(r *http.Request, p principal) error {
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/") || p.at.Sub(p.session.Used) < touchEvery {
		return nil
	}
	err := s.cfg.Store.Update(r.Context(), p.tenant, func(tx ledger.Tx) error {
		row, version, err := ledger.Read[sessionRow](r.Context(), tx, kindSession, p.session.ID)
		if err != nil {
			return err
		}
		row.Used = tx.Now()
		rec := ledger.Record{Kind: kindSession, ID: row.ID, Version: version, Keys: map[string]string{"person": string(row.Person)}, Sort: row.Began.UnixNano()}
		return ledger.Write(r.Context(), tx, &rec, row)
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return problem.New(problem.Unauthenticated, "Your session has ended. Sign in again.")
	}
	return err
}

// hashSecret is how a random secret of at least 128 bits is stored.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
