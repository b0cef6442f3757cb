package flows

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringfence/ringfence/policy"
)

// Bundle is a compiled set of flows, policy and prompts. It never changes, so
// calls share it; its name is its hash.
type Bundle struct {
	pol   *policy.Policy
	flows map[string]*Flow
	order []*Flow
	files []File
	hash  [32]byte
	hex   string
	say   *prompts

	comparedOnce sync.Once // fills compared
	compared     map[string][]policy.Comparison
}

// File is one file of a bundle. Of audio only the hash is kept.
type File struct {
	Path string
	SHA  [32]byte
	Data []byte // nil for audio
}

// LoadDir reads policy.yaml, *.yaml, prompts/*.yaml and the names of audio.
// The bundle is nil when any diagnostic is an error.
func LoadDir(fsys fs.FS) (*Bundle, []Diagnostic) {
	d := &diags{}
	return load(readFiles(fsys, d), d)
}

// LoadFiles is LoadDir for files in memory, as an editor has them. They may
// come in any order; of audio only Path and SHA are looked at.
func LoadFiles(files []File) (*Bundle, []Diagnostic) {
	d := &diags{}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i, f := range files {
		switch {
		case isAudio(f.Path):
			files[i].Data = nil
		case isScript(f.Path) && f.Data != nil:
			files[i].SHA = sha256.Sum256(f.Data)
		default:
			d.add(Pos{f.Path, 1, 1}, "Y3", "", "the file has no place in a set of scripts")
		}
		if i > 0 && files[i-1].Path == f.Path {
			d.add(Pos{f.Path, 1, 1}, "Y3", "", "the file stands here twice")
		}
	}
	return load(files, d)
}

func load(files []File, d *diags) (*Bundle, []Diagnostic) {
	b := compile(files, d)
	list := d.sorted()
	if policy.Failed(list) {
		return nil, list
	}
	return b, list
}

// ReadBundle loads what Canonical wrote. Of audio only hashes come back.
func ReadBundle(canonical []byte) (*Bundle, []Diagnostic) {
	d := &diags{}
	files, err := unpack(canonical)
	if err != nil {
		d.add(Pos{"bundle", 1, 1}, "Y3", "", "%v", err)
		return nil, d.list
	}
	return load(files, d)
}

// Flow returns a flow by its name.
func (b *Bundle) Flow(name string) (*Flow, bool) {
	if b == nil {
		return nil, false
	}
	f, ok := b.flows[name]
	return f, ok
}

// Flows lists the flows by name.
func (b *Bundle) Flows() []*Flow { return slices.Clone(b.order) }

// Policy returns the policy the flows were compiled against.
func (b *Bundle) Policy() *policy.Policy { return b.pol }

// Recording returns the files under audio/ that prompts name for a source text
// in a language, in the order they are played; none means that the text is
// spoken otherwise.
func (b *Bundle) Recording(source, language string) []string {
	if one := b.say.byText[source][language]; one != nil {
		return slices.Clone(one.audio)
	}
	return nil
}

// Recordings lists the audio that prompts name, by path, each once: what a
// published bundle needs beside its bytes to be spoken.
func (b *Bundle) Recordings() []File {
	var out []File
	for _, f := range b.files {
		if f.Data == nil && slices.ContainsFunc(b.say.list, func(p *prompt) bool {
			return slices.Contains(p.audio, strings.TrimPrefix(f.Path, "audio/"))
		}) {
			out = append(out, f)
		}
	}
	return out
}

// Hash is the SHA-256 of Canonical.
func (b *Bundle) Hash() [32]byte { return b.hash }

// HashText is Hash in hexadecimal.
func (b *Bundle) HashText() string { return b.hex }

// Files lists what the bundle was read from, by path.
func (b *Bundle) Files() []File { return slices.Clone(b.files) }

const bundleMagic = "ringfence/bundle/v1\x00"

// Canonical returns the bytes that name the bundle: every file by path, with
// its length and its content, of audio the hash. It can be stored and read
// back by ReadBundle.
func (b *Bundle) Canonical() []byte { return canonical(b.files) }

func canonical(files []File) []byte {
	var out bytes.Buffer
	out.WriteString(bundleMagic)
	put := func(p []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		out.Write(n[:])
		out.Write(p)
	}
	for _, f := range files {
		put([]byte(f.Path))
		if f.Data == nil {
			put(f.SHA[:])
		} else {
			put(f.Data)
		}
	}
	return out.Bytes()
}

