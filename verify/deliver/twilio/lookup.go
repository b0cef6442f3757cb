package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	lookups "github.com/twilio/twilio-go/rest/lookups/v2"

	"github.com/ringfence/ringfence"
)

// source is how the signals name where they come from.
const source = "twilio lookup"

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
}

// Lookup asks what the network says about a number on file. It always returns
// the same three signals: sim_swap, diversion (call forwarding) and line_type
// (yes for a mobile or landline, no for everything that is not bound to a SIM
// or a place). What was not said, said with an error, or could not be asked is
// unknown; lookBack is how far back a SIM change counts (7 days; at least 72 h).
func (c *Client) Lookup(ctx context.Context, tn ringfence.TN, lookBack time.Duration, now time.Time) []ringfence.Signal {
	a, why := c.ask(ctx, tn)
	out := []ringfence.Signal{
		{Name: "sim_swap", Value: a.swapped(lookBack, now), Source: source, Detail: why, At: now},
		{Name: "diversion", Value: a.forwarded(), Source: source, Detail: why, At: now},
		{Name: "line_type", Source: source, Detail: why, At: now},
	}
	out[2].Value, out[2].Detail = a.line(why)
	return out
}

func (c *Client) ask(ctx context.Context, tn ringfence.TN) (answer, string) {
	to := "+" + string(tn)
	if !e164.MatchString(to) {
		return answer{}, "form"
	}
	one, handler, stop := c.begin(ctx)
	defer stop()
	// The plus is a plus in a path; nothing else of a number needs escaping.
	_, err := lookups.NewApiService(handler).FetchPhoneNumber(to, (&lookups.FetchPhoneNumberParams{}).SetFields("sim_swap,call_forwarding,line_type_intelligence"))
	if one.status != http.StatusOK {
		return answer{}, detail(one, err)
	}
	var a answer
	if err := json.Unmarshal(one.body, &a); err != nil || a.PhoneNumber == nil || *a.PhoneNumber != to {
		return answer{}, "unreadable"
	}
	return a, ""
}

func (a answer) swapped(lookBack time.Duration, now time.Time) ringfence.Tri {
	s := a.SimSwap
	if s == nil || s.ErrorCode != nil && *s.ErrorCode != 0 || s.Last == nil {
		return ringfence.Unknown
	}
	if d := s.Last.Date; d != nil && now.Sub(*d) < max(lookBack, 72*time.Hour) {
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
	case f == nil || f.ErrorCode != nil && *f.ErrorCode != 0 || f.Enabled == nil:
		return ringfence.Unknown
	case *f.Enabled:
		return ringfence.Yes
	default:
		return ringfence.No
	}
}

func (a answer) line(why string) (ringfence.Tri, string) {
	l := a.LineType
	if l == nil || l.ErrorCode != nil && *l.ErrorCode != 0 || l.Type == nil {
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
