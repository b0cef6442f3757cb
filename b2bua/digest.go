package b2bua

import (
	"context"
	"errors"
	"strings"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// errDigest refuses a digest challenge that is not of our trunk's realm.
var errDigest = errors.New("sip: digest challenge of another realm")

// challenge returns the first challenge of a 401 or 407 that is of the trunk's
// realm, which is the only one its password is given to, and that can be
// answered (RFC 8760, section 2.4: the first that is understood). Nil is none.
func (t *Trunk) challenge(res *sip.Response) *digest.Challenge {
	name := "WWW-Authenticate"
	if res.StatusCode == 407 {
		name = "Proxy-Authenticate"
	}
	for _, v := range values(res, name) {
		c, err := digest.ParseChallenge(v)
		if err != nil {
			continue
		}
		c.Algorithm = strings.ToUpper(c.Algorithm) // some write md5
		for i, q := range c.QOP {
			c.QOP[i] = strings.TrimSpace(q)
		}
		if c.SupportsQOP("auth") {
			c.QOP = []string{"auth"}
		}
		if t.Realm != "" && c.Realm == t.Realm && digest.CanDigest(c) {
			return c
		}
	}
	return nil
}

// answer makes the credentials for a challenge of the trunk's realm.
func (t *Trunk) answer(req *sip.Request, res *sip.Response) (sip.Header, error) {
	c := t.challenge(res)
	if c == nil || t.Password == "" {
		return nil, errDigest
	}
	credentials, err := digest.Digest(c, digest.Options{Method: string(req.Method), URI: req.Recipient.Addr(), Username: t.Username, Password: t.Password})
	if err != nil {
		return nil, errDigest
	}
	name := "Authorization"
	if res.StatusCode == 407 {
		name = "Proxy-Authorization"
	}
	return sip.NewHeader(name, credentials.String()), nil
}

// keep leaves only c of the challenges in res: the stack answers the first.
func keep(res *sip.Response, c *digest.Challenge) {
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for res.GetHeader(name) != nil {
			res.RemoveHeader(name)
		}
	}
	name := "WWW-Authenticate"
	if res.StatusCode == 407 {
		name = "Proxy-Authenticate"
	}
	res.AppendHeader(sip.NewHeader(name, c.String()))
}

// challenged reports whether res asks who we are.
func challenged(res *sip.Response) bool { return res.StatusCode == 401 || res.StatusCode == 407 }

// byeAgain sends a BYE with credentials when the one that ended with err was
// challenged for them: a far end that wants to know who hangs up goes on holding
// its line otherwise.
func (l *Leg) byeAgain(ctx context.Context, err error) {
	var refused sipgo.ErrDialogResponse
	if !errors.As(err, &refused) || !challenged(refused.Res) {
		return
	}
	bye := sip.NewRequest(sip.BYE, l.call.target())
	credentials, err := l.trunk.answer(bye, refused.Res)
	if err != nil {
		return
	}
	bye.AppendHeader(credentials)
	_, _ = l.call.do(ctx, bye)
}

// proven reports whether a request carries credentials.
func proven(req *sip.Request) bool {
	return req.GetHeader("Authorization") != nil || req.GetHeader("Proxy-Authorization") != nil
}

// asked sends a request inside a dialog and, when it is challenged for the trunk's
// realm, sends it again with credentials.
func (t *Trunk) asked(req *sip.Request, do func(*sip.Request) (*sip.Response, error)) (*sip.Response, error) {
	first := req.Clone()
	res, err := do(req)
	if err != nil || !challenged(res) || proven(first) {
		return res, err
	}
	credentials, err := t.answer(first, res)
	if err != nil {
		return res, nil // a refusal like any other
	}
	first.AppendHeader(credentials)
	return do(first)
}
