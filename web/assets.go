package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// dist is written by "go generate ./web" and committed, so that a user with
// only Go gets the whole product; a test fails when it is stale.
//
//go:generate go tool esbuild src/console.tsx src/board.tsx src/history.tsx src/flows.tsx src/admin.tsx src/login.ts src/caller.ts src/softphone.ts src/console.css src/board.css src/history.css src/flows.css src/admin.css src/page.css src/reference.css --bundle --external:/assets/* --minify --legal-comments=none --format=esm --target=es2022 --jsx=automatic --jsx-import-source=preact --alias:preact=./third_party/preact.js --alias:preact/hooks=./third_party/preact.js --alias:preact/jsx-runtime=./third_party/preact.js --alias:@preact/signals=./third_party/preact.js --alias:@codemirror/state=./third_party/codemirror.js --alias:@codemirror/view=./third_party/codemirror.js --alias:@codemirror/commands=./third_party/codemirror.js --alias:@codemirror/language=./third_party/codemirror.js --alias:@codemirror/lang-yaml=./third_party/codemirror.js --alias:@codemirror/search=./third_party/codemirror.js --alias:@codemirror/autocomplete=./third_party/codemirror.js --alias:@lezer/highlight=./third_party/codemirror.js --outdir=dist --log-level=warning
//go:embed dist
var dist embed.FS

//go:embed page/*.tmpl
var pages embed.FS

// assets are the files of dist and the pages, ready to serve.
type assets struct {
	files map[string]asset
	pages *template.Template
}

type asset struct {
	plain, zipped []byte
	kind, tag     string
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		var zipped bytes.Buffer
		z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is a valid one
		z.Write(plain)                                             // a buffer takes everything
		z.Close()
		sum := sha256.Sum256(plain)
		a.files[strings.TrimPrefix(name, "dist/")] = asset{plain: plain, zipped: zipped.Bytes(),
			kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.pages, err = template.New("").Funcs(template.FuncMap{"of": listOf}).ParseFS(pages, "page/*.tmpl")
	return a, err
}

// serve answers with one file of dist.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		w.Write(f.zipped)
		return
	}
	w.Write(f.plain)
}

// page renders one template; a failure half way is a bug of ours.
func (s *Server) page(w http.ResponseWriter, r *http.Request, name string, data any) {
	var out bytes.Buffer
	if err := s.files.pages.ExecuteTemplate(&out, name, data); err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(out.Bytes())
}
