package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// decoys makes up what a console shows of a person who is not on file, so that
// an agent who types a made-up customer number is not told that nobody has it
// (invariant 23). The same person looks the same as long as the process lives.
type decoys struct {
	key   [32]byte
	began time.Time
}

func newDecoys() decoys {
	d := decoys{began: time.Now()}
	_, _ = rand.Read(d.key[:]) // never fails (crypto/rand)
	return d
}

// of returns the numbers and authenticators of a person who does not exist: a
// mobile number and a PIN, both long in use, as most people have.
func (d decoys) of(subject ringfence.SubjectID) ([]contactPointView, []authenticatorView) {
	mac := hmac.New(sha256.New, d.key[:])
	mac.Write([]byte(subject))
	sum := mac.Sum(nil)
	since := func(b []byte) time.Time {
		hours := 24*90 + binary.BigEndian.Uint32(b)%(24*1000)
		return d.began.Add(-time.Duration(hours)*time.Hour - time.Duration(b[3])*time.Second).UTC().Truncate(time.Second)
	}
	phone, pin := since(sum[0:4]), since(sum[4:8])
	return []contactPointView{{ID: ringfence.ContactPointID("cpt_" + crockford(sum[8:20])), Type: ringfence.ContactMobile,
			Masked: fmt.Sprintf("…%02d", sum[30]%100), Since: phone, Changed: phone, Verified: phone, Status: ringfence.StatusActive}},
		[]authenticatorView{{ID: ringfence.AuthenticatorID("aut_" + crockford(sum[16:28])), Type: ringfence.AuthPIN, Lane: "memory", Since: pin, Status: ringfence.StatusActive}}
}

// crockford writes 26 characters as they stand in an id.
func crockford(b []byte) string {
	sum := sha256.Sum256(b)
	out := make([]byte, 26)
	for i := range out {
		out[i] = "0123456789abcdefghjkmnpqrstvwxyz"[sum[i]%32]
	}
	return string(out)
}

// shownOf lists a subject's numbers, addresses and authenticators; made-up ones
// for somebody of a live call who is not on file.
func (s *Server) shownOf(ctx context.Context, p principal, subject ringfence.SubjectID) (points []contactPointView, auths []authenticatorView, err error) {
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		_, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(subject))
		if errors.Is(err, ledger.ErrNotFound) && s.isOnALine(p.tenant, subject) {
			points, auths = s.decoys.of(subject)
			return nil
		}
		if errors.Is(err, ledger.ErrNotFound) {
			return problem.New(problem.NotFound, "")
		}
		if err != nil {
			return err
		}
		if tx, err = p.fileOf(ctx, tx, subject); err != nil {
			return err
		}
		if points, err = contactPointsOf(ctx, tx, subject); err != nil {
			return err
		}
		auths, err = authenticatorsOf(ctx, tx, subject)
		return err
	})
	return points, auths, err
}

// isOnALine reports whether a live call is about the subject.
func (s *Server) isOnALine(tenant ringfence.TenantID, subject ringfence.SubjectID) bool {
	return slices.ContainsFunc(s.boards.at(tenant, time.Now()).calls, func(c *liveCall) bool { return c.Subject == subject })
}
