package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/web/problem"
)

// maxStirBody holds ten Identity values and some more.
const maxStirBody = 192 << 10

// oneOrMore is a JSON string or a list of strings.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// Schema implements huma.SchemaProvider.
func (oneOrMore) Schema(huma.Registry) *huma.Schema {
	text := func() *huma.Schema {
		longest := stirshaken.MaxIdentityBytes
		return &huma.Schema{Type: huma.TypeString, MaxLength: &longest}
	}
	least, most := 1, stirshaken.MaxIdentityHeaders
	return &huma.Schema{Description: "Identity header field values, in the order received", OneOf: []*huma.Schema{text(),
		{Type: huma.TypeArray, Items: text(), MinItems: &least, MaxItems: &most}}}
}

type (
	stirParty struct {
		TN  string `json:"tn,omitempty" maxLength:"64" doc:"number, as E.164"`
		URI string `json:"uri,omitempty" maxLength:"512"`
	}
	stirParties struct {
		TN  []string `json:"tn,omitempty" maxItems:"64"`
		URI []string `json:"uri,omitempty" maxItems:"64"`
	}
	verificationRequest struct {
		From     stirParty   `json:"from"`
		To       stirParties `json:"to" doc:"the first stands for To"`
		Time     int64       `json:"time" minimum:"0" maximum:"1099511627776" doc:"the Date header field, as seconds since 1970"`
		Identity oneOrMore   `json:"identity"`
	}
	stirVerifyIn struct {
		Body struct {
			Request verificationRequest `json:"verificationRequest"`
		}
	}
	stirVerdict struct {
		Verstat string           `json:"verstat" enum:"TN-Validation-Passed,TN-Validation-Failed,No-TN-Validation"`
		Attest  ringfence.Attest `json:"attest,omitempty"`
		OrigID  string           `json:"origid,omitempty"`
		Code    int              `json:"reasonCode,omitempty" doc:"the SIP status by which the call would be refused"`
		Text    string           `json:"reasonText,omitempty"`
		Desc    string           `json:"reasonDesc,omitempty"`
		Says    string           `json:"says" doc:"the verdict in a sentence; numbers are masked"`
	}
	stirVerifyOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Response stirVerdict `json:"verificationResponse"`
		}
	}
	signingRequest struct {
		Attest ringfence.Attest `json:"attest,omitempty" enum:"A,B,C" doc:"not with div"`
		Orig   stirParty        `json:"orig"`
		Dest   stirParties      `json:"dest"`
		Iat    int64            `json:"iat" minimum:"0" maximum:"1099511627776" doc:"seconds since 1970, within a minute of now"`
		OrigID string           `json:"origid,omitempty" maxLength:"36" doc:"a UUID; without one it is drawn"`
		Div    *stirParty       `json:"div,omitempty" doc:"who diverted the call: asks for a div PASSporT; must be a number of ours"`
	}
	stirSignIn struct {
		Body struct {
			Request signingRequest `json:"signingRequest"`
		}
	}
	signingResponse struct {
		Identity string `json:"identity"`
	}
	stirSignOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Response signingResponse `json:"signingResponse"`
		}
	}
)

// party reads one party; exactly one of its members stands.
func (p stirParty) party() (stirshaken.Party, bool) {
	switch {
	case (p.TN == "") == (p.URI == ""), strings.ContainsAny(p.URI, "<>\"\r\n\t "):
		return stirshaken.Party{}, false
	case p.URI != "":
		return stirshaken.Party{URI: p.URI}, true
	}
	tn, ok := stirshaken.Home{}.Canonical(p.TN)
	return stirshaken.Party{TN: tn}, ok
}

func (p stirParties) parties() (out []stirshaken.Party, ok bool) {
	for _, tn := range p.TN {
		one, ok := stirParty{TN: tn}.party()
		if !ok {
			return nil, false
		}
		out = append(out, one)
	}
	for _, uri := range p.URI {
		one, ok := stirParty{URI: uri}.party()
		if !ok {
			return nil, false
		}
		out = append(out, one)
	}
	return out, len(out) > 0 && len(out) <= stirshaken.MaxDestinations
}

func notStir(location string) error {
	p := problem.New(problem.Unprocessable, "A number is written as E.164; a URI has no blanks.")
	p.Errors = []problem.Field{{Location: "body." + location, Message: "not a number and not a URI"}}
	return p
}

