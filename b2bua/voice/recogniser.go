package voice

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// Heard is one recording that was heard whole.
type Heard struct {
	Language string
	Kind     Kind
	Text     string        // as the library's index has it: "7", "a", "pounds", "Goodbye"
	Digit    byte          // '0' to '9' for a digit, else 0
	At       time.Duration // where it began, counted from the first sample
}

// Recogniser hears the recordings of a Library in received audio, in order. It
// is made for peers of tests and demonstrations, which must learn a spoken
// code the way a person does; it recognises no other voice.
//
// Each recording that Render lays down stands between silences, so every onset
// of sound may be the onset of one. Recordings are followed from there block
// by block, by normalised correlation, to their end; one block may be lost, and
// the rest shifted by a packet. If none fits, the first 200 ms are compared, at
// an eighth of the sampling rate, with the beginnings of all, wherever they
// fit. Transcoding between the laws of G.711 and a change of level do not
// matter.
//
// It is not safe for concurrent use.
type Recogniser struct {
	templates []*template

	buf    []int16 // received and not yet done with
	base   int     // samples received before buf[0]
	cursor int     // index into buf: all before it is done with
	quiet  int     // silent samples just before cursor

	onset      int // index into buf; -1 while none is being looked at
	searched   bool
	candidates []*candidate
}

// The grid of the search, in samples.
const (
	hearBlock    = Rate / 200       // 5 ms: sound is measured over this
	hearLevel    = 100              // RMS of silence at most: -50 dB
	hearQuiet    = Rate * 30 / 1000 // silence that parts two sounds
	hearWindow   = Rate / 5         // what is compared at an onset: 200 ms
	hearSlack    = Rate * 30 / 1000 // how far two onsets of one recording may differ
	hearDecimate = 8
)

// NewRecogniser reads all recordings of the languages, every language of the
// library when none is given.
func NewRecogniser(lib *Library, languages ...string) (*Recogniser, error) {
	if len(languages) == 0 {
		languages = lib.Languages()
	}
	r := &Recogniser{onset: -1, quiet: hearQuiet}
	for _, lang := range languages {
		if !lib.speaks(lang) {
			return nil, fmt.Errorf("recogniser: no recordings in %q", lang)
		}
		for _, e := range lib.Entries(lang) {
			clip, err := lib.clip(lang, e.Kind, e.Text)
			if err != nil {
				return nil, err
			}
			if t := newTemplate(lang, e, clip); t != nil {
				r.templates = append(r.templates, t)
			}
		}
	}
	return r, nil
}

// Write takes the next received samples, 8 kHz linear, any number of them, and
// returns what has been heard to its end since. pcm is not kept.
func (r *Recogniser) Write(pcm []int16) []Heard {
	r.buf = append(r.buf, pcm...)
	var out []Heard
	for {
		if r.onset < 0 && !r.findOnset() {
			break
		}
		if r.candidates == nil && r.searched && !r.search() {
			break
		}
		if r.candidates == nil {
			r.align()
		}
		heard, done := r.follow()
		if !done {
			break
		}
		if heard != nil {
			out = append(out, *heard)
		}
	}
	r.forget()
	return out
}

// Flush says that no more samples come and returns what was still open.
func (r *Recogniser) Flush() []Heard {
	out := r.Write(make([]int16, Rate))
	for r.onset >= 0 {
		out = append(out, r.Write(make([]int16, Rate))...)
	}
	return out
}

// findOnset moves the cursor to the next sound that follows silence.
func (r *Recogniser) findOnset() bool {
	at, quiet := nextOnset(r.buf, r.cursor, r.quiet)
	r.cursor, r.quiet = max(at, r.cursor), quiet
	if at < 0 {
		r.cursor = max(r.cursor, len(r.buf)-hearBlock+1)
		return false
	}
	r.onset = at
	return true
}

// nextOnset looks from a place on for hearBlock samples that sound and stand
// after hearQuiet of silence, quiet of which came before that place. It
// returns -1 when there are none, and the silence at the end.
func nextOnset(c []int16, from, quiet int) (at, quietAfter int) {
	if from+hearBlock > len(c) {
		return -1, quiet
	}
	e := energy(c[from : from+hearBlock])
	for at = from; ; at++ {
		switch {
		case e < hearBlock*hearLevel*hearLevel:
			quiet++
		case quiet >= hearQuiet:
			return at, 0
		default:
			quiet = 0
		}
		if at+hearBlock == len(c) {
			return -1, quiet
		}
		out, in := int(c[at]), int(c[at+hearBlock])
		e += in*in - out*out
	}
}