var errBundle = errors.New("these bytes are not a bundle")

func unpack(raw []byte) ([]File, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(bundleMagic))
	if !ok || len(raw) > 2*maxSetBytes {
		return nil, errBundle
	}
	next := func() ([]byte, bool) {
		if len(rest) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			return nil, false
		}
		out := rest[4 : 4+n : 4+n]
		rest = rest[4+n:]
		return out, true
	}
	var files []File
	last, scripts := "", 0
	for len(rest) > 0 {
		name, ok1 := next()
		data, ok2 := next()
		// One set of files has one canonical form: sorted, each once.
		if !ok1 || !ok2 || !fs.ValidPath(string(name)) || string(name) <= last {
			return nil, errBundle
		}
		last = string(name)
		if isAudio(last) {
			if len(data) != sha256.Size {
				return nil, errBundle
			}
			files = append(files, File{Path: last, SHA: [32]byte(data)})
			continue
		}
		if scripts++; scripts > maxFiles || !isScript(last) {
			return nil, errBundle
		}
		files = append(files, File{Path: last, SHA: sha256.Sum256(data), Data: data})
	}
	return files, nil
}

func isScript(name string) bool {
	dir, file := path.Split(name)
	return (dir == "" || dir == "prompts/") && path.Ext(file) == ".yaml"
}

func isAudio(name string) bool { return strings.HasPrefix(name, "audio/") && path.Ext(name) == ".wav" }

