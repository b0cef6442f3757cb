package b2bua

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// Emergency calls of our own phones (Kari's Law, RAY BAUM's Act; RFC 6881). They
// wait for no cap, no rate and no drain; where the phone says it is goes on with
// the call (RFC 6442).

// Bounds on a location.
const (
	maxParts         = 8
	maxLocationBytes = 16 << 10
	maxGeolocations  = 4
)

// urgent reports whether a call of user by trunk t is an emergency call: the
// trunk is one of our own phones, and the number is one of Emergency, whole.
func (c *Config) urgent(t *Trunk, user string) bool {
	if t == nil || !t.Phones {
		return false
	}
	user, _, _ = strings.Cut(user, ";")
	user = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -.()", r) {
			return -1
		}
		return r
	}, strings.TrimPrefix(user, "+"))
	return user != "" && slices.Contains(c.Emergency, user)
}

// userOfURI is the user part of a SIP URI.
func userOfURI(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return ""
	}
	return user
}

// location reads where a phone says that it is.
func location(req *sip.Request) *ringfence.Location {
	loc := &ringfence.Location{Geolocation: values(req, "Geolocation"), Routing: value(req, "Geolocation-Routing")}
	if len(loc.Geolocation) > maxGeolocations {
		loc.Geolocation = loc.Geolocation[:maxGeolocations]
	}
	for _, p := range bodyParts(value(req, "Content-Type"), req.Body()) {
		if mediaType(p.contentType) == "application/pidf+xml" && len(p.body) <= maxLocationBytes {
			loc.PIDFLO, loc.ContentID = p.body, p.id
		}
	}
	if len(loc.Geolocation) == 0 && loc.PIDFLO == nil {
		return nil
	}
	return loc
}

// part is one part of a body.
type part struct {
	contentType, id string
	body            []byte
}

// bodyParts takes a body apart (RFC 5621, section 3.1). One that is no multipart
// is its own only part; a broken one has none.
func bodyParts(contentType string, body []byte) []part {
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(t, "multipart/") {
		return []part{{contentType: contentType, body: body}}
	}
	if t != "multipart/mixed" || params["boundary"] == "" {
		return nil
	}
	var out []part
	for r := multipart.NewReader(bytes.NewReader(body), params["boundary"]); len(out) < maxParts; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			return nil
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			return nil
		}
		out = append(out, part{contentType: p.Header.Get("Content-Type"), id: p.Header.Get("Content-ID"), body: raw})
	}
	return nil
}

// described is the description in a body, alone or as the only one of its parts.
// ok is false when the body is of another sort.
func described(contentType string, body []byte) (sdp []byte, ok bool) {
	if len(body) == 0 {
		return nil, true
	}
	for _, p := range bodyParts(contentType, body) {
		if mediaType(p.contentType) != "application/sdp" {
			continue
		}
		if sdp != nil {
			return nil, false // two readings
		}
		sdp = p.body
	}
	return sdp, sdp != nil
}

// setLocation writes where the caller is into an INVITE that has a description.
func setLocation(req *sip.Request, loc *ringfence.Location) {
	for _, g := range loc.Geolocation {
		if !hasControl(g) && len(g) <= maxFieldBytes {
			req.AppendHeader(sip.NewHeader("Geolocation", g))
		}
	}
	if loc.Routing == "yes" || loc.Routing == "no" {
		req.AppendHeader(sip.NewHeader("Geolocation-Routing", loc.Routing))
	}
	if loc.PIDFLO == nil || req.Body() == nil {
		return
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	write := func(contentType, id string, body []byte) {
		h := textproto.MIMEHeader{"Content-Type": {contentType}}
		if id != "" && !hasControl(id) {
			h.Set("Content-ID", id)
		}
		p, _ := w.CreatePart(h) // a bytes.Buffer takes everything
		_, _ = p.Write(body)
	}
	write("application/sdp", "", req.Body())
	write("application/pidf+xml", loc.ContentID, loc.PIDFLO)
	_ = w.Close()
	req.RemoveHeader("Content-Type")
	req.AppendHeader(sip.NewHeader("Content-Type", "multipart/mixed;boundary="+w.Boundary()))
	req.SetBody(b.Bytes())
}