// align makes every recording a candidate, its onset laid on the one found:
// that is where it stands unless its beginning was damaged.
func (r *Recogniser) align() {
	r.candidates = make([]*candidate, len(r.templates))
	for i, t := range r.templates {
		r.candidates[i] = &candidate{template: t, start: r.onset - t.onset, reach: alignReach}
	}
}

// search makes candidates of the recordings that begin like the sound around
// the onset, wherever they fit.
func (r *Recogniser) search() bool {
	from, to := r.onset-hearSlack, r.onset+hearWindow+hearSlack+2*hearDecimate
	if to > len(r.buf) {
		return false
	}
	// Silence stands for what came before the first sample.
	segment := make([]int16, max(0, -from), to-from)
	segment = append(segment, r.buf[max(0, from):to]...)
	low := decimate(segment)
	sums := prefixEnergy(low)
	type likeness struct {
		*template
		peaks []peak
	}
	var alike []likeness
	for _, t := range r.templates {
		if p := t.peaks(low, sums); len(p) > 0 {
			alike = append(alike, likeness{t, p})
		}
	}
	slices.SortStableFunc(alike, func(a, b likeness) int { return cmp.Compare(b.peaks[0].score, a.peaks[0].score) })
	r.candidates = []*candidate{}
	for _, a := range alike[:min(len(alike), maxAlike)] {
		r.candidates = append(r.candidates, &candidate{
			template: a.template, start: r.onset - a.onset, reach: alignReach,
		})
		for _, p := range a.peaks {
			// Sample a.onset of the recording stands at from + lag.
			r.candidates = append(r.candidates, &candidate{
				template: a.template, start: from + p.lag*hearDecimate - max(0, a.onset), reach: searchReach,
			})
		}
	}
	return true
}

// follow moves every candidate on as far as samples reach. It is done when
// each has failed or ended; the one with most in its favour was heard.
func (r *Recogniser) follow() (*Heard, bool) {
	waiting := false
	alive := r.candidates[:0]
	for _, c := range r.candidates {
		if c.follow(r.buf) {
			alive = append(alive, c)
			waiting = waiting || !c.ended()
		}
	}
	r.candidates = alive
	if waiting {
		return nil, false
	}
	var best *candidate
	for _, c := range alive {
		if c.accepted() && (best == nil || c.favour > best.favour) {
			best = c
		}
	}
	if !r.searched && (best == nil || best.doubtful()) {
		r.searched, r.candidates = true, nil
		return nil, true
	}
	onset := r.onset
	r.onset, r.searched, r.candidates = -1, false, nil
	if best == nil {
		// Not one of ours: wait for the silence after it.
		r.cursor, r.quiet = onset+1, 0
		return nil, true
	}
	// What follows a recording needs no silence before it.
	r.cursor = min(len(r.buf), max(onset+1, best.start+best.shift+len(best.clip)))
	r.quiet = hearQuiet
	h := best.heard
	h.At = time.Duration(max(0, r.base+best.start)) * time.Second / Rate
	return &h, true
}

// forget drops samples that nothing looks at any more.
func (r *Recogniser) forget() {
	keep := r.cursor - hearSlack - Rate/10
	if r.onset >= 0 {
		keep = r.onset - hearSlack - Rate/10
	}
	if keep < Rate {
		return
	}
	n := copy(r.buf, r.buf[keep:])
	r.buf = r.buf[:n]
	r.base += keep
	r.cursor -= keep
	if r.onset >= 0 {
		r.onset -= keep
	}
	for _, c := range r.candidates {
		c.start -= keep
	}
}

// template is a recording made ready for comparison.
type template struct {
	heard  Heard
	clip   ringfence.Clip
	onset  int       // where findOnset would find it to begin
	low    []float32 // from the onset, decimated, at most hearWindow
	norm   float64   // energy of low
	blocks []int     // starts of the blocks that sound
}

func newTemplate(lang string, e Entry, clip ringfence.Clip) *template {
	t := &template{heard: Heard{Language: lang, Kind: e.Kind, Text: e.Text}, clip: clip}
	padded := append(make([]int16, hearBlock), clip...)
	if t.onset, _ = nextOnset(padded, 0, hearQuiet); t.onset < 0 {
		return nil // silence cannot be heard
	}
	t.onset -= hearBlock
	if e.Kind == KindDigit {
		t.heard.Digit = e.Text[0]
	}
	t.low = decimate(clip[max(0, t.onset):min(len(clip), t.onset+hearWindow)])
	for _, x := range t.low {
		t.norm += float64(x) * float64(x)
	}
	for i := 0; i+followBlock <= len(clip); i += followBlock {
		if energy(clip[i:i+followBlock]) >= followBlock*followLevel*followLevel {
			t.blocks = append(t.blocks, i)
		}
	}
	return t
}