// readFiles reads what belongs to a bundle, in order of path, within bounds.
func readFiles(fsys fs.FS, d *diags) []File {
	var names []string
	for _, pattern := range []string{"*.yaml", "prompts/*.yaml", "audio/*/*.wav"} {
		found, err := fs.Glob(fsys, pattern)
		if err != nil {
			d.add(Pos{pattern, 1, 1}, "Y3", "", "cannot be read: %v", err)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	var out []File
	hashes := hashAudio(fsys, slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isAudio(name) }))
	flows, total := 0, 0
	for _, name := range names {
		if isAudio(name) {
			if h := hashes[name]; h.err != nil {
				d.add(Pos{name, 1, 1}, "Y3", "", "cannot be read: %v", h.err)
			} else {
				out = append(out, File{Path: name, SHA: h.sha})
			}
			continue
		}
		if flows++; flows > maxFiles {
			d.add(Pos{name, 1, 1}, "Y3", "", "there are more than %d files", maxFiles)
			break
		}
		f, err := readFile(fsys, name)
		if err != nil {
			d.add(Pos{name, 1, 1}, "Y3", "", "cannot be read: %v", err)
			continue
		}
		if total += len(f.Data); total > maxSetBytes {
			d.add(Pos{name, 1, 1}, "Y3", "", "the scripts are larger than %d MiB together", maxSetBytes>>20)
			break
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

type hashed struct {
	sha [32]byte
	err error
}

// hashedOnce keeps the hashes of files that are built in: they never change.
var hashedOnce sync.Map // builtInFile → hashed

type builtInFile struct {
	fsys embed.FS
	path string
}

// hashAudio reads recordings for their hashes, several at a time: they are most
// of the bytes of a set.
func hashAudio(fsys fs.FS, names []string) map[string]hashed {
	here, builtIn := fsys.(embed.FS)
	list := make([]hashed, len(names))
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		work.Go(func() {
			buf := make([]byte, 64<<10)
			for i := next.Add(1) - 1; int(i) < len(names); i = next.Add(1) - 1 {
				if known, ok := hashedOnce.Load(builtInFile{here, names[i]}); builtIn && ok {
					list[i] = known.(hashed)
					continue
				}
				list[i].sha, list[i].err = hashFile(fsys, names[i], buf)
				if builtIn {
					hashedOnce.Store(builtInFile{here, names[i]}, list[i])
				}
			}
		})
	}
	work.Wait()
	out := make(map[string]hashed, len(names))
	for i, name := range names {
		out[name] = list[i]
	}
	return out
}

func hashFile(fsys fs.FS, name string, buf []byte) (sha [32]byte, err error) {
	in, err := fsys.Open(name)
	if err != nil {
		return sha, err
	}
	defer in.Close()
	sum := sha256.New()
	_, err = io.CopyBuffer(sum, struct{ io.Reader }{in}, buf)
	return [32]byte(sum.Sum(nil)), err
}

func readFile(fsys fs.FS, name string) (File, error) {
	in, err := fsys.Open(name)
	if err != nil {
		return File{}, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if data == nil {
		data = []byte{}
	}
	return File{Path: name, SHA: sha256.Sum256(data), Data: data}, err
}

// compile builds the bundle. It is good only if d stays without errors.
func compile(files []File, d *diags) *Bundle {
	b := &Bundle{flows: map[string]*Flow{}, files: files}
	b.hash = sha256.Sum256(canonical(files))
	b.hex = hex.EncodeToString(b.hash[:])
	var flowFiles []File
	say := &prompts{byText: map[string]map[string]*prompt{}}
	for _, f := range files {
		switch {
		case f.Data == nil:
		case f.Path == "policy.yaml":
			var found []Diagnostic
			b.pol, found = policy.Load(f.Path, f.Data)
			for _, one := range found {
				d.put(one)
			}
		case strings.HasPrefix(f.Path, "prompts/"):
			say.read(f.Path, f.Data, d)
		default:
			flowFiles = append(flowFiles, f)
		}
	}
	if b.pol == nil {
		if !policy.Failed(d.list) {
			d.add(Pos{"policy.yaml", 1, 1}, "L9", "", "there is no policy.yaml")
		}
		return b
	}
	for _, file := range flowFiles {
		root := document(file.Path, file.Data, d)
		if root == nil {
			continue
		}
		f := parseFlow(file.Path, root, b.pol, d)
		if f.Name == "" {
			continue
		}
		if other := b.flows[f.Name]; other != nil {
			d.add(f.Pos, "L9", "give one of them another name", "%s defines a flow %s too", other.File, f.Name)
			continue
		}
		b.flows[f.Name] = f
		b.order = append(b.order, f)
	}
	slices.SortFunc(b.order, func(x, y *Flow) int { return strings.Compare(x.Name, y.Name) })
	(&linker{flows: b.flows, pol: b.pol, d: d}).link(b.order)
	say.recorded(files, d)
	b.speech(say, d)
	b.say = say
	return b
}

// speech compiles texts: translations, read-backs of given actions, and what
// never varies.
func (b *Bundle) speech(say *prompts, d *diags) {
	var sources []string
	for _, f := range b.order {
		for _, tag := range f.Translations {
			if !slices.ContainsFunc(say.list, func(o *prompt) bool { return o.lang == tag }) {
				d.add(f.heads[tag], "T1", "ringfence flow strings --lang "+tag+" writes prompts/"+tag+".yaml", "there are no texts in %s", tag)
			}
		}
		b.givenTexts(f)
		for _, t := range f.texts() {
			sources = append(sources, t.Source)
			say.translate(f, t, d)
			say.record(t, b.files, d)
			t.freeze()
		}
		f.wants = wantsOf(f)
	}
	say.stale(sources, d)
}

// givenTexts writes what confirm: given speaks, for every action.
func (b *Bundle) givenTexts(f *Flow) {
	if f.Subject != Given {
		return
	}
	f.givenTexts, f.givenFor = map[string]*Text{}, map[string]*Text{}
	quiet := &diags{}
	for _, a := range b.pol.Actions() {
		r := resolver{f, b.pol}
		f.givenTexts[a.Name] = r.text(f.Pos, readBack(a, a.Name), []string{PlaceYes}, quiet)
		f.givenFor[a.Name] = r.text(f.Pos, givenFor(a), nil, quiet)
	}
}

// texts lists every text the flow may speak, in the order of the file.
func (f *Flow) texts() []*Text {
	var out []*Text
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			if l.Text != nil && l.Verb != Alert {
				out = append(out, l.Text)
			}
		}
	}
	for _, m := range []map[string]*Text{f.givenTexts, f.givenFor} {
		for _, name := range keysOf(m) {
			out = append(out, m[name])
		}
	}
	return out
}

// wantsOf lists the record fields that texts and conditions of the flow read.
func wantsOf(f *Flow) []string {
	var out []string
	add := func(full string) {
		if owner, field, ok := strings.Cut(full, "."); ok && owner == string(f.Subject) && !slices.Contains(out, field) {
			out = append(out, field)
		}
	}
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			if l.Text != nil {
				for _, n := range l.Text.Names {
					add(n.Full)
				}
			}
			if l.Cond != nil {
				for _, n := range l.Cond.Names() {
					add(n)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
