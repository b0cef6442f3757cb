package web

import (
	"context"
	"encoding/hex"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

var (
	flowPath  = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,62}|prompts/[a-z]{2,3}(-[A-Za-z0-9]{2,8})?|tests/[a-z0-9][a-z0-9_-]{0,62})\.yaml$`)
	audioPath = regexp.MustCompile(`^audio/[a-z]{2,3}(-[A-Za-z0-9]{2,8})?/[a-z0-9][a-z0-9_-]{0,62}\.wav$`)
)

// flowChange is what somebody changed of a set of files.
type flowChange struct {
	Files map[string]string `json:"files,omitempty" doc:"whole text of each changed file, by path: x.yaml, prompts/de.yaml, tests/x.yaml"`
	Gone  []string          `json:"gone,omitempty" maxItems:"200" doc:"paths taken out"`
}

// check bounds a change before anything is made of it.
func (c flowChange) check() error {
	total := 0
	for path, text := range c.Files {
		if !flowPath.MatchString(path) {
			return problem.New(problem.Unprocessable, "A file has a name that flows cannot have: small letters, digits, - and _, then .yaml; translations under prompts/, tests under tests/.")
		}
		if len(text) > maxFlowFile {
			return problem.New(problem.TooLarge, path+" is larger than 160 KiB. Split it.")
		}
		total += len(text)
	}
	for _, path := range c.Gone {
		if !flowPath.MatchString(path) && !audioPath.MatchString(path) {
			return problem.New(problem.Unprocessable, "A file to take out has a name that flows cannot have.")
		}
	}
	if total > maxFlowSet || len(c.Files)+len(c.Gone) > maxFlowFiles {
		return problem.New(problem.TooLarge, "That is too much for one draft: at most 1 MiB in 200 changed files.")
	}
	return nil
}

// over lays the change over an earlier one.
func (c flowChange) over(old flowChange) flowChange {
	out := flowChange{Files: maps.Clone(old.Files), Gone: slices.Clone(old.Gone)}
	if out.Files == nil {
		out.Files = map[string]string{}
	}
	maps.Copy(out.Files, c.Files)
	out.Gone = append(out.Gone, c.Gone...)
	slices.Sort(out.Gone)
	out.Gone = slices.DeleteFunc(slices.Compact(out.Gone), func(path string) bool { _, again := c.Files[path]; return again })
	for _, path := range c.Gone {
		delete(out.Files, path)
	}
	return out
}

// flowSetIn names a set of files: what is in force, a bundle that was, one that
// is asked for, or a draft of one's own, with what is not saved yet.
type flowSetIn struct {
	Draft  string     `json:"draft,omitempty" maxLength:"40"`
	Bundle string     `json:"bundle,omitempty" pattern:"^[0-9a-f]{64}$" doc:"neither: what is in force"`
	Change flowChange `json:"change,omitzero" doc:"on top, not saved"`
}

// flowSet is a set of files as the tools take it: scripts, prompts and the
// hashes of audio, and beside them the tests.
type flowSet struct {
	base  *flows.Bundle
	files []flows.File
	tests []flows.File
}

// set puts together what a request names.
func (s *Server) set(ctx context.Context, in flowSetIn) (flowSet, error) {
	p := who(ctx)
	if s.cfg.Bundles == nil {
		return flowSet{}, errNoBundles
	}
	if err := in.Change.check(); err != nil {
		return flowSet{}, err
	}
	switch {
	case in.Draft != "" && in.Bundle != "":
		return flowSet{}, problem.New(problem.Unprocessable, "Name a draft or a bundle, not both.")
	case in.Draft != "":
		d, _, err := s.flowDraft(ctx, in.Draft)
		if err != nil {
			return flowSet{}, err
		}
		out, err := s.draftSet(ctx, d)
		return out.with(in.Change), err
	case in.Bundle != "":
		b, err := s.bundle(ctx, in.Bundle)
		if err != nil {
			return flowSet{}, err
		}
		out, err := s.bundleSet(ctx, b)
		return out.with(in.Change), err
	}
	b := s.cfg.Bundles.Current(p.tenant)
	if b == nil {
		return flowSet{}, problem.New(problem.Unavailable, "No flows are in force.")
	}
	out, err := s.bundleSet(ctx, b)
	return out.with(in.Change), err
}

// bundle finds a bundle that was in force, or one that is asked for.
func (s *Server) bundle(ctx context.Context, hash string) (*flows.Bundle, error) {
	if b := s.cfg.Bundles.ByHash(who(ctx).tenant, hash); b != nil {
		return b, nil
	}
	_, b, err := s.flowAsked(ctx, hash)
	return b, err
}

// bundleSet is a bundle with the tests that were written for it.
func (s *Server) bundleSet(ctx context.Context, b *flows.Bundle) (flowSet, error) {
	out := flowSet{base: b, files: b.Files()}
	var texts map[string]string
	err := s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) (err error) {
		texts, _, err = ledger.Read[map[string]string](ctx, tx, kindFlowTests, b.HashText())
		if isNotFound(err) {
			return nil
		}
		return err
	})
	if texts == nil {
		out.tests = s.ownTests()
	}
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		out.tests = append(out.tests, flows.File{Path: path, Data: []byte(texts[path])})
	}
	return out, err
}

// ownTests are the tests that came with the installation's scripts.
func (s *Server) ownTests() []flows.File {
	var out []flows.File
	if s.cfg.Scripts == nil {
		return out
	}
	names, _ := fs.Glob(s.cfg.Scripts, "tests/*.yaml") // the pattern is a good one
	for _, name := range names {
		if text, err := fs.ReadFile(s.cfg.Scripts, name); err == nil && len(text) <= maxFlowFile {
			out = append(out, flows.File{Path: name, Data: text})
		}
	}
	return out
}

// draftSet is a draft laid over what it began with.
func (s *Server) draftSet(ctx context.Context, d flowDraftRow) (flowSet, error) {
	p := who(ctx)
	b := s.cfg.Bundles.ByHash(p.tenant, d.Base)
	if b == nil { // an old one: what is in force has to do
		b = s.cfg.Bundles.Current(p.tenant)
	}
	if b == nil {
		return flowSet{}, problem.New(problem.Unavailable, "No flows are in force.")
	}
	out, err := s.bundleSet(ctx, b)
	if err != nil {
		return out, err
	}
	out = out.with(d.Change)
	for path, sum := range d.Audio {
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != 32 {
			continue
		}
		out.files = append(drop(out.files, path), flows.File{Path: path, SHA: [32]byte(raw)})
	}
	return out, nil
}

// with lays a change over the set.
func (f flowSet) with(c flowChange) flowSet {
	out := flowSet{base: f.base, files: slices.Clone(f.files), tests: slices.Clone(f.tests)}
	for _, path := range c.Gone {
		out.files, out.tests = drop(out.files, path), drop(out.tests, path)
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		one := flows.File{Path: path, Data: []byte(c.Files[path])}
		if isTest(path) {
			out.tests = append(drop(out.tests, path), one)
		} else {
			out.files = append(drop(out.files, path), one)
		}
	}
	return out
}

// text returns the text of a file, and whether there is one.
func (f flowSet) text(path string) (string, bool) {
	for _, list := range [][]flows.File{f.files, f.tests} {
		if i := slices.IndexFunc(list, func(o flows.File) bool { return o.Path == path }); i >= 0 && list[i].Data != nil {
			return string(list[i].Data), true
		}
	}
	return "", false
}

// texts are all the files that have a text, tests included.
func (f flowSet) texts() map[string]string {
	out := map[string]string{}
	for _, list := range [][]flows.File{f.files, f.tests} {
		for _, one := range list {
			if one.Data != nil {
				out[one.Path] = string(one.Data)
			}
		}
	}
	return out
}

func drop(list []flows.File, path string) []flows.File {
	return slices.DeleteFunc(list, func(f flows.File) bool { return f.Path == path })
}

func isTest(path string) bool { return len(path) > 6 && path[:6] == "tests/" }
