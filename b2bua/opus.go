package b2bua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/sdp"
)

// opus is the codec's name where SDP is read, which folds case.
const opus = "OPUS"

// checkCodecs refuses names that are none, and Opus alone: nothing could be
// spoken into such a call.
func checkCodecs(names []string) error {
	speak := len(names) == 0
	for _, c := range names {
		known := codecs[c] != rtp.NoCodec
		if !known && c != "opus" {
			return fmt.Errorf("codec %q: use PCMU, PCMA, G722 or opus", c)
		}
		speak = speak || known
	}
	if !speak {
		return errors.New("codec opus alone: add PCMU, PCMA or G722, in which prompts and codes are spoken")
	}
	return nil
}

// codecs are the trunk's codecs as SDP names them.
func (t *Trunk) codecs() []string {
	out := make([]string, 0, len(t.Codecs))
	for _, c := range t.Codecs {
		out = append(out, strings.ToUpper(c))
	}
	return out
}

// withoutOpus takes Opus out of what a leg offers.
func (l *Leg) withoutOpus() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.local.Codecs = spoken(l.local.Codecs)
}

// spoken are the codecs in which we speak.
func spoken(codecs []string) []string {
	return slices.DeleteFunc(slices.Clone(codecs), func(c string) bool { return c == opus })
}

// hasOpus reports whether a leg agreed to Opus.
func (u *UA) hasOpus(id ringfence.LegID) bool {
	u.mu.Lock()
	l := u.legs[id]
	u.mu.Unlock()
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasMedia && l.agreed.Opus != 0
}

// speakable offers again without Opus where the far end's answer took Opus
// alone, into which nothing can be spoken. bad is why the answer was refused.
func (l *Leg) speakable(ctx context.Context, bad error) error {
	if !errors.Is(bad, sdp.ErrOpusAlone) {
		return bad
	}
	l.withoutOpus()
	l.mu.Lock()
	l.local.Version++ // nothing was agreed, yet the text changes
	l.mu.Unlock()
	return l.renegotiate(ctx)
}
