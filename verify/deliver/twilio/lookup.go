package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	lookups "github.com/twilio/twilio-go/rest/lookups/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/signals"
)

// The packages of Lookup v2 that can be asked. Each is a request of its own, so
// that a slow carrier behind one delays no other.
const (
	PackageSimSwap    = "sim_swap"
	PackageForwarding = "call_forwarding"
	PackageLineType   = "line_type_intelligence"
	PackageIdentity   = "identity_match" // sends the person's name to Twilio
)

// Packages lists them.
var Packages = []string{PackageSimSwap, PackageForwarding, PackageLineType, PackageIdentity}

// answer is what we read of a Lookup answer. Every field is a pointer: the
// library's own types turn null into "no swap" and "not forwarded".
type answer struct {
	PhoneNumber *string `json:"phone_number"`
	SimSwap     *struct {
		ErrorCode *int `json:"error_code"`
		Last      *struct {
			Date     *time.Time `json:"last_sim_swap_date"`
			InPeriod *bool      `json:"swapped_in_period"`
		} `json:"last_sim_swap"`
	} `json:"sim_swap"`
	Forwarding *struct {
		ErrorCode *int  `json:"error_code"`
		Enabled   *bool `json:"call_forwarding_enabled"`
	} `json:"call_forwarding"`
	LineType *struct {
		ErrorCode *int    `json:"error_code"`
		Type      *string `json:"type"`
	} `json:"line_type_intelligence"`
	Identity *struct {
		ErrorCode *int    `json:"error_code"`
		First     *string `json:"first_name_match"`
		Last      *string `json:"last_name_match"`
	} `json:"identity_match"`
}

// Lookup is one package, as a source of signals.
type Lookup struct {
	c        *Client
	pkg      string
	lookBack time.Duration
	now      func() time.Time
}

// Lookup returns one package as a source. lookBack is how far back a SIM change
// counts (7 days in use; less than 72 h reads as 72 h).
func (c *Client) Lookup(pkg string, lookBack time.Duration, now func() time.Time) (*Lookup, error) {
	if !slices.Contains(Packages, pkg) {
		return nil, errors.New("twilio: lookup: want some of " + strings.Join(Packages, ", "))
	}
	return &Lookup{c: c, pkg: pkg, lookBack: max(lookBack, 72*time.Hour), now: now}, nil
}

// Name implements signals.Source.
func (l *Lookup) Name() string { return "twilio lookup " + l.pkg }

// Answers implements signals.Source.
func (l *Lookup) Answers(q signals.Question) []string {
	switch {
	case q.Number == "":
		return nil
	case l.pkg == PackageSimSwap && !q.Landline:
		return []string{signals.SimSwap}
	case l.pkg == PackageForwarding:
		return []string{signals.Diversion, signals.Forwarding}
	case l.pkg == PackageLineType:
		return []string{signals.LineType}
	case l.pkg == PackageIdentity && q.FirstName+q.LastName != "":
		return []string{signals.NumberMatch}
	default:
		return nil
	}
}

// Ask implements signals.Source. What was not said, said with an error, said
// about another number, or could not be asked is unknown.
func (l *Lookup) Ask(ctx context.Context, q signals.Question) []ringfence.Signal {
	a, why := l.fetch(ctx, q)
	now := l.now()
	var out []ringfence.Signal
	for _, name := range l.Answers(q) {
		s := ringfence.Signal{Name: name, Detail: why, At: now}
		switch name {
		case signals.SimSwap:
			s.Value = a.swapped(l.lookBack, now)
		case signals.Diversion, signals.Forwarding:
			s.Value = a.forwarded()
		case signals.LineType:
			s.Value, s.Detail = a.line(why)
		case signals.NumberMatch:
			s.Value = a.owner(q)
		}
		out = append(out, s)
	}
	return out
}

func (l *Lookup) fetch(ctx context.Context, q signals.Question) (answer, string) {
	to := "+" + string(q.Number)
	if !e164.MatchString(to) {
		return answer{}, "form"
	}
	p := (&lookups.FetchPhoneNumberParams{}).SetFields(l.pkg)
	if l.pkg == PackageIdentity {
		if q.FirstName != "" {
			p.SetFirstName(q.FirstName)
		}
		if q.LastName != "" {
			p.SetLastName(q.LastName)
		}
	}
	one, handler, stop := l.c.begin(ctx)
	defer stop()
	// The plus is a plus in a path; nothing else of a number needs escaping.
	_, err := lookups.NewApiService(handler).FetchPhoneNumber(to, p)
	if one.status != http.StatusOK {
		return answer{}, detail(one, err)
	}
	var a answer
	if err := json.Unmarshal(one.body, &a); err != nil || a.PhoneNumber == nil || *a.PhoneNumber != to {
		return answer{}, "unreadable"
	}
	return a, ""
}

// failed reports that Twilio said it could not find out.
func failed(code *int) bool { return code != nil && *code != 0 }

func (a answer) swapped(lookBack time.Duration, now time.Time) ringfence.Tri {
	s := a.SimSwap
	if s == nil || failed(s.ErrorCode) || s.Last == nil {
		return ringfence.Unknown
	}
	if d := s.Last.Date; d != nil && now.Sub(*d) < lookBack {
		return ringfence.Yes
	}
	if p := s.Last.InPeriod; p != nil && *p {
		return ringfence.Yes
	}
	if s.Last.Date == nil { // "not in the period" says nothing about ours
		return ringfence.Unknown
	}
	return ringfence.No
}

func (a answer) forwarded() ringfence.Tri {
	f := a.Forwarding
	switch {
	case f == nil || failed(f.ErrorCode) || f.Enabled == nil:
		return ringfence.Unknown
	case *f.Enabled:
		return ringfence.Yes
	default:
		return ringfence.No
	}
}

func (a answer) line(why string) (ringfence.Tri, string) {
	l := a.LineType
	if l == nil || failed(l.ErrorCode) || l.Type == nil {
		return ringfence.Unknown, why
	}
	switch *l.Type {
	case "mobile", "landline":
		return ringfence.Yes, *l.Type
	case "fixedVoip", "nonFixedVoip", "personal", "tollFree", "premium", "sharedCost", "uan", "voicemail", "pager":
		return ringfence.No, *l.Type
	default:
		return ringfence.Unknown, fmt.Sprintf("type %s", word(*l.Type))
	}
}

// owner compares the names that were sent: any that does not match is a no, and
// only full matches of all of them are a yes.
func (a answer) owner(q signals.Question) ringfence.Tri {
	i := a.Identity
	if i == nil || failed(i.ErrorCode) {
		return ringfence.Unknown
	}
	out := ringfence.Yes
	for _, m := range []struct {
		sent string
		said *string
	}{{q.FirstName, i.First}, {q.LastName, i.Last}} {
		switch {
		case m.sent == "":
		case m.said == nil:
			out = ringfence.JoinSignals(signals.NumberMatch, out, ringfence.Unknown)
		case *m.said == "no_match":
			out = ringfence.No
		case *m.said != "exact_match" && *m.said != "high_partial_match":
			out = ringfence.JoinSignals(signals.NumberMatch, out, ringfence.Unknown)
		}
	}
	return out
}
