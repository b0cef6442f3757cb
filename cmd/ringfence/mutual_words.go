package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
)

// checkWords is what a line of the mutual check says in one language. Each text
// is recorded: scripts/audio/LANGUAGE/TEXTS.
type checkWords struct {
	language                           string
	reference, tail, none, others, bye string
	number, hour, minute, end          string // around the values of what was found
}

var checkTexts = []checkWords{{
	language:  "en",
	reference: "Please key the call reference. For a letter, press the key that bears it, once.",
	tail:      "Now key the last four digits of your number that rang.",
	number:    "This call was ours. We rang the number ending in",
	hour:      "The time was",
	minute:    "hours and",
	end:       "minutes.",
	others:    "Anyone who reached you on another call is not us.",
	none:      "We cannot confirm a call with these details. If somebody rang you in our name, hang up and call us on the number you have always used.",
	bye:       "Goodbye.",
}, {
	language:  "de",
	reference: "Bitte geben Sie die Anrufkennung ein. Für einen Buchstaben drücken Sie einmal die Taste, auf der er steht.",
	tail:      "Nun die letzten vier Ziffern Ihrer Nummer, die geklingelt hat.",
	number:    "Dieser Anruf kam von uns. Angerufen haben wir die Nummer mit den letzten Ziffern",
	hour:      "Die Uhrzeit war",
	minute:    "Uhr und",
	end:       "Minuten.",
	others:    "Wer Sie in einem anderen Anruf erreicht hat, ist nicht von uns.",
	none:      "Mit diesen Angaben können wir keinen Anruf bestätigen. Wenn jemand in unserem Namen angerufen hat, legen Sie auf und rufen Sie uns unter der Nummer an, die Sie immer benutzt haben.",
	bye:       "Auf Wiederhören.",
}}

// checkWordsOf are the words of a language's tag; English for one that we have not.
func checkWordsOf(tag string) checkWords {
	tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
	i := slices.IndexFunc(checkTexts, func(w checkWords) bool { return w.language == tag })
	return checkTexts[max(0, i)]
}

// ours says which number was rung and when.
func (w checkWords) ours(last string, at time.Time) []ringfence.SpeechPart {
	number := func(n int) ringfence.SpeechPart {
		return ringfence.SpeechPart{As: ringfence.SayNumber, Text: strconv.Itoa(n)}
	}
	return []ringfence.SpeechPart{{Text: w.number}, {As: ringfence.SayDigits, Text: last}, {Text: w.hour}, number(at.Hour()),
		{Text: w.minute}, number(at.Minute()), {Text: w.end}}
}

// about is a sentence of the flows in the words' language; "" where it has none.
func (w checkWords) about(b *flows.Bundle, source string) string {
	if w.language == "en" {
		return source
	}
	for _, p := range b.Phrases() {
		if p.Source == source && p.Language == w.language {
			return p.Text
		}
	}
	return ""
}
