// Package stircmd is `ringfence stir`: it verifies captured calls, signs,
// explains Identity headers and runs a lab's certificate authority. Each
// command is a struct with kong's tags and a Do method that writes its answer
// to out; it takes no part in calls.
//
// Do reports done = false when the answer is a refusal (exit 1), and an error
// when it could not do what was asked (exit 1) or was misused (Misuse, exit 2).
package stircmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
)

// Misuse is a command line that asks for the impossible. It says what to do.
type Misuse string

// Error is the sentence for the user.
func (m Misuse) Error() string { return string(m) }

// Verify checks an INVITE.
type Verify struct {
	Capture    string        `arg:"" optional:"" help:"A file with the INVITE: SIP text, pcap or pcapng (UDP, TCP; fragments are joined). - reads standard input."`
	Identity   []string      `sep:"none" help:"Identity header field value, in place of a capture; repeat for several."`
	From       string        `help:"From header field value or URI."`
	PAI        []string      `name:"pai" sep:"none" help:"P-Asserted-Identity header field value."`
	To         string        `help:"To header field value or URI."`
	RequestURI string        `name:"request-uri" help:"Request-URI; dest may match it with --called-uri."`
	Date       string        `help:"Date header field value."`
	Roots      string        `required:"" help:"PEM file of the trusted STI roots."`
	Cert       string        `help:"PEM file of the signer's certificate chain: nothing is fetched."`
	CRL        []string      `name:"crl" help:"Revocation list (DER); a certificate that no list covers is then refused."`
	CRLSigner  []string      `name:"crl-signer" help:"PEM file of a certificate that may sign revocation lists."`
	Now        string        `help:"Time of the check, RFC 3339; default: the packet's own time, else the present."`
	Freshness  time.Duration `default:"60s" help:"How old iat may be."`
	Country    string        `help:"Country code of numbers without one, e.g. 44."`
	Trunk      string        `help:"Prefix of national numbers, e.g. 0."`
	CalledURI  bool          `name:"called-uri" help:"Let dest match the Request-URI too."`
	Compact    bool          `help:"Accept compact and baseline PASSporTs, which attest nothing."`
	Lab        []string      `name:"lab-host" help:"host:port from which certificates may be fetched although it is not public, also by http. For labs only."`
	JSON       bool          `name:"json" help:"Answer in JSON, one object for each INVITE."`
}

// Do verifies every INVITE of the capture; done is false when one of them is
// not verified.
func (c *Verify) Do(ctx context.Context, out io.Writer) (done bool, err error) {
	invites, err := c.invites()
	if err != nil {
		return false, err
	}
	v, err := c.verifier()
	if err != nil {
		return false, err
	}
	defer v.Close()
	fixed, err := parseNow(c.Now)
	if err != nil {
		return false, err
	}
	done = true
	for i, one := range invites {
		now := fixed
		switch {
		case !now.IsZero():
		case !one.at.IsZero():
			now = one.at
		default:
			now = time.Now()
		}
		verdict := v.Verify(ctx, one.req, stirshaken.Peer{}, now)
		done = done && verdict.Verified()
		if c.JSON {
			if err := printJSON(out, verdictJSON(verdict)); err != nil {
				return false, err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		printVerdict(out, verdict, now)
	}
	return done, nil
}

func parseNow(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, Misuse("--now wants a time such as 2026-03-01T12:00:00Z")
	}
	return t, nil
}

func (c *Verify) invites() ([]invite, error) {
	if c.Capture == "" {
		if len(c.Identity) == 0 || c.From == "" && len(c.PAI) == 0 || c.To == "" {
			return nil, Misuse("name a capture, or give --identity, --from and --to")
		}
		return []invite{{req: stirshaken.Request{Identity: c.Identity, From: c.From, PAI: c.PAI, To: c.To, RequestURI: c.RequestURI, Date: c.Date}}}, nil
	}
	if len(c.Identity) > 0 {
		return nil, Misuse("give either a capture or --identity")
	}
	b, err := readBounded(c.Capture, maxCapture)
	if err != nil {
		return nil, err
	}
	all, err := readInvites(b)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no INVITE", c.Capture)
	}
	return all, nil
}

