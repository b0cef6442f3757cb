package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// Scope is what a service account may do; it holds only those it was given.
type Scope string

// The scopes of service accounts.
const (
	ScopeActions    Scope = "actions"    // open, release and cancel actions
	ScopeReleases   Scope = "releases"   // read releases
	ScopeExecute    Scope = "execute"    // pull, redeem and report permits: executors only
	ScopeJobs       Scope = "jobs"       // ask for outbound calls
	ScopeTraversals Scope = "traversals" // read live calls, start console flows
	ScopeEvents     Scope = "events"
	ScopeDirectory  Scope = "directory" // read subjects and contact points
	ScopeLedger     Scope = "ledger"
	ScopeSignals    Scope = "signals" // say what was heard in a call: services that listen
	ScopeStir       Scope = "stir"    // check and make signatures of calls
	ScopeAlerts     Scope = "alerts"  // read alerts
	ScopeWire       Scope = "wire"    // take the packets of a call, read and lift bans
)

// scopes lists every scope, for the check of what an administrator asks for.
var scopes = []Scope{ScopeActions, ScopeReleases, ScopeExecute, ScopeJobs, ScopeTraversals, ScopeEvents, ScopeDirectory, ScopeLedger, ScopeStir, ScopeSignals, ScopeAlerts, ScopeWire}

// rule says who may use one route of the staff listener. The zero rule admits
// nobody.
type rule struct {
	pattern string // as http.ServeMux takes it
	roles   []ringfence.Role
	scope   Scope
	open    bool  // nobody need have signed in
	page    bool  // a person without a session is sent to the login page
	once    bool  // the answer holds a permit and is never given twice
	gate    bool  // the gate itself keeps the idempotency key, beside what it did
	body    int64 // greatest length of a request; zero = maxBodyBytes
	again   bool  // doing it again does no harm: no Idempotency-Key is asked for
}

var (
	anyone   = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleOps, ringfence.RoleRisk, ringfence.RoleAuditor, ringfence.RoleAdmin}
	desk     = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor}
	floor    = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleRisk}
	overview = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleOps, ringfence.RoleAuditor}
	records  = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAuditor}
	finders  = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAuditor, ringfence.RoleAdmin}
	onFile   = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAuditor, ringfence.RoleAdmin}
	changers = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAdmin}
	brakes   = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAdmin} // stopping takes one
	keepers  = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk}
	// engineers look for what is wrong on the wire.
	engineers = []ringfence.Role{ringfence.RoleOps, ringfence.RoleAdmin}
	admins    = []ringfence.Role{ringfence.RoleAdmin}
	watchers  = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleOps, ringfence.RoleRisk, ringfence.RoleAuditor}
	settlers  = []ringfence.Role{ringfence.RoleOps, ringfence.RoleRisk}
	loaders   = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleOps, ringfence.RoleRisk}
	authors   = []ringfence.Role{ringfence.RoleOps, ringfence.RoleRisk}
	// Alerts are for everybody who does not take calls.
	alarmRoles = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleOps, ringfence.RoleAuditor, ringfence.RoleAdmin}
	answerers  = []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleOps, ringfence.RoleAdmin}
	readers    = []ringfence.Role{ringfence.RoleOps, ringfence.RoleRisk, ringfence.RoleAuditor}
)

