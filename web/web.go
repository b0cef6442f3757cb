package web

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/recovery"
)

// Config is what a Server needs. Store, Calls, Gate and Policies are required.
type Config struct {
	Store ledger.Store
	Calls Calls
	// Rates counts the tries of strangers and staff for all nodes together; nil
	// is this process alone.
	Rates Rates
	// Gate decides. Policies are the gate's own.
	Gate     *gate.Gate
	Policies gate.Policies
	// Softphones lets people take calls in their browsers; nil has none.
	Softphones Softphones
	// Jobs places outbound calls; nil refuses them.
	Jobs Jobs
	// Supervision lets supervisors into live calls; nil refuses them.
	Supervision Supervision
	// Signals takes what services that listen make of calls; nil takes none.
	Signals Signals
	// Traces tells how calls went on the wire; nil knows none.
	Traces Traces
	// Bans are the sources that the edge ignores; nil ignores none.
	Bans Bans
	// Captures takes the packets of live calls; nil takes none.
	Captures Captures
	// Drills runs attacks against this configuration; nil runs none.
	Drills Drills
	// Recordings keeps recorded calls; nil has none.
	Recordings Recordings
	// Checkpoint returns the newest signed checkpoint of a tenant's log; nil
	// answers that there is none.
	Checkpoint func(context.Context, ringfence.TenantID) ([]byte, error)
	// Announcer sends webhooks to executors and keeps what became of them; nil
	// shows none.
	Announcer *announce.Sender
	// Passkeys gives a tenant's ceremonies; without it nobody can sign in.
	Passkeys func(ringfence.TenantID) Passkeys
	// Clock watches the time; nil where the database keeps it.
	Clock Clock
	// Proofing proofs identities outside the telephone; nil: nobody's.
	Proofing Proofing
	// Stop holds the action of a link in a notice, as "I did not ask for this";
	// false for a link that is none, or an action that cannot be stopped any
	// more. nil knows no links.
	Stop func(ctx context.Context, tenant ringfence.TenantID, token string) (bool, error)
	// Verifier checks the signatures of calls for service accounts, Signer makes
	// them; nil refuses.
	Verifier *stirshaken.Verifier
	Signer   *stirshaken.Signer
	// Language is the one in which most people of a tenant are spoken to; nil says
	// none.
	Language func(ringfence.TenantID) string
	// Home says how the numbers that people look for are read.
	Home stirshaken.Home
	// Proofs remembers the ids of proofs of possession that other nodes were
	// shown; nil: there are no other nodes.
	Proofs Once
	// SSO is the company's sign-on for staff; nil: passkeys only.
	SSO *SSO
	// Recovery makes and takes recovery codes; nil has none.
	Recovery *recovery.Desk
	// PostLink sends links to contact points; nil sends none.
	PostLink LinkPost
	// PINs makes the first PINs that an import asks for; nil refuses them.
	PINs *pin.Method
	// Heartbeat is how often a stream of events says that it lives; zero = 15 s.
	Heartbeat time.Duration
	// StaffURL and PublicURL are the origins under which readers reach the two
	// handlers, e.g. https://console.example.com; empty = http on localhost.
	StaffURL, PublicURL string
	// Hosts maps a host name (with its port, unless it is the scheme's own) to
	// the tenant it belongs to. A host that is not in it is the default
	// tenant's only while Hosts is empty; else it answers 404.
	Hosts map[string]ringfence.TenantID
	// Company is the name callers know a tenant by.
	Company func(ringfence.TenantID) string
	// Bundles are the flows that persons let go live; nil refuses to edit any.
	Bundles Bundles
	// Scripts is the folder that the installation's own flows came from: its
	// tests and recordings; nil = none.
	Scripts fs.FS
	// Replays knows what is kept of past calls; nil: nothing.
	Replays Replays
	// Trial is the built-in telephone; nil has none.
	Trial Trial
	// Queued reports whether a queue names a person; nil knows no queues.
	Queued func(ringfence.TenantID, ringfence.Person) bool
	// System tells what is configured and how it stands; nil shows nothing.
	System func(context.Context, ringfence.TenantID) (System, error)
	// FlowVoice is what callers hear; nil takes and plays no recordings.
	FlowVoice Voice
	// Log takes one line for what went wrong; nil discards.
	Log *slog.Logger
}