func (c *Verify) verifier() (*stirshaken.Verifier, error) {
	trust, err := stirshaken.LoadTrustList(c.Roots)
	if err != nil {
		return nil, err
	}
	conf := stirshaken.Config{Trust: trust, Home: stirshaken.Home{Country: c.Country, Trunk: c.Trunk}, Freshness: c.Freshness,
		AcceptBaseline: c.Compact, AcceptCompact: c.Compact,
		Fetch: stirshaken.FetchConfig{Off: c.Cert != "", LabCertificateHosts: c.Lab}}
	if c.CalledURI {
		conf.Called = stirshaken.CalledToOrRequestURI
	}
	if len(c.CRL) > 0 {
		conf.CRL = stirshaken.CRLHard
		if conf.CRLs, err = c.lists(trust); err != nil {
			return nil, err
		}
	}
	v, err := stirshaken.NewVerifier(conf)
	if err != nil || c.Cert == "" {
		return v, err
	}
	b, err := readBounded(c.Cert, stirshaken.MaxBundleBytes)
	if err != nil {
		return nil, err
	}
	if r := v.Preload("", b); r != nil {
		return nil, fmt.Errorf("%s: %s", c.Cert, r)
	}
	return v, nil
}

func (c *Verify) lists(trust *stirshaken.TrustList) (*stirshaken.CRLStore, error) {
	now, err := parseNow(c.Now)
	if err != nil {
		return nil, err
	}
	if now.IsZero() {
		now = time.Now()
	}
	signers := trust.Roots()
	for _, path := range append(append([]string{}, c.CRLSigner...), c.Cert) {
		if path == "" {
			continue
		}
		b, err := readBounded(path, stirshaken.MaxBundleBytes)
		if err != nil {
			return nil, err
		}
		more, r := stirshaken.ParseBundle(b)
		if r != nil {
			return nil, fmt.Errorf("%s: %s", path, r)
		}
		signers = append(signers, more...)
	}
	store := new(stirshaken.CRLStore)
	for _, path := range c.CRL {
		b, err := readBounded(path, stirshaken.MaxCRLBytes)
		if err != nil {
			return nil, err
		}
		list, r := stirshaken.ParseCRL(b, signers, now)
		if r != nil {
			return nil, fmt.Errorf("%s: %s", path, r)
		}
		store.Put(list)
	}
	return store, nil
}

// readBounded reads a file, or standard input for "-".
func readBounded(path string, most int64) ([]byte, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, most)
	}
	return b, nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// verdictJSON adds to a verdict what a program asks for first. Numbers are in
// full: who runs the command has the call.
func verdictJSON(v stirshaken.Verdict) any {
	diverted := []string{}
	for _, d := range v.Diverted {
		diverted = append(diverted, text(d))
	}
	return struct {
		Verified bool     `json:"verified"`
		Orig     string   `json:"orig,omitempty"`
		Dest     string   `json:"dest,omitempty"`
		Diverted []string `json:"diverted"`
		Sentence string   `json:"sentence"`
		Reasons  []string `json:"reason_headers,omitempty"`
		Verstat  string   `json:"verstat"`
		stirshaken.Verdict
	}{v.Verified(), text(v.Orig), text(v.Dest), diverted, v.Sentence(), v.ReasonHeaders(), v.Verstat(), v}
}

func text(p stirshaken.Party) string {
	if p.TN != "" {
		return "+" + string(p.TN)
	}
	return p.URI
}

