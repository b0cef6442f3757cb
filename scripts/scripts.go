// Package scripts holds what a ringfence speaks and plays out of the box: the
// recordings in audio (one folder a language) and, beside them, the flow
// scripts, the policy, the translations and the flow tests that ops people
// edit. The files are built into the binary, so that the demo and a fresh
// configuration need nothing else. Where each recording comes from, and under
// which licence, stands in audio/SOURCES.
package scripts

import (
	"embed"
	"io/fs"
)

// FS holds the shipped files, as they lie in this folder.
//
//go:embed *.yaml prompts tests
//go:embed audio/SOURCES audio/*/INDEX audio/*/*.wav
var FS embed.FS

// Audio returns the recordings: a folder for each language, as voice.Open
// takes them.
func Audio() fs.FS {
	sub, err := fs.Sub(FS, "audio")
	if err != nil { // only for an invalid path, which "audio" is not
		panic("scripts: " + err.Error())
	}
	return sub
}
