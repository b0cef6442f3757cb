package web

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// Whether a claimed customer exists is not told by what a console shows of their
// numbers (invariant 23).
func TestDecoysLookLikePeople(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	cookie := d.signIn(priya)
	nobody := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	for _, subject := range []ringfence.SubjectID{sub, nobody} {
		d.calls.change(trv, func(c *ringfence.LiveCall) { northwind(priya.ID)(c); c.Subject = subject })
		ask := func() contactPointsOut {
			w := d.ask(cookie, "GET", "/v1/contact-points?subject="+string(subject), nil)
			if w.Code != 200 {
				t.Fatalf("%s: %d %s", subject, w.Code, w.Body)
			}
			return contactPointsOut{Body: decode[struct {
				ContactPoints  []contactPointView  `json:"contact_points"`
				Authenticators []authenticatorView `json:"authenticators"`
			}](t, w)}
		}
		got, again := ask().Body, ask().Body
		if len(got.ContactPoints) != 1 || len(got.Authenticators) != 1 || got.ContactPoints[0] != again.ContactPoints[0] || got.Authenticators[0].Since != again.Authenticators[0].Since {
			t.Fatalf("%s: %+v, then %+v", subject, got, again)
		}
		p, a := got.ContactPoints[0], got.Authenticators[0]
		if !ringfence.ValidID(string(p.ID), ringfence.PrefixContactPoint) || !ringfence.ValidID(string(a.ID), ringfence.PrefixAuthenticator) || len([]rune(p.Masked)) != 3 ||
			p.Status != ringfence.StatusActive || time.Since(p.Since) < 60*24*time.Hour || time.Since(a.Since) < 60*24*time.Hour {
			t.Errorf("%s shows %+v and %+v", subject, p, a)
		}
		if w := d.ask(d.signIn(omar), "GET", "/v1/contact-points?subject="+string(subject), nil); w.Code != 404 {
			t.Errorf("%s: somebody without a call about them is answered %d", subject, w.Code)
		}
	}
}