// Server serves the two listeners. It holds no state that matters: sessions,
// releases and evidence stand in the store.
type Server struct {
	cfg     Config
	log     *slog.Logger
	files   *assets
	staff   http.Handler
	public  http.Handler
	routes  *guardedMux
	boards  boards
	proofs  proofs
	charts  charts
	present presence
	phones  phones
	sso     *sso
	asked   bell     // somebody was asked to approve
	alarmed bell     // an alert began, or was acknowledged
	left    bell     // sessions were ended
	turns   turns    // of each tenant's alerts, as this process knows them
	decoys  decoys   // people who are not on file
	tries   *limiter // four whispered digits
	lookups *limiter // subjects
	loads   *limiter // files to import
	scores  *limiter // what services heard, by service account
	stirs   *limiter // signatures of calls, by service account
	benches *limiter // checks, plays and tests of flows
	bench   chan struct{}
	checks  *limiter     // "is this really you?", by source
	refs    *limiter     // the same, by call reference
	lines   *limiter     // the same, by telephone line
	guesses *limiter     // whoever is not signed in, by address
	reports atomic.Int64 // content policy violations reported by browsers
}

// limit is one limit of this server.
func (c Config) limit(what string, every time.Duration, burst int) *limiter {
	return &limiter{what: what, every: every, burst: burst, shared: c.Rates}
}

// New builds a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Calls == nil || cfg.Gate == nil || cfg.Policies == nil {
		return nil, errors.New("web: a store, calls, a gate and its policies are needed")
	}
	s := &Server{cfg: cfg, log: cfg.Log, proofs: proofs{elsewhere: cfg.Proofs, names: cfg.names()}, boards: boards{calls: cfg.Calls}, decoys: newDecoys(),
		tries: cfg.limit("tries", 6*time.Second, 5), lookups: cfg.limit("lookups", time.Second, 20), loads: cfg.limit("loads", 5*time.Second, 10),
		scores: cfg.limit("scores", 200*time.Millisecond, 20), stirs: cfg.limit("stirs", 5*time.Millisecond, 400), checks: cfg.limit("checks", 3*time.Minute, 5),
		refs: cfg.limit("check-refs", 90*time.Second, 10), lines: cfg.limit("check-lines", 2*time.Second, 60),
		guesses: cfg.limit("guesses", 2*time.Second, 30), benches: cfg.limit("benches", 100*time.Millisecond, 60), bench: make(chan struct{}, 2)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Company == nil {
		s.cfg.Company = func(ringfence.TenantID) string { return "our company" }
	}
	var err error
	if cfg.SSO != nil {
		if s.sso, err = newSSO(*cfg.SSO); err != nil {
			return nil, err
		}
	}
	if s.files, err = loadAssets(); err != nil {
		return nil, err
	}
	s.staff = s.secured(s.staffRoutes())
	s.public = s.secured(s.publicRoutes())
	return s, nil
}

// Staff returns the handler for the console and the API: restricted networks.
func (s *Server) Staff() http.Handler { return s.staff }

// Public returns the handler for callers: on the Internet, on its own host.
func (s *Server) Public() http.Handler { return s.public }

// PolicyReports returns how many content policy violations browsers reported.
func (s *Server) PolicyReports() int64 { return s.reports.Load() }

// tenantOf returns the tenant of the host that was asked, or "" for a host
// that is nobody's.
func (s *Server) tenantOf(r *http.Request) ringfence.TenantID {
	if len(s.cfg.Hosts) == 0 {
		return ringfence.DefaultTenant
	}
	return s.cfg.Hosts[r.Host]
}

// staffRoutes registers every route of the staff listener.
func (s *Server) staffRoutes() http.Handler {
	m := &guardedMux{ServeMux: http.NewServeMux(), s: s, used: map[string]bool{}}
	s.routes = m
	m.HandleFunc("GET /assets/{file...}", s.files.serve)
	m.HandleFunc("POST /csp-report", s.cspReport)
	m.HandleFunc("GET /healthz", healthz)
	m.HandleFunc("GET /.well-known/jwks.json", s.jwks)
	s.staffPages(m)
	s.api(m)
	return s.knownHost(m)
}

// publicRoutes registers every route of the public listener. None of them
// knows a signed-in person.
func (s *Server) publicRoutes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /assets/{file...}", s.files.serve)
	m.HandleFunc("POST /csp-report", s.cspReport)
	m.HandleFunc("GET /healthz", healthz)
	s.publicPages(m)
	return s.knownHost(m)
}

// knownHost answers 404 on a host that is no tenant's.
func (s *Server) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.tenantOf(r) == "" && r.URL.Path != "/healthz" {
			s.refuse(w, r, errNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func healthz(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) }