func printVerdict(out io.Writer, v stirshaken.Verdict, now time.Time) {
	mark := "REFUSED"
	if v.Verified() {
		mark = "VERIFIED"
	}
	fmt.Fprintf(out, "%s  %s\n", mark, v.Sentence())
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-12s %s\n", name, value)
		}
	}
	line("caller", text(v.Orig))
	line("called", text(v.Dest))
	for _, d := range v.Diverted {
		line("diverted by", text(d))
	}
	line("attestation", string(v.Attest))
	if !v.Iat.IsZero() {
		line("signed", fmt.Sprintf("%s, %s before the check", v.Iat.UTC().Format(time.RFC3339), v.Age.Truncate(time.Second)))
	}
	line("checked", "as of "+now.UTC().Format(time.RFC3339))
	if c := v.Certificate; c != nil {
		line("certificate", c.Subject+", "+c.Scope)
		line("", "issued by "+c.Issuer+", valid to "+c.NotAfter.UTC().Format(time.DateOnly))
	}
	if v.RCD != nil {
		line("name", fmt.Sprintf("%q", v.RCD.Name))
		line("reason", fmt.Sprintf("%q", v.RCD.Reason))
	}
	if code, phrase := v.Response(); code != 0 {
		line("response", fmt.Sprintf("%d %s", code, phrase))
		line("cause", string(v.Reason)+detail(v.Detail))
	}
	for _, h := range v.Headers {
		line(fmt.Sprintf("header %d", h.Index+1), fmt.Sprintf("%s %s: %s%s", orDash(h.PPT), h.Status, h.Reason.Sentence(), detail(h.Detail)))
	}
}