// stirAPI is the verification and the authentication service in the shape of
// ATIS-1000082. A bad PASSporT is an answer; only what cannot be read, or must
// not be signed, is a problem.
func (s *Server) stirAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/stir/verify", Summary: "Check the STIR/SHAKEN signatures of a call"}, s.stirVerify)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/stir/sign", Summary: "Sign a call by STIR/SHAKEN",
		Description: "Attestation A only for numbers that are on file as ours; asking for more than is true is refused, not lowered."}, s.stirSign)
}

func (s *Server) stirVerify(ctx context.Context, in *stirVerifyIn) (*stirVerifyOut, error) {
	if s.cfg.Verifier == nil {
		return nil, problem.New(problem.Unavailable, "Signatures are not checked here.")
	}
	if err := s.stirs.spend(who(ctx).actor()); err != nil {
		return nil, err
	}
	r := in.Body.Request
	from, ok := r.From.party()
	if !ok {
		return nil, notStir("verificationRequest.from")
	}
	to, ok := r.To.parties()
	if !ok {
		return nil, notStir("verificationRequest.to")
	}
	v := s.cfg.Verifier.Verify(ctx, stirshaken.Request{Identity: r.Identity, From: "<" + stirURI(from) + ">", To: "<" + stirURI(to[0]) + ">",
		Date: time.Unix(r.Time, 0).UTC().Format(http.TimeFormat)}, stirshaken.Peer{}, time.Now())
	out := &stirVerifyOut{CacheControl: "no-store"}
	out.Body.Response = stirVerdict{Verstat: v.Verstat(), Attest: v.Attest, OrigID: v.OrigID, Says: v.Sentence()}
	if code, phrase := v.Response(); code != 0 {
		out.Body.Response.Code, out.Body.Response.Text, out.Body.Response.Desc = code, phrase, v.Reason.Sentence()
	}
	return out, nil
}

func stirURI(p stirshaken.Party) string {
	if p.TN != "" {
		return "tel:+" + string(p.TN)
	}
	return p.URI
}

func (s *Server) stirSign(ctx context.Context, in *stirSignIn) (*stirSignOut, error) {
	if s.cfg.Signer == nil {
		return nil, problem.New(problem.Unavailable, "There is no key to sign with.")
	}
	p := who(ctx)
	if err := s.stirs.spend(p.actor()); err != nil {
		return nil, err
	}
	r := in.Body.Request
	now := time.Now()
	req := stirshaken.SigningRequest{Attest: r.Attest, OrigID: r.OrigID, Iat: time.Unix(r.Iat, 0)}
	var ok bool
	if req.Orig, ok = r.Orig.party(); !ok {
		return nil, notStir("signingRequest.orig")
	}
	if req.Dest, ok = r.Dest.parties(); !ok {
		return nil, notStir("signingRequest.dest")
	}
	var signed stirshaken.Signed
	var refusal stirshaken.SigningRefusal
	var err error
	switch {
	case r.Div != nil:
		if req.Div, ok = r.Div.party(); !ok {
			return nil, notStir("signingRequest.div")
		}
		req.PPT, req.Attest = stirshaken.PPTDiv, ringfence.AttestNone
		if !s.cfg.Signer.Proven(ctx, p.tenant, req.Div.TN, now) {
			refusal = stirshaken.SignInventory
			break
		}
		signed, refusal, err = s.cfg.Signer.Sign(req, now)
	case r.Attest == ringfence.AttestNone:
		refusal = stirshaken.SignAttest
	default:
		// A service account is a customer that an administrator let in.
		signed, refusal, err = s.cfg.Signer.SignFor(ctx, p.tenant, true, req, now)
	}
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "signature asked for", "client", p.actor(), "orig", req.Orig.Masked(), "attest", string(r.Attest), "refused", string(refusal))
	if refusal != "" {
		return nil, problem.New(signingKind(refusal), "Not signed: "+string(refusal)+".")
	}
	out := &stirSignOut{CacheControl: "no-store"}
	out.Body.Response.Identity = signed.Identity
	return out, nil
}

// signingKind tells a malformed value from a signature that is not due.
func signingKind(r stirshaken.SigningRefusal) problem.Kind {
	switch r {
	case stirshaken.SignInventory, stirshaken.SignScope, stirshaken.SignClaims:
		return problem.Forbidden
	case stirshaken.SignNoKey, stirshaken.SignExpired:
		return problem.Unavailable
	default:
		return problem.Unprocessable
	}
}
