package stirshaken

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Status is the outcome of a check. The empty value counts as failed.
type Status string

// The statuses.
const (
	StatusVerified Status = "verified" // a PASSporT is valid for this call
	StatusFailed   Status = "failed"   // a PASSporT is there and none is valid
	StatusNone     Status = "none"     // nothing to check
	// StatusIgnored is a header's only: it neither helped nor hurt.
	StatusIgnored Status = "ignored"
)

// Source says who made a verdict.
type Source string

// The sources.
const (
	SourceIdentity Source = "identity" // our own check of Identity header fields
	SourceVerstat  Source = "verstat"  // a trusted peer's word
)

// Shown says what the request shows as the caller's number.
type Shown string

// What can be shown. The empty value is unknown.
const (
	ShownYes        Shown = "yes"
	ShownWithheld   Shown = "withheld"   // anonymous, or Privacy asks for it
	ShownOurs       Shown = "ours"       // one of our own numbers, from outside
	ShownImpossible Shown = "impossible" // no such number can be
)

// HeaderVerdict is the outcome for one Identity header field.
type HeaderVerdict struct {
	Index       int              `json:"index"` // in the order received, from 0
	PPT         string           `json:"ppt,omitempty"`
	Status      Status           `json:"status"`
	Reason      Reason           `json:"reason"`
	Detail      string           `json:"detail,omitempty"`
	Attest      ringfence.Attest `json:"attest,omitempty"` // the claim; counts only when Status is verified
	OrigID      string           `json:"origid,omitempty"`
	Orig        Party            `json:"-"`
	Dest        []Party          `json:"-"`
	Div         Party            `json:"-"`
	Iat         time.Time        `json:"iat,omitzero"`
	Age         time.Duration    `json:"age_ns,omitempty"` // now minus iat; negative when made in the future
	Compact     bool             `json:"compact,omitempty"`
	Scope       string           `json:"scope,omitempty"` // which entry of the certificate covers the number
	Certificate *Certificate     `json:"certificate,omitempty"`
	// identifier is the compact form of the PASSporT, RFC 9410's ppi.
	identifier string
}

// Code is the SIP response code of a refusal, 0 for a verified header.
func (h HeaderVerdict) Code() int { return h.Reason.Code() }

// RichCallData is what a verified rcd claim shows of the caller (RFC 9795).
// It is text from outside: escape it wherever it is shown.
type RichCallData struct {
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"` // crn
}

// Verdict is the outcome for one request. The zero value attests nothing and
// reads as a failure of the check.
type Verdict struct {
	Status Status           `json:"status"`
	Source Source           `json:"source,omitempty"`
	Attest ringfence.Attest `json:"attest,omitempty"` // set only when Status is verified
	Reason Reason           `json:"reason"`
	Detail string           `json:"detail,omitempty"`
	Code   int              `json:"code"` // SIP response code of a refusal; 0 when verified
	OrigID string           `json:"origid,omitempty"`
	// Orig and Dest are whom the request shows, in canonical form, whether
	// signed or not; Verified says that a signature covers them.
	Orig  Party `json:"-"`
	Dest  Party `json:"-"`
	Shown Shown `json:"number_shown,omitempty"`
	// Diverted lists the parties that diverted the call on its way here, first
	// one first, each by a verified div PASSporT.
	Diverted    []Party         `json:"-"`
	Iat         time.Time       `json:"iat,omitzero"`
	Age         time.Duration   `json:"age_ns,omitempty"`
	Certificate *Certificate    `json:"certificate,omitempty"`
	RCD         *RichCallData   `json:"rcd,omitempty"`
	Conflict    bool            `json:"conflict,omitempty"` // valid shaken PASSporTs disagree; the lowest attestation stands
	Lab         bool            `json:"lab,omitempty"`      // a certificate came from a lab host
	Peer        string          `json:"peer,omitempty"`
	Headers     []HeaderVerdict `json:"headers,omitempty"`
}

// Verified reports whether a signature covers caller and called party.
func (v Verdict) Verified() bool { return v.Status == StatusVerified }

// Attested is the attestation as a flow sees it: A, B, C, none or failed.
func (v Verdict) Attested() string {
	switch v.Status {
	case StatusVerified:
		if v.Attest != ringfence.AttestNone {
			return string(v.Attest)
		}
		return "none"
	case StatusNone:
		return "none"
	default:
		return "failed"
	}
}

// Tri is the verdict as three values: Yes only for a verified full
// attestation; No when a check failed; Unknown for everything else, a partial
// or gateway attestation and our own inability among them.
func (v Verdict) Tri() ringfence.Tri {
	switch v.Status {
	case StatusVerified:
		if v.Attest == ringfence.AttestFull {
			return ringfence.Yes
		}
		return ringfence.Unknown
	case StatusNone:
		return ringfence.Unknown
	case StatusFailed:
		if v.Reason.Tri() == ringfence.No {
			return ringfence.No
		}
		return ringfence.Unknown
	default:
		return ringfence.Unknown
	}
}