// access is the route table of the staff listener. A route that is not in it
// cannot be registered.
var access = []rule{
	// pages and their files
	{pattern: "GET /assets/{file...}", open: true},
	{pattern: "GET /login", open: true},
	{pattern: "GET /login/sso", open: true},
	{pattern: "GET /login/sso/back", open: true},
	{pattern: "GET /invite", open: true},
	{pattern: "POST /csp-report", open: true},
	{pattern: "GET /healthz", open: true},
	{pattern: "GET /.well-known/jwks.json", open: true},
	{pattern: "GET /v1/openapi.json", open: true},
	{pattern: "GET /{$}", roles: anyone, page: true},
	{pattern: "GET /console", roles: floor, page: true},
	{pattern: "GET /board", roles: overview, page: true},
	{pattern: "GET /calls", roles: records, page: true},
	{pattern: "GET /audit", roles: records, page: true},
	{pattern: "GET /drills", roles: watchers, page: true},
	{pattern: "GET /people", roles: keepers, page: true},
	{pattern: "GET /subjects", roles: finders, page: true},
	{pattern: "GET /import", roles: loaders, page: true},
	{pattern: "GET /flows", roles: readers, page: true},
	{pattern: "GET /start", roles: admins, page: true},
	{pattern: "GET /admin", roles: watchers, page: true},
	{pattern: "GET /alerts", roles: alarmRoles, page: true},
	{pattern: "GET /reference", roles: anyone, page: true},
	{pattern: "GET /approvals", roles: anyone, page: true},
	{pattern: "GET /approvals/{release}", roles: anyone, page: true},
	// sessions
	{pattern: "POST /v1/login/begin", open: true},
	{pattern: "POST /v1/login/finish", open: true},
	{pattern: "POST /v1/invite/begin", open: true},
	{pattern: "POST /v1/invite/finish", open: true},
	{pattern: "POST /v1/logout", roles: anyone, again: true},
	{pattern: "POST /v1/session/touch", roles: anyone, again: true},
	{pattern: "GET /v1/me", roles: anyone},
	// live calls
	{pattern: "GET /v1/events", roles: anyone, scope: ScopeEvents},
	{pattern: "GET /v1/traversals", roles: floor, scope: ScopeTraversals},
	{pattern: "POST /v1/traversals/take", roles: desk},
	{pattern: "POST /v1/traversals/{id}/step-ups", roles: desk, scope: ScopeTraversals},
	{pattern: "POST /v1/traversals/{id}/step-ups/cancel", roles: desk},
	{pattern: "POST /v1/traversals/{id}/identify", roles: desk},
	{pattern: "POST /v1/traversals/{id}/hand-over", roles: desk},
	{pattern: "POST /v1/traversals/{id}/hang-up", roles: desk},
	{pattern: "POST /v1/traversals/{id}/pressure", roles: desk},
	{pattern: "POST /v1/traversals/{id}/report", roles: desk},
	{pattern: "GET /v1/calls/{ref}", roles: anyone, scope: ScopeTraversals},
	{pattern: "POST /v1/calls/{ref}/signals", scope: ScopeSignals, again: true},
	{pattern: "POST /v1/softphone", roles: desk, again: true},
	{pattern: "POST /v1/softphone/calls/{leg}/link", roles: desk, again: true},
	{pattern: "POST /v1/softphone/calls/{leg}/hang-up", roles: desk, again: true},
	{pattern: "POST /v1/softphone/calls/{leg}/hold", roles: desk, again: true},
	{pattern: "POST /v1/presence", roles: desk, again: true},
	{pattern: "GET /v1/presence", roles: overview},
	{pattern: "POST /v1/jobs", scope: ScopeJobs, once: true},
	// actions and releases
	{pattern: "POST /v1/actions", roles: desk, scope: ScopeActions, gate: true},
	{pattern: "GET /v1/releases", roles: overview, scope: ScopeReleases},
	{pattern: "GET /v1/releases/{id}", roles: anyone, scope: ScopeReleases},
	{pattern: "POST /v1/releases/{id}/release", roles: desk, scope: ScopeActions},
	{pattern: "POST /v1/releases/{id}/cancel", roles: desk, scope: ScopeActions},
	{pattern: "POST /v1/releases/{id}/reject", roles: floor, scope: ScopeActions},
	{pattern: "GET /v1/reviews", roles: risks},
	{pattern: "POST /v1/releases/{id}/lift", roles: risks},
	{pattern: "POST /v1/releases/{id}/deny", roles: risks},
	{pattern: "POST /v1/releases/{id}/hold", roles: risks},
	{pattern: "POST /v1/releases/{id}/dispute", roles: brakes, scope: ScopeActions},
	{pattern: "POST /v1/releases/{id}/permit", scope: ScopeExecute, once: true},
	{pattern: "POST /v1/permits/redeem", scope: ScopeExecute, gate: true},
	{pattern: "POST /v1/permits/{id}/report", scope: ScopeExecute},
	// webhooks to executors, and executors' journals
	{pattern: "GET /v1/webhooks/deliveries", roles: watchers},
	{pattern: "POST /v1/webhooks/deliveries/{id}/again", roles: loaders},
	{pattern: "POST /v1/reconciliations", roles: settlers, scope: ScopeExecute, body: maxJournalBody},
	{pattern: "GET /v1/reconciliations", roles: watchers, scope: ScopeExecute},
	{pattern: "POST /v1/releases/{id}/reconcile", roles: settlers},
	// people and service accounts
	{pattern: "GET /v1/people", roles: keepers},
	{pattern: "POST /v1/people/drafts", roles: keepers},
	{pattern: "POST /v1/people/drafts/{id}/begin", roles: keepers, again: true},
	{pattern: "POST /v1/people/drafts/{id}/finish", roles: keepers},
	{pattern: "POST /v1/people/drafts/{id}/discard", roles: keepers},
	{pattern: "POST /v1/people/{id}/invite", roles: keepers, once: true},
	{pattern: "POST /v1/people/passkeys/{id}/begin", roles: keepers, again: true},
	{pattern: "POST /v1/people/passkeys/{id}/finish", roles: keepers},
	{pattern: "POST /v1/people/passkeys/{id}/discard", roles: keepers},
	{pattern: "POST /v1/people/{id}/suspend", roles: keepers},
	{pattern: "POST /v1/people/{id}/reset", roles: keepers},
	{pattern: "POST /v1/people/resets/{id}/begin", roles: keepers, again: true},
	{pattern: "POST /v1/people/resets/{id}/finish", roles: keepers, once: true},
	{pattern: "POST /v1/people/resets/{id}/discard", roles: keepers},
	{pattern: "GET /v1/clients", roles: admins},
	{pattern: "POST /v1/clients", roles: admins, once: true},
	{pattern: "POST /v1/clients/{id}/remove", roles: admins},
	// the first steps, and what is configured
	{pattern: "GET /v1/start", roles: admins},
	{pattern: "POST /v1/start/call", roles: admins, again: true},
	{pattern: "GET /v1/start/call", roles: admins},
	{pattern: "POST /v1/start/call/keys", roles: admins, again: true}, // keys may be a PIN: nothing is kept of them
	{pattern: "POST /v1/start/call/hang-up", roles: admins, again: true},
	{pattern: "GET /v1/system", roles: watchers},
	// imports
	{pattern: "GET /v1/imports", roles: loaders},
	{pattern: "POST /v1/imports", roles: loaders, body: maxImportBody},
	{pattern: "POST /v1/imports/{id}/begin", roles: loaders, again: true},
	{pattern: "POST /v1/imports/{id}/finish", roles: loaders, once: true},
	{pattern: "POST /v1/imports/{id}/discard", roles: loaders},
	// erasures
	{pattern: "GET /v1/erasures", roles: keepers},
	{pattern: "POST /v1/subjects/{id}/erase", roles: keepers},
	{pattern: "POST /v1/erasures/{id}/begin", roles: keepers, again: true},
	{pattern: "POST /v1/erasures/{id}/finish", roles: keepers},
	{pattern: "POST /v1/erasures/{id}/discard", roles: keepers},
	// flows: tools only read, so asking again does no harm
	{pattern: "GET /v1/flows", roles: readers},
	{pattern: "GET /v1/flows/current", roles: readers},
	{pattern: "POST /v1/flows/check", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/simulate", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/test", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/strings", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/strings/set", roles: authors, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/diff", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/hear", roles: readers, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/speak", roles: readers, again: true},
	{pattern: "GET /v1/flows/calls", roles: readers},
	{pattern: "POST /v1/flows/replay", roles: readers, again: true, body: maxFlowBody},
	{pattern: "GET /v1/flows/shadow", roles: readers},
	{pattern: "POST /v1/flows/shadow/stop", roles: authors, again: true},
	{pattern: "POST /v1/flows/drafts/{id}/shadow", roles: authors, again: true},
	{pattern: "POST /v1/flows/drafts", roles: authors},
	{pattern: "GET /v1/flows/drafts/{id}", roles: authors},
	{pattern: "POST /v1/flows/drafts/{id}/save", roles: authors, again: true, body: maxFlowBody},
	{pattern: "POST /v1/flows/drafts/{id}/take-up", roles: authors, again: true},
	{pattern: "POST /v1/flows/drafts/{id}/discard", roles: authors},
	{pattern: "POST /v1/flows/drafts/{id}/audio", roles: authors, again: true, body: maxAudioBody},
	{pattern: "POST /v1/flows/drafts/{id}/ask/begin", roles: authors, again: true},
	{pattern: "POST /v1/flows/drafts/{id}/ask/finish", roles: authors},
	{pattern: "GET /v1/flows/proposals/{id}", roles: readers},
	{pattern: "POST /v1/flows/proposals/{id}/begin", roles: authors, again: true},
	{pattern: "POST /v1/flows/proposals/{id}/finish", roles: authors},
	{pattern: "POST /v1/flows/rollback/{id}/begin", roles: authors, again: true},
	{pattern: "POST /v1/flows/rollback/{id}/finish", roles: authors},
	{pattern: "POST /v1/flows/ramp/begin", roles: authors, again: true},
	{pattern: "POST /v1/flows/ramp/finish", roles: authors},
	// approvals
	{pattern: "GET /v1/approvals", roles: anyone},
	{pattern: "GET /v1/approvals/{release}", roles: anyone},
	{pattern: "POST /v1/approvals/{release}/begin", roles: anyone, again: true},
	{pattern: "POST /v1/approvals/{release}/finish", roles: anyone},
	// identities proofed outside the telephone
	{pattern: "GET /v1/releases/{id}/proofing", roles: floor},
	{pattern: "POST /v1/releases/{id}/proofing/begin", roles: floor, again: true},
	{pattern: "POST /v1/releases/{id}/proofing/finish", roles: floor},
	{pattern: "POST /v1/releases/{id}/proofing/session", roles: desk, scope: ScopeActions, once: true},
	{pattern: "POST /v1/releases/{id}/proofing/fetch", roles: desk, scope: ScopeActions, again: true},
	// alerts
	{pattern: "GET /v1/alerts", roles: alarmRoles, scope: ScopeAlerts},
	{pattern: "POST /v1/alerts/{id}/acknowledge", roles: answerers},
	// the time
	{pattern: "GET /v1/clock", roles: overview},
	{pattern: "POST /v1/clock/confirm", roles: risks},
	// signatures of calls
	{pattern: "POST /v1/stir/verify", scope: ScopeStir, again: true, body: maxStirBody},
	{pattern: "POST /v1/stir/sign", scope: ScopeStir, again: true, body: maxStirBody},
	{pattern: "POST /v1/traversals/{id}/supervise", roles: supervisors},
	{pattern: "GET /v1/traversals/{id}/trace", roles: overview},
	// drills
	{pattern: "GET /v1/drills", roles: watchers},
	{pattern: "POST /v1/drills", roles: keepers},
	// recorded calls
	{pattern: "GET /v1/recordings", roles: records},
	{pattern: "POST /v1/recordings/{id}/play", roles: records, once: true},
	{pattern: "POST /v1/recordings/{id}/export", roles: examiners, once: true},
	{pattern: "GET /v1/recordings/audio/{pass}", roles: records},
	{pattern: "POST /v1/traversals/{id}/captures", roles: engineers, scope: ScopeWire},
	{pattern: "GET /v1/captures", roles: engineers, scope: ScopeWire},
	{pattern: "GET /v1/captures/{id}", roles: engineers, scope: ScopeWire},
	{pattern: "GET /v1/bans", roles: watchers, scope: ScopeWire},
	{pattern: "POST /v1/bans/lift", roles: engineers, scope: ScopeWire},
	{pattern: "POST /v1/recordings/{id}/hold", roles: examiners},
	{pattern: "POST /v1/recordings/{id}/lift", roles: risks},
	{pattern: "POST /v1/recordings/{id}/delete", roles: risks},
	// directory
	{pattern: "GET /v1/subjects", roles: finders, scope: ScopeDirectory},
	{pattern: "GET /v1/subjects/{id}", roles: onFile, scope: ScopeDirectory},
	{pattern: "POST /v1/subjects/{id}/suspend", roles: brakes},
	{pattern: "POST /v1/subjects/{id}/invite", roles: changers, once: true},
	{pattern: "POST /v1/subjects/{id}/changes", roles: changers, scope: ScopeActions, gate: true},
	{pattern: "GET /v1/contact-points", roles: floor, scope: ScopeDirectory},
	{pattern: "GET /v1/colleagues", roles: floor},
	{pattern: "GET /v1/board", roles: overview},
	{pattern: "GET /v1/board/charts", roles: overview},
	// ledger
	{pattern: "GET /v1/ledger/checkpoint", roles: records, scope: ScopeLedger},
	{pattern: "GET /v1/ledger/entries", roles: records, scope: ScopeLedger},
	{pattern: "GET /v1/ledger/proof", roles: records, scope: ScopeLedger},
	{pattern: "GET /v1/ledger/consistency", roles: records, scope: ScopeLedger},
	{pattern: "GET /v1/ledger/bundle", roles: records, scope: ScopeLedger},
	{pattern: "GET /v1/ledger/proofs", roles: records, scope: ScopeLedger},
	// past calls
	{pattern: "GET /v1/history", roles: records},
	{pattern: "GET /v1/history/{id}", roles: records},
	{pattern: "GET /v1/history/{id}/flow", roles: records},
}

// principal is who asks: a person with a session, or a service account.
type principal struct {
	tenant  ringfence.TenantID
	person  ringfence.Person // zero for a service account
	session sessionRow
	client  Client    // zero for a person
	at      time.Time // the store's time when the session was read
}

// actor is the name under which the principal stands in limits and records.
func (p principal) actor() string {
	if p.client.ID != "" {
		return p.client.ID
	}
	return string(p.person.ID)
}

// has reports whether the principal is a person with the role now.
func (p principal) has(role ringfence.Role) bool {
	return p.person.ID != "" && p.person.Has(role, p.at)
}

// may reports whether the rule admits the principal.
func (r rule) may(p principal) bool {
	if p.client.ID != "" {
		return r.scope != "" && slices.Contains(p.client.Scopes, r.scope)
	}
	return slices.ContainsFunc(r.roles, func(role ringfence.Role) bool { return p.has(role) })
}

// most is the greatest length of a request's body.
func (r rule) most() int64 { return cmp.Or(r.body, maxBodyBytes) }

type principalKey struct{}

// who returns the principal that the guard put into the context; the zero
// principal, which may do nothing, when there is none.
func who(ctx context.Context) principal {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p
}

// guardedMux registers handlers behind their rule of the table. huma registers
// its operations through it as well.
type guardedMux struct {
	*http.ServeMux
	s    *Server
	used map[string]bool
	doc  *huma.OpenAPI // what the operations say of themselves
}

// HandleFunc puts h behind the rule of its pattern. A pattern without a rule is
// a bug of ours and ends the program at start.
func (m *guardedMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	i := slices.IndexFunc(access, func(r rule) bool { return r.pattern == pattern })
	if i < 0 {
		panic("web: no rule for " + pattern)
	}
	m.used[pattern] = true
	r := access[i]
	switch {
	case !strings.HasPrefix(pattern, "POST /v1/") || r.open || r.again:
	case r.gate:
		h = m.s.keyed(r.most(), h)
	default:
		h = m.s.idempotent(r.once, r.most(), h)
	}
	m.ServeMux.HandleFunc(pattern, m.s.guard(r, h))
}

// guard admits who the rule admits, and tells nobody else more than that they
// are not signed in or not allowed.
func (s *Server) guard(r rule, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if r.open {
			h(w, req)
			return
		}
		p, err := s.authenticate(w, req)
		switch {
		case err != nil && r.page && problem.Is(s.problemOf(req, err), problem.Unauthenticated):
			http.Redirect(w, req, "/login", http.StatusSeeOther)
		case err != nil:
			s.refuse(w, req, err)
		case !r.may(p):
			s.refuse(w, req, problem.New(problem.Forbidden, "Your role does not include this."))
		default:
			h(w, req.WithContext(context.WithValue(req.Context(), principalKey{}, p)))
		}
	}
}

// authenticate finds out who asks.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (principal, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return s.authenticateClient(r, header)
	}
	return s.authenticateSession(w, r)
}
