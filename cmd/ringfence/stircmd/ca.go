package stircmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// CA is a certificate authority for labs. Its folder holds private keys in the
// clear: an attacker who can read it can sign as anybody the lab trusts.
type CA struct {
	Init  CAInit  `cmd:"" help:"Make a root and an intermediate in a new folder."`
	Leaf  CALeaf  `cmd:"" help:"Issue a signing certificate with a TNAuthList."`
	CRL   CACRL   `cmd:"" name:"crl" help:"Write the intermediate's revocation list."`
	Serve CAServe `cmd:"" help:"Serve certificates and lists to lab verifiers, on loopback."`
}

// CAInit makes an authority.
type CAInit struct {
	Dir string `arg:"" help:"Folder; must not hold an authority yet."`
}

// Do makes the folder.
func (c *CAInit) Do(_ context.Context, out io.Writer) (bool, error) {
	if _, err := os.Stat(filepath.Join(c.Dir, "root.key")); err == nil {
		return false, Misuse(c.Dir + " already holds an authority; name another folder")
	}
	ca, err := stirtest.New(time.Now())
	if err != nil {
		return false, err
	}
	if err := ca.Save(c.Dir); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "%s\n", filepath.Join(c.Dir, "root.pem"))
	return true, err
}

// CALeaf issues a certificate.
type CALeaf struct {
	Dir   string   `arg:"" help:"Folder of the authority."`
	Name  string   `arg:"" help:"Name of the files, e.g. 1234."`
	SPC   []string `name:"spc" help:"Provider code."`
	TN    []string `name:"tn" help:"Single number."`
	Range []string `help:"Block of numbers, as start+count, e.g. 441134960000+100."`
	Days  int      `default:"90" help:"Days of validity; negative makes an expired one."`
}

// Do writes NAME.pem and NAME.key.
func (c *CALeaf) Do(_ context.Context, out io.Writer) (bool, error) {
	if c.Name == "" || c.Name != filepath.Base(c.Name) || strings.HasPrefix(c.Name, ".") || c.Name == "root" || c.Name == "intermediate" {
		return false, Misuse("the name must be a plain file name")
	}
	scope := stirshaken.Scope{SPCs: c.SPC}
	for _, s := range c.TN {
		tn, ok := stirshaken.Home{}.Canonical(s)
		if !ok {
			return false, Misuse("--tn wants a number")
		}
		scope.Numbers = append(scope.Numbers, tn)
	}
	for _, s := range c.Range {
		start, count, _ := strings.Cut(s, "+")
		n, err := strconv.ParseUint(count, 10, 63)
		if err != nil || n < 2 {
			return false, Misuse("--range wants start+count, such as 441134960000+100")
		}
		scope.Ranges = append(scope.Ranges, stirshaken.NumberRange{Start: ringfence.TN(start), Count: n})
	}
	if len(scope.SPCs)+len(scope.Numbers)+len(scope.Ranges) == 0 {
		return false, Misuse("say what it may sign for: --spc, --tn or --range")
	}
	if _, r := stirshaken.ParseTNAuthList(scope.Marshal()); r != nil {
		return false, Misuse(r.String())
	}
	now := time.Now()
	ca, err := stirtest.Load(c.Dir, now)
	if err != nil {
		return false, err
	}
	o := stirtest.Options{Name: c.Name, Scope: &scope, NotAfter: now.AddDate(0, 0, c.Days)}
	if c.Days < 0 {
		o.NotBefore = o.NotAfter.AddDate(0, 0, -90)
	}
	leaf, err := ca.Leaf(o)
	if err != nil {
		return false, err
	}
	key, err := leaf.KeyPEM()
	if err != nil {
		return false, err
	}
	cert := filepath.Join(c.Dir, c.Name+".pem")
	if err := os.WriteFile(cert, leaf.Bundle, 0o644); err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, c.Name+".key"), key, 0o600); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "%s\n", cert)
	return true, err
}

// CACRL writes a revocation list.
type CACRL struct {
	Dir    string   `arg:"" help:"Folder of the authority."`
	Revoke []string `help:"Names of certificates to revoke."`
}

// Do writes ca.crl.
func (c *CACRL) Do(_ context.Context, out io.Writer) (bool, error) {
	now := time.Now()
	ca, err := stirtest.Load(c.Dir, now)
	if err != nil {
		return false, err
	}
	for _, name := range c.Revoke {
		b, err := os.ReadFile(filepath.Join(c.Dir, filepath.Base(name)+".pem"))
		if err != nil {
			return false, err
		}
		certs, r := stirshaken.ParseBundle(b)
		if r != nil {
			return false, fmt.Errorf("%s: %s", name, r)
		}
		ca.Revoke(&stirtest.Leaf{Cert: certs[0]}, now)
	}
	list, err := ca.CRL(now)
	if err != nil {
		return false, err
	}
	path := filepath.Join(c.Dir, "ca.crl")
	if err := os.WriteFile(path, list, 0o644); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "%s\n", path)
	return true, err
}

// CAServe serves the folder's certificates.
type CAServe struct {
	Dir    string `arg:"" help:"Folder of the authority."`
	Listen string `default:"127.0.0.1:8180" help:"Loopback address to listen on."`
}

// Do serves until ctx ends. Keys are never served.
func (c *CAServe) Do(ctx context.Context, out io.Writer) (bool, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return false, Misuse("--listen wants a loopback address such as 127.0.0.1:8180")
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return false, err
	}
	srv := &http.Server{Handler: Folder(c.Dir), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "http://%s/NAME.pem\n", l.Addr())
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return false, err
	}
	return true, nil
}

// Folder serves the .pem and .crl files of a folder and nothing else.
func Folder(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		kind := map[string]string{".pem": "application/pem-certificate-chain", ".crl": "application/pkix-crl"}[filepath.Ext(name)]
		if kind == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			http.NotFound(w, r)
			return
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(b)
	})
}
