package main

import (
	"context"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
)

// Bounds of one call to a line of the mutual check.
const (
	checkRounds = 3 // times that somebody can key a reference
	checkLife   = 4 * time.Minute
	checkFirst  = 15 * time.Second // until the first key, after the line was spoken
	checkNext   = 8 * time.Second  // between keys
	checkLost   = time.Minute      // a line whose end is never told is over
	refKeys     = 8
	tailKeys    = 4
)

// isCheckLine reports whether a line is of the mutual check.
func (a *app) isCheckLine(name string) bool {
	l, ok := a.lineOf(name)
	return ok && l.Kind == config.LineMutualCheck
}

// mutualCheck leads a call to a line of the mutual check: whoever was rung keys
// reference and last four digits and hears whether that call was ours. Nothing
// else is ever said, and nothing about calls to us.
func (a *app) mutualCheck(ctx context.Context, leg runner.Leg, line runner.Line) {
	ctx, cancel := context.WithTimeout(ctx, checkLife)
	defer cancel()
	c := &checkCall{a: a, leg: leg, line: line, words: checkWordsOf(line.Language), source: "withheld"}
	caller := a.identity.Check(ctx, leg.Info(), time.Now())
	if caller.Orig != "" {
		c.source = string(caller.Orig)
	}
	if caller.Code != 0 {
		_ = leg.Refuse(ctx, caller.Code, "")
	} else if leg.Answer(ctx) == nil {
		leg.Cut(true) // what is keyed stands in no copy of the audio
		c.lead(ctx)
	}
	leg.Hangup(ringfence.EndHangup)
	for range leg.Events() {
	}
}

// checkCall is one call to a line of the mutual check.
type checkCall struct {
	a      *app
	leg    runner.Leg
	line   runner.Line
	words  checkWords
	source string // the caller's number, as the network gives it
}

// lead asks and answers until the caller leaves or had their rounds.
func (c *checkCall) lead(ctx context.Context) {
	for range checkRounds {
		ref, ok := c.ask(ctx, c.words.reference, refKeys)
		if !ok {
			break
		}
		tail, ok := c.ask(ctx, c.words.tail, tailKeys)
		if !ok {
			break
		}
		if !c.say(ctx, c.answer(ctx, ref, tail)...) {
			return
		}
	}
	c.say(ctx, fixed(c.words.bye))
}

// answer is what is said to who keyed these. Wrong, unknown, over, too many
// tries and a store that does not answer are one answer: none was found.
func (c *checkCall) answer(ctx context.Context, ref, tail string) [][]ringfence.SpeechPart {
	none := [][]ringfence.SpeechPart{fixed(c.words.none)}
	if len(ref) != refKeys || len(tail) != tailKeys || c.a.web.SpendCheck(c.line.Tenant, c.line.Name, c.source, ref) != nil {
		return none
	}
	got, err := c.a.runner.ConfirmKeyed(ctx, c.line.Tenant, ref, tail)
	if err != nil {
		c.a.log.Error("mutual check", "line", c.line.Name, "err", err)
	}
	if err != nil || !got.Ours {
		return none
	}
	out := [][]ringfence.SpeechPart{c.words.ours(tail[2:], got.At.In(c.line.Zone))}
	if about := c.about(got.Action); about != "" {
		out = append(out, fixed(about))
	}
	return append(out, fixed(c.words.others))
}

// about names the action of a call in the line's language, as flows do; empty
// where nobody wrote it.
func (c *checkCall) about(action string) string {
	b := c.a.shelf.Current(c.line.Tenant)
	if b == nil || action == "" {
		return ""
	}
	act, ok := b.Policy().Action(action)
	if !ok {
		return ""
	}
	return c.words.about(b, "This is to "+act.Says+".")
}

// ask speaks and collects keys: star begins anew, a caller who keys nothing or
// too few after all is done.
func (c *checkCall) ask(ctx context.Context, text string, want int) (string, bool) {
	clip, err := c.render(ctx, fixed(text))
	if err != nil {
		return "", false
	}
	playing := c.leg.Play(clip)
	wait := time.NewTimer(checkLost)
	defer wait.Stop()
	var keys strings.Builder
	for keys.Len() < want {
		select {
		case <-ctx.Done():
			return "", false
		case <-wait.C:
			return "", false
		case ev, ok := <-c.leg.Events():
			switch {
			case !ok || ev.Kind == ringfence.LegEnded:
				return "", false
			case ev.Kind == ringfence.LegPlayed && ev.Play == playing && keys.Len() == 0:
				wait.Reset(checkFirst)
			case ev.Kind == ringfence.LegDigit:
				c.leg.Stop()
				wait.Reset(checkNext)
				switch {
				case ev.Digit == '*':
					keys.Reset()
				case ev.Digit >= '0' && ev.Digit <= '9':
					keys.WriteByte(ev.Digit)
				}
			}
		}
	}
	return keys.String(), true
}

// say speaks lines to their end and reports whether the caller is still there.
func (c *checkCall) say(ctx context.Context, lines ...[]ringfence.SpeechPart) bool {
	for _, parts := range lines {
		clip, err := c.render(ctx, parts)
		if err != nil || !c.played(ctx, c.leg.Play(clip)) {
			return false
		}
	}
	return true
}

func (c *checkCall) played(ctx context.Context, playing uint64) bool {
	lost := time.NewTimer(checkLost)
	defer lost.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-lost.C:
			return false
		case ev, ok := <-c.leg.Events():
			if !ok || ev.Kind == ringfence.LegEnded {
				return false
			}
			if ev.Kind == ringfence.LegPlayed && ev.Play == playing {
				return true
			}
		}
	}
}

func (c *checkCall) render(ctx context.Context, parts []ringfence.SpeechPart) (ringfence.Clip, error) {
	clip, err := c.a.speech.Render(ctx, ringfence.Speech{Language: c.words.language, Parts: parts})
	if err != nil {
		c.a.log.Error("mutual check: a line cannot be spoken", "line", c.line.Name, "err", err)
	}
	return clip, err
}

func fixed(text string) []ringfence.SpeechPart { return []ringfence.SpeechPart{{Text: text}} }