func detail(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Sign makes an Identity header field.
type Sign struct {
	Key    string   `required:"" help:"PEM file of the P-256 private key."`
	Cert   string   `required:"" help:"PEM file of the certificate chain, leaf first."`
	X5U    string   `name:"x5u" required:"" help:"Where the chain can be fetched (https)."`
	Orig   string   `required:"" help:"Caller: a number, or a URI for div and rcd."`
	Dest   []string `required:"" help:"Called number or URI; repeat for several."`
	Attest string   `enum:"A,B,C," default:"" help:"Attestation: A, B or C. You answer for it."`
	OrigID string   `name:"origid" help:"UUID; default: a random one."`
	PPT    string   `name:"ppt" enum:"shaken,div,rcd" default:"shaken" help:"Type: shaken, div or rcd."`
	Div    string   `help:"Who diverted the call (div)."`
	Name   string   `help:"Caller's name (rcd)."`
	Reason string   `help:"Call reason (crn)."`
	Now    string   `help:"Time of the signature, RFC 3339; default: the present."`
	Lab    bool     `help:"Allow an x5u that only lab hosts serve (http, any port)."`
	JSON   bool     `name:"json" help:"Answer in JSON."`
}

// Do signs; done is false when the signer refuses.
func (c *Sign) Do(_ context.Context, out io.Writer) (done bool, err error) {
	now, err := parseNow(c.Now)
	if err != nil {
		return false, err
	}
	if now.IsZero() {
		now = time.Now()
	}
	s := new(stirshaken.Signer)
	load := s.LoadKey
	if c.Lab {
		load = s.LoadLabKey
	}
	if err := load(c.Key, c.Cert, c.X5U); err != nil {
		return false, err
	}
	req := stirshaken.SigningRequest{PPT: c.PPT, Orig: party(c.Orig), Attest: ringfence.Attest(c.Attest), OrigID: c.OrigID, Name: c.Name, CRN: c.Reason}
	for _, d := range c.Dest {
		req.Dest = append(req.Dest, party(d))
	}
	if c.Div != "" {
		req.Div = party(c.Div)
	}
	signed, refusal, err := s.Sign(req, now)
	if err != nil {
		return false, err
	}
	if refusal != "" {
		return false, fmt.Errorf("not signed: %s", string(refusal))
	}
	if c.JSON {
		return true, printJSON(out, map[string]any{"identity": signed.Identity, "origid": signed.OrigID, "iat": signed.Iat.Unix()})
	}
	_, err = fmt.Fprintf(out, "Identity: %s\n", signed.Identity)
	return true, err
}

// party reads a number as people write it, or a URI.
func party(s string) stirshaken.Party {
	if strings.Contains(s, ":") && !strings.HasPrefix(s, "tel:") {
		return stirshaken.Party{URI: s}
	}
	tn, _ := stirshaken.Home{}.Canonical(strings.TrimPrefix(s, "tel:"))
	return stirshaken.Party{TN: tn}
}

// Inspect explains an Identity header.
type Inspect struct {
	Header string `arg:"" help:"Identity header field value, with or without its name; @file or - reads it from a file or standard input."`
	Cert   string `help:"PEM file of the certificate chain, to be explained too."`
	Roots  string `help:"PEM file of trusted roots, to judge the chain by."`
	Now    string `help:"Time of the inspection, RFC 3339; default: the present."`
	JSON   bool   `name:"json" help:"Answer in JSON."`
}

// Do explains; done is false when something is wrong.
func (c *Inspect) Do(_ context.Context, out io.Writer) (done bool, err error) {
	now, err := parseNow(c.Now)
	if err != nil {
		return false, err
	}
	if now.IsZero() {
		now = time.Now()
	}
	value := c.Header
	if path, ok := strings.CutPrefix(value, "@"); ok || value == "-" {
		if !ok {
			path = "-"
		}
		b, err := readBounded(path, 1<<20)
		if err != nil {
			return false, err
		}
		value = strings.TrimRight(string(b), "\r\n")
	}
	if name, rest, ok := strings.Cut(value, ":"); ok && (strings.EqualFold(name, "identity") || strings.EqualFold(name, "y")) {
		value = rest
	}
	in := stirshaken.Inspect(value, now)
	if c.Cert != "" {
		b, err := readBounded(c.Cert, stirshaken.MaxBundleBytes)
		if err != nil {
			return false, err
		}
		var trust *stirshaken.TrustList
		if c.Roots != "" {
			if trust, err = stirshaken.LoadTrustList(c.Roots); err != nil {
				return false, err
			}
		}
		more, r := stirshaken.InspectCertificate(b, trust, now)
		in.Findings = append(in.Findings, more...)
		if in.Refusal == nil && r != nil {
			in.Refusal, in.Code = r, r.Reason.Code()
		}
	}
	done = in.Refusal == nil
	for _, f := range in.Findings {
		done = done && !f.Wrong
	}
	if c.JSON {
		return done, printJSON(out, in)
	}
	printInspection(out, in, done)
	return done, nil
}

func printInspection(out io.Writer, in stirshaken.Inspection, done bool) {
	part := ""
	for _, f := range in.Findings {
		if f.Part != part {
			part = f.Part
			fmt.Fprintf(out, "%s\n", part)
		}
		mark := " "
		if f.Wrong {
			mark = "✗"
		}
		line := fmt.Sprintf("  %s %-12s %s", mark, f.Name, f.Value)
		if f.Note != "" {
			line += "   — " + f.Note
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	switch {
	case in.Refusal != nil && in.Refusal.Reason == stirshaken.ReasonUnknownPPT:
		fmt.Fprintf(out, "\nA verifier ignores this header; a call with no other is treated as unsigned (%d %s).\n", in.Code, stirshaken.Phrase(in.Code))
	case in.Refusal != nil:
		fmt.Fprintf(out, "\nA verifier refuses this with %d %s: %s.\n", in.Code, stirshaken.Phrase(in.Code), in.Refusal)
	case !done:
		fmt.Fprintln(out, "\nThe form is right, but see the marked lines.")
	default:
		fmt.Fprintln(out, "\nThe form is right. Whether the signature is good, only a check with the certificate can tell: ringfence stir verify.")
	}
}
