package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/stirshaken"
)

// divWithin is how old a caller's PASSporT may be to travel on under a div of
// ours: the verifier behind us needs some of its minute.
const divWithin = 45 * time.Second

// newSignOn returns what signs the leg by which a caller's call goes on to an
// agent, nil without a signer. A call that came signed goes on with what it
// brought and a div from the number that was called (RFC 8946, section 4). Where
// that is too old to be checked again, or there was none, we say no more than
// that the call passed through us: a shaken PASSporT with attestation C. A
// number of ours gets no better: as the caller of a call to us it is a lie.
func newSignOn(signer *stirshaken.Signer, cfg config.STIR, log *slog.Logger) func(context.Context, runner.Onward) []string {
	if signer == nil {
		return nil
	}
	h := home(cfg.Home)
	return func(ctx context.Context, call runner.Onward) []string {
		now := time.Now()
		dest, ok := destination(h, call.To)
		if !ok || call.Orig == "" {
			return nil
		}
		req := stirshaken.SigningRequest{Orig: stirshaken.Party{TN: call.Orig}, Dest: []stirshaken.Party{dest}}
		var signed stirshaken.Signed
		var refusal stirshaken.SigningRefusal
		var err error
		called, isNumber := h.Canonical(call.Called)
		carried := call.Verified && isNumber && now.Sub(call.At) < divWithin
		if carried {
			req.PPT, req.Div = stirshaken.PPTDiv, stirshaken.Party{TN: called}
			signed, refusal, err = signer.Sign(req, now)
		} else {
			req.OrigID = cfg.Sign.OrigID
			signed, refusal, err = signer.SignFor(ctx, ringfence.DefaultTenant, false, req, now)
		}
		if err != nil || refusal != "" {
			log.Warn("agent's leg not signed", "why", string(refusal), "err", err)
			return nil
		}
		if carried {
			return append(append([]string(nil), call.Identity...), signed.Identity)
		}
		return []string{signed.Identity}
	}
}

// destination is the party of a place: its number, or its URI without what
// routes only.
func destination(h stirshaken.Home, place string) (stirshaken.Party, bool) {
	uri := strings.Trim(place, "<>")
	user, _, ok := strings.Cut(strings.TrimPrefix(uri, "sip:"), "@")
	if !ok || !strings.HasPrefix(uri, "sip:") {
		return stirshaken.Party{}, false
	}
	if tn, ok := h.Canonical(user); ok {
		return stirshaken.Party{TN: tn}, true
	}
	uri, _, _ = strings.Cut(uri, ";")
	return stirshaken.Party{URI: uri}, true
}
