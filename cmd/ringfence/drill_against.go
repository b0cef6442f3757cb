package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// stranger is somebody on the network in front of one listener of a running
// ringfence, with no account, no call and no view inside.
type stranger struct {
	origin string
	https  bool
	http   *http.Client
	staff  bool // the listener of staff and systems; else that of callers
	sent   int
}

// maxSent bounds what one run sends to a listener: a drill is no flood.
const maxSent = 200

// outsideAttack is an attack that needs nothing but the address.
type outsideAttack struct {
	web.Drill
	door outsideDoor
	play func(context.Context, *stranger) (verdict, error)
}

// outsideDoor is the listener that an attack is made for.
type outsideDoor int

const (
	anyDoor outsideDoor = iota
	staffDoor
	callerDoor
)

// mayAttack says why an address must not be attacked, or "". Loopback and the
// hosts of the operator's own configuration need no word; any other does.
func mayAttack(cfg config.Config, u *url.URL, consent bool) string {
	own := []string{}
	for _, o := range []string{cfg.Web.Staff.URL, cfg.Web.Public.URL} {
		if at, err := url.Parse(o); err == nil && at.Hostname() != "" {
			own = append(own, strings.ToLower(at.Hostname()))
		}
	}
	host := strings.ToLower(u.Hostname())
	ip := net.ParseIP(host)
	switch {
	case consent, host == "localhost", ip != nil && ip.IsLoopback(), slices.Contains(own, host):
		return ""
	default:
		return host + " is neither this machine nor a host of your configuration. Attack only what is yours, or what its owner asked you to: say so with --yes"
	}
}

// targetOf reads an address of a running ringfence.
func targetOf(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("--against wants an address such as https://desk.example.com:8443")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, errors.New("--against wants scheme, host and port, and nothing behind them")
	}
	u.Path = ""
	return u, nil
}

func newStranger(u *url.URL) *stranger {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives, t.Proxy = true, nil
	return &stranger{origin: u.Scheme + "://" + u.Host, https: u.Scheme == "https", http: &http.Client{Transport: t, Timeout: 15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// seen is an answer as an attacker reads it.
type seen struct {
	status int
	header http.Header
	body   string
}

func (s seen) refused() bool { return s.status >= 400 && s.status < 500 }

// send sends one request; header overrides what a page of the origin would send.
func (s *stranger) send(ctx context.Context, method, path, body string, header map[string]string) (seen, error) {
	if s.sent++; s.sent > maxSent {
		return seen{}, errors.New("the drill has sent as much as it may")
	}
	req, err := http.NewRequestWithContext(ctx, method, s.origin+path, strings.NewReader(body))
	if err != nil {
		return seen{}, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", s.origin)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	for name, v := range header {
		if req.Header.Set(name, v); name == "Host" {
			req.Host = v
		}
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return seen{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return seen{resp.StatusCode, resp.Header, string(raw)}, err
}

// recognise finds out which listener answers.
func (s *stranger) recognise(ctx context.Context) error {
	alive, err := s.send(ctx, http.MethodGet, "/healthz", "", nil)
	if err != nil {
		return err
	}
	keys, err := s.send(ctx, http.MethodGet, "/.well-known/jwks.json", "", nil)
	if err != nil {
		return err
	}
	links, err := s.send(ctx, http.MethodGet, "/l", "", nil)
	if err != nil {
		return err
	}
	s.staff = keys.status == http.StatusOK && strings.Contains(keys.body, `"keys"`)
	if alive.status != http.StatusOK || s.staff == (links.status == http.StatusOK) {
		return fmt.Errorf("%s answers like no listener of ringfence", s.origin)
	}
	return nil
}

// drillOutside attacks one listener of a running ringfence from outside.
func drillOutside(ctx context.Context, u *url.URL, only []string) (r web.DrillReport) {
	r = web.DrillReport{ID: newDrillID(), Began: time.Now().UTC(), Results: []web.DrillResult{}}
	defer func() { r.Ended = time.Now().UTC(); r.Judge() }()
	s := newStranger(u)
	if err := s.recognise(ctx); err != nil {
		r.Error = err.Error()
		return r
	}
	for _, a := range outsideAttacks {
		if len(only) > 0 && !slices.Contains(only, a.Name) || a.door == staffDoor && !s.staff || a.door == callerDoor && s.staff {
			continue
		}
		began := time.Now()
		v, err := a.play(ctx, s)
		if err != nil {
			v = broken(err)
		}
		r.Results = append(r.Results, web.DrillResult{Drill: a.Drill, Outcome: v.outcome, Says: v.says, Seconds: time.Since(began).Seconds()})
	}
	return r
}

// against carries out --against for each address, and joins what came of it.
func (c *drillCmd) against(ctx context.Context) (web.DrillReport, error) {
	cfg, err := c.load()
	if err != nil && c.Config != "" {
		return web.DrillReport{}, err
	}
	for _, n := range c.Only {
		if !slices.ContainsFunc(outsideAttacks, func(a outsideAttack) bool { return a.Name == n }) {
			return web.DrillReport{}, &exitError{code: 2, text: fmt.Sprintf("%v %q from outside (ringfence drill --against URL --list names them)", web.ErrNoDrill, n)}
		}
	}
	var targets []*url.URL
	for _, text := range c.Against {
		u, err := targetOf(text)
		if err != nil {
			return web.DrillReport{}, &exitError{code: 2, text: err.Error()}
		}
		if why := mayAttack(cfg, u, c.Yes); why != "" {
			return web.DrillReport{}, &exitError{code: 2, text: why}
		}
		targets = append(targets, u)
	}
	all := web.DrillReport{Began: time.Now().UTC(), Results: []web.DrillResult{}}
	for _, u := range targets {
		r := drillOutside(ctx, u, c.Only)
		all.ID, all.Error = r.ID, cmp.Or(all.Error, r.Error)
		all.Results = append(all.Results, r.Results...)
	}
	all.Ended = time.Now().UTC()
	all.Judge()
	return all, nil
}
