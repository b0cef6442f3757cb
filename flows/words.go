package flows

import (
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// The engine's own sentences. Ops cannot edit them: they stand here, in every
// language the engine speaks, and not in the scripts.
const (
	// warnCallback follows every reach on a leg that a flow's callback placed.
	warnCallback = "Only go on if you called us, and our recorded voice gave you the code. If a person told you the code, press star."
	// warnJob follows every reach of a job flow: the code came by our own page.
	warnJob = "Only go on if you asked for this yourself, and our own website or app shows you the code. If a person told you the code, press star."
	// freshDigits come last, chosen after the answer and spoken on this leg only.
	freshDigits = "Now key these two digits, {fresh}, and then the code."
	// notRight precedes the text of a line that is asked again.
	notRight = "That was not right."
	// nothingHeard precedes it when nothing was keyed.
	nothingHeard = "We did not hear any keys."
	// itIsFor precedes a proof for a given action.
	itIsFor = "This is to "
)

var germanWords = map[string]string{
	warnCallback: "Machen Sie nur weiter, wenn Sie uns angerufen haben und unsere Ansage Ihnen den Code genannt hat. Hat Ihnen ein Mensch den Code gesagt, drücken Sie die Sterntaste.",
	warnJob:      "Machen Sie nur weiter, wenn Sie dies selbst verlangt haben und unsere eigene Website oder App Ihnen den Code zeigt. Hat Ihnen ein Mensch den Code gesagt, drücken Sie die Sterntaste.",
	freshDigits:  "Tippen Sie nun diese zwei Ziffern, {fresh}, und danach den Code.",
	notRight:     "Das war nicht richtig.",
	nothingHeard: "Wir haben keine Tasten gehört.",
}

// EngineTexts lists the engine's own sentences in their source language, in a
// fixed order, so that recordings can be made of them.
func EngineTexts() []string {
	return []string{warnCallback, warnJob, freshDigits, notRight, nothingHeard}
}

// EngineText returns one of EngineTexts in a language; where the engine does
// not speak it, in English, with false.
func EngineText(source, language string) (string, bool) {
	switch base(language) {
	case "en":
		return source, true
	case "de":
		if t, ok := germanWords[source]; ok {
			return t, true
		}
	}
	return source, false
}

// base is the language of a tag without script and region.
func base(tag string) string {
	for i := range len(tag) {
		if tag[i] == '-' {
			return tag[:i]
		}
	}
	return tag
}

// givenFor is the sentence before a proof for a given action.
func givenFor(a *policy.Action) string { return itIsFor + a.Says + "." }

// engineSpeeches are the engine's sentences, built once: they never change.
var engineSpeeches = buildEngineSpeeches()

func buildEngineSpeeches() map[string]map[string]ringfence.Speech {
	out := map[string]map[string]ringfence.Speech{}
	for _, lang := range []string{"en", "de"} {
		out[lang] = map[string]ringfence.Speech{}
		for _, source := range EngineTexts() {
			said, _ := EngineText(source, lang)
			speech := ringfence.Speech{Language: lang, Source: source}
			before, after, coded := strings.Cut(said, PlaceFresh)
			speech.Parts = append(speech.Parts, ringfence.SpeechPart{Text: before})
			if coded {
				speech.Parts = append(speech.Parts, ringfence.SpeechPart{As: ringfence.SayDigits, Text: PlaceFresh, Secret: true},
					ringfence.SpeechPart{Text: after})
			}
			out[lang][source] = speech
		}
	}
	return out
}

// engineSpeech is one of the engine's sentences in the call's language.
func engineSpeech(source, language string) ringfence.Speech {
	if s, ok := engineSpeeches[base(language)][source]; ok {
		return s
	}
	return engineSpeeches["en"][source]
}
