package voice

import (
	"fmt"
	"strings"

	"github.com/ringfence/ringfence"
)

// planValue plans a value by its type. A secret is always spelt sign by sign
// from recordings, whatever its type says.
func (v *Voice) planValue(p *plan, part ringfence.SpeechPart) error {
	if part.Secret {
		return v.planSecret(p, part)
	}
	if part.As == ringfence.SayName && (v.tts != nil || v.recorded(p.language, part.Text)) {
		return v.planText(p, part.Text)
	}
	if p.grammar == nil {
		if v.tts == nil {
			return fmt.Errorf("no grammar for language %q: %w", p.language, ErrUnspeakable)
		}
		p.steps = append(p.steps, step{unit: unit{pause: pausePiece}, say: plainly(part)})
		return nil
	}
	units, err := p.grammar.value(part)
	if err != nil {
		return err
	}
	p.add(units, false)
	return nil
}

func (v *Voice) planSecret(p *plan, part ringfence.SpeechPart) error {
	if p.grammar == nil {
		return fmt.Errorf("a secret part: no grammar for language %q", p.language)
	}
	units, err := p.grammar.signs(part)
	if err != nil {
		return fmt.Errorf("a secret part: %w", ErrUnspeakable)
	}
	p.add(units, true)
	return nil
}

func (p *plan) add(units []unit, secret bool) {
	for _, u := range units {
		p.steps = append(p.steps, step{unit: u, secret: secret})
	}
	last := &p.steps[len(p.steps)-1]
	last.pause = max(last.pause, pausePiece)
}

func (g *grammar) value(part ringfence.SpeechPart) (units []unit, err error) {
	switch part.As {
	case ringfence.SayNumber:
		units, err = g.sayNumber(part.Text)
	case ringfence.SayMoney:
		units, err = g.sayMoney(part.Text)
	case ringfence.SayDate:
		units, err = g.sayDate(part.Text)
	case ringfence.SayDigits, ringfence.SaySpell, ringfence.SayName:
		return g.signs(part)
	default:
		return nil, fmt.Errorf("say-as %q: %w", part.As, ErrUnspeakable)
	}
	if part.Slow {
		for i := range units {
			units[i].pause = max(units[i].pause, pauseGroup)
		}
	}
	return units, err
}

// signs spells a value, with a longer silence between groups of digits.
func (g *grammar) signs(part ringfence.SpeechPart) ([]unit, error) {
	pause := pauseDigit
	if part.Slow {
		pause = pauseSlow
	}
	units, err := g.spell(part.Text, pause)
	if err == nil && allDigits(part.Text) {
		groupDigits(units)
	}
	return units, err
}

// groupDigits lengthens the silence inside a long run of digits: six are
// heard as three and three, more in fours.
func groupDigits(units []unit) {
	size := 4
	switch {
	case len(units) < 6:
		return
	case len(units) == 6:
		size = 3
	}
	for i := size - 1; i < len(units); i += size {
		units[i].pause = max(units[i].pause, pauseGroup)
	}
}

// planSpelt spells text that nothing else can speak, using words that happen
// to be recorded. Signs that cannot be spelt are an error here too.
func (v *Voice) planSpelt(p *plan, text string) error {
	if p.grammar == nil {
		return fmt.Errorf("no recording and no grammar for language %q: %w", p.language, ErrUnspeakable)
	}
	for _, w := range strings.Fields(text) {
		word := strings.Trim(w, ".,;:!?'\"()“”‘’")
		if word == "" {
			continue
		}
		if v.lib.has(p.language, KindWord, word) {
			p.steps = append(p.steps, step{unit: unit{KindWord, word, pausePiece}})
			continue
		}
		units, err := p.grammar.spell(word, pauseDigit)
		if err != nil {
			return err
		}
		units[len(units)-1].pause = pauseGroup
		p.add(units, false)
	}
	return nil
}

// plainly writes a value for a TTS of a language whose grammar we lack.
func plainly(part ringfence.SpeechPart) string {
	switch part.As {
	case ringfence.SayDigits, ringfence.SaySpell:
		return strings.Join(strings.Split(part.Text, ""), " ")
	case ringfence.SayMoney:
		amount, currency, _ := strings.Cut(part.Text, " ")
		if e, ok := currencyExponent(currency); ok {
			return decimal(amount, e) + " " + currency
		}
	}
	return part.Text
}
