// Command gen renders the shipped recordings: everything that the flow scripts
// say, cut into sentences around their {variables}, and everything that the
// grammar of a language needs for values. It runs flite for English and
// espeak-ng for German, brings each recording to 8 kHz, one loudness and
// trimmed ends, and writes it as G.711 µ-law.
//
// It renders only what is missing, removes what nothing says any more, and
// writes each language's INDEX and the common SOURCES. It runs on a
// developer's machine, never in CI: run scripts/audio/render.sh.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/ringfence/ringfence/b2bua/voice"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	root := flag.String("scripts", "scripts", "folder of the flow scripts; recordings go to its audio folder")
	again := flag.Bool("again", false, "render everything, not only what is missing")
	flag.Parse()
	if err := run(*root, *again); err != nil {
		log.Fatal(err)
	}
}

func run(root string, again bool) error {
	texts, err := readTexts(root)
	if err != nil {
		return err
	}
	audio := filepath.Join(root, "audio")
	for _, s := range speakers {
		if err := s.renderAll(audio, wanted(s.language, texts[s.language]), again); err != nil {
			return err
		}
	}
	return writeSources(audio)
}

// wanted lists the recordings of a language: its grammar's, then the texts'.
func wanted(language string, texts []string) []voice.Entry {
	var out []voice.Entry
	for _, it := range voice.Inventory(language) {
		out = append(out, voice.Entry{Kind: it.Kind, File: fileName(it.Kind, it.Text), Text: it.Text})
	}
	seen := make(map[string]bool)
	for _, t := range texts {
		for _, piece := range voice.Pieces(t) {
			if !seen[piece] {
				seen[piece] = true
				out = append(out, voice.Entry{Kind: voice.KindText, File: fileName(voice.KindText, piece), Text: piece})
			}
		}
	}
	return out
}

// renderAll brings the language's folder to what is wanted.
func (s *speaker) renderAll(audio string, want []voice.Entry, again bool) error {
	dir := filepath.Join(audio, s.language)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	keep := map[string]bool{voice.IndexFile: true, textsFile: true}
	var todo []voice.Entry
	for _, e := range want {
		keep[e.File] = true
		if _, err := os.Stat(filepath.Join(dir, e.File)); err != nil || again {
			todo = append(todo, e)
		}
	}
	if err := s.renderEach(dir, todo); err != nil {
		return err
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range have {
		if !keep[f.Name()] {
			log.Printf("%s/%s: nothing says it any more", s.language, f.Name())
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
	}
	log.Printf("%s: %d recordings, %d rendered", s.language, len(want), len(todo))
	return writeIndex(filepath.Join(dir, voice.IndexFile), want)
}

// renderEach renders with two workers and waits for both.
func (s *speaker) renderEach(dir string, todo []voice.Entry) error {
	jobs := make(chan voice.Entry)
	errs := make([]error, 2)
	var workers sync.WaitGroup
	for w := range errs {
		workers.Go(func() {
			for e := range jobs {
				if errs[w] == nil {
					errs[w] = s.render(dir, e)
				}
			}
		})
	}
	for _, e := range todo {
		jobs <- e
	}
	close(jobs)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *speaker) render(dir string, e voice.Entry) error {
	raw, err := s.run(e)
	if err != nil {
		return fmt.Errorf("%s %q: %w", e.Kind, e.Text, err)
	}
	clip, err := finish(raw)
	if err != nil {
		return fmt.Errorf("%s %q: %w", e.Kind, e.Text, err)
	}
	return os.WriteFile(filepath.Join(dir, e.File), voice.MuLawWAV(clip), 0o644)
}
