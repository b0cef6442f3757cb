package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
)

// speaker is one synthesiser speaking one language.
type speaker struct {
	language string
	program  string
	pkg      string // Debian package of the program and of the voice
	voice    string
	licence  string
	// args returns the arguments that make the program write file.
	args func(e voice.Entry, file string) []string
}

var speakers = []*speaker{
	{
		language: "en", program: "flite", pkg: "flite", voice: "slt (cmu_us_slt, built into the program)",
		licence: "Flite's own, BSD-like, Carnegie Mellon University 1999-2001 (/usr/share/doc/flite/copyright, \"All other files\"): " +
			"use, copying, modification and sale without fee, keeping the notice; the speech database is CMU ARCTIC (slt), free for any use",
		args: fliteArgs,
	},
	{
		language: "de", program: "espeak-ng", pkg: "espeak-ng-data", voice: "de",
		licence: "program and data GPL-3.0-or-later (/usr/share/doc/espeak-ng-data/copyright); it covers them, not what they speak: " +
			"the recordings are output, no part of the program",
		args: espeakArgs,
	},
}

// fliteArgs speaks single letters by their phones: flite reads "a" as the
// article. Digits and letters are a little slower than text.
func fliteArgs(e voice.Entry, file string) []string {
	args := []string{"-voice", "slt"}
	if e.Kind == voice.KindDigit || e.Kind == voice.KindLetter {
		args = append(args, "--setf", "duration_stretch=1.15")
	}
	if phones, ok := englishPhones[e.Text]; ok && e.Kind == voice.KindLetter {
		return append(args, "-p", "pau "+phones+" pau", "-o", file)
	}
	return append(args, "-t", spoken(e, englishSigns), "-o", file)
}

func espeakArgs(e voice.Entry, file string) []string {
	speed := "150"
	if e.Kind == voice.KindDigit || e.Kind == voice.KindLetter {
		speed = "125"
	}
	return []string{"-v", "de", "-s", speed, "-w", file, spoken(e, germanSigns)}
}

// spoken is what the program is told to say.
func spoken(e voice.Entry, signs map[string]string) string {
	if e.Kind == voice.KindLetter && signs[e.Text] != "" {
		return signs[e.Text]
	}
	if word := words[e.Text]; word != "" {
		return word
	}
	return e.Text
}

// words are values whose name in the policy is not what people call them.
var words = map[string]string{"totp": "authenticator app"}

var englishPhones = map[string]string{
	"a": "ey", "b": "b iy", "c": "s iy", "d": "d iy", "e": "iy", "f": "eh f", "g": "jh iy", "h": "ey ch",
	"i": "ay", "j": "jh ey", "k": "k ey", "l": "eh l", "m": "eh m", "n": "eh n", "o": "ow", "p": "p iy",
	"q": "k y uw", "r": "aa r", "s": "eh s", "t": "t iy", "u": "y uw", "v": "v iy",
	"w": "d ah b ax l y uw", "x": "eh k s", "y": "w ay", "z": "z eh d",
}

var englishSigns = map[string]string{
	"@": "at", ".": "dot", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", "&": "ampersand",
	"*": "star", "#": "hash",
}

var germanSigns = map[string]string{
	"ß": "Eszett", "@": "Ätt", ".": "Punkt", "-": "Bindestrich", "_": "Unterstrich", "+": "Plus",
	"/": "Schrägstrich", "&": "Und-Zeichen", "*": "Stern", "#": "Raute",
}

// run returns what the program says, at 8 kHz.
func (s *speaker) run(e voice.Entry) (ringfence.Clip, error) {
	dir, err := os.MkdirTemp("", "gen-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "out.wav")
	if out, err := exec.Command(s.program, s.args(e, file)...).CombinedOutput(); err != nil {
		return nil, errors.New(s.program + ": " + err.Error() + ": " + string(out))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pcm, rate, err := voice.DecodeWAV(b)
	if err != nil {
		return nil, err
	}
	return voice.Resample(foldSibilants(pcm, rate), rate), nil
}

// command is the program's command line as SOURCES shows it.
func (s *speaker) command(e voice.Entry) string {
	words := []string{s.program}
	for _, a := range s.args(e, "OUT") {
		if strings.ContainsAny(a, " '\"{}()?!*#&;\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