// Signal is the verdict for a gate. It releases nothing alone.
func (v Verdict) Signal(now time.Time) ringfence.Signal {
	source := "stirshaken"
	if v.Source == SourceVerstat {
		source = "verstat"
		if v.Peer != "" {
			source += " from " + v.Peer
		}
	}
	return ringfence.Signal{Name: "attestation", Value: v.Tri(), Source: source, Detail: v.Sentence(), At: now}
}

// Diversion is the sign of a diversion as a Signal: Yes when a verified div
// PASSporT leads here. No signature can say that there was none.
func (v Verdict) Diversion(now time.Time) ringfence.Signal {
	s := ringfence.Signal{Name: "diversion", Value: ringfence.Unknown, Source: "stirshaken", At: now}
	if len(v.Diverted) > 0 {
		s.Value, s.Detail = ringfence.Yes, "diverted by "+v.Diverted[len(v.Diverted)-1].Masked()
	}
	return s
}

// Sentence is the verdict in plain English, with numbers masked.
func (v Verdict) Sentence() string {
	var b strings.Builder
	switch v.Status {
	case StatusVerified:
		v.verified(&b)
	case StatusNone:
		b.WriteString("Nobody vouches for the caller's number: " + v.Reason.Sentence())
	default:
		b.WriteString("The check of the caller's number failed: " + v.Reason.Sentence())
	}
	b.WriteByte('.')
	if len(v.Diverted) > 0 {
		fmt.Fprintf(&b, " The call was diverted by %s.", v.Diverted[len(v.Diverted)-1].Masked())
	}
	if v.Conflict {
		b.WriteString(" Valid signatures disagree, so the lowest attestation stands.")
	}
	if v.Lab {
		b.WriteString(" The certificate came from a lab host.")
	}
	return b.String()
}

func (v Verdict) verified(b *strings.Builder) {
	who := "The caller's network"
	if v.Certificate != nil && len(v.Certificate.SPC) > 0 {
		who += " (provider code " + v.Certificate.SPC[0] + ")"
	}
	if v.Source == SourceVerstat {
		who = "A trusted carrier"
		if v.Peer != "" {
			who += " (" + v.Peer + ")"
		}
	}
	number := v.Orig.Masked()
	if number == "" {
		number = "the number shown"
	}
	switch v.Attest {
	case ringfence.AttestFull:
		fmt.Fprintf(b, "%s vouches that its customer may use %s (attestation A); it does not say who is speaking", who, number)
	case ringfence.AttestPartial:
		fmt.Fprintf(b, "%s knows its customer but not whether it may use %s (attestation B)", who, number)
	case ringfence.AttestGateway:
		fmt.Fprintf(b, "%s only passed the call on and vouches for nothing about %s (attestation C)", who, number)
	default:
		fmt.Fprintf(b, "%s signed %s without an attestation", who, number)
	}
}

// ReasonHeaders gives the Reason header field values that go back to the
// caller's network when the call goes on in spite of a failure (RFC 9410):
// one with protocol STIR for each header that failed, with the PASSporT's
// identifier as ppi where it has one. There is none for a verified call, and
// none when there was nothing to check.
func (v Verdict) ReasonHeaders() []string {
	if v.Source == SourceVerstat {
		return nil
	}
	var out []string
	for _, h := range v.Headers {
		if h.Status != StatusFailed {
			continue
		}
		value := stirReason(h.Reason.Code())
		if h.identifier != "" {
			value += `;ppi="` + h.identifier + `"`
		}
		out = append(out, value)
	}
	if len(out) == 0 && v.Status == StatusFailed {
		out = append(out, stirReason(v.Reason.Code()))
	}
	return out
}

func stirReason(code int) string {
	return "STIR;cause=" + strconv.Itoa(code) + `;text="` + Phrase(code) + `"`
}

// SIPReason is the older form of the same, for networks that do not know
// protocol STIR (ATIS-1000074, section 5.3.2): one value, or "" when the call
// is verified.
func (v Verdict) SIPReason() string {
	code := v.refusalCode()
	if code == 0 {
		return ""
	}
	return "SIP;cause=" + strconv.Itoa(code) + `;text="` + Phrase(code) + `"`
}

// Response is the SIP response that refuses the call: 0 and "" when verified.
func (v Verdict) Response() (code int, phrase string) {
	code = v.refusalCode()
	return code, Phrase(code)
}

func (v Verdict) refusalCode() int {
	if v.Status == StatusVerified {
		return 0
	}
	if code := v.Reason.Code(); code != 0 {
		return code
	}
	return ReasonInternal.Code()
}

// Verstat is the verdict as a verstat parameter value (3GPP TS 24.229, section
// 7.2A.20): TN-Validation-Passed, TN-Validation-Failed or No-TN-Validation.
// A verified baseline PASSporT, which attests nothing, and a check that could
// not be made read as No-TN-Validation.
func (v Verdict) Verstat() string {
	switch v.Status {
	case StatusVerified:
		if v.Attest == ringfence.AttestNone {
			return verstatNone
		}
		return verstatPassed
	case StatusFailed:
		if v.Reason.Tri() == ringfence.No {
			return verstatFailed
		}
		return verstatNone
	default:
		return verstatNone
	}
}
