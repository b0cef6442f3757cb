package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/record"
	"github.com/ringfence/ringfence/b2bua/trace"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/store/redis"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/signals"
	"github.com/ringfence/ringfence/web"
)

// appOptions are what a configuration file cannot say: for the demo and tests.
type appOptions struct {
	// Volatile allows a data folder that forgets.
	Volatile bool
	// Tool says that this is a command beside the nodes that serve.
	Tool bool
	// Scripts replaces the flows, policy and prompts of the configuration.
	Scripts fs.FS
	// Delays replaces the waits before a call-back after a hang-up.
	Delays []time.Duration
	// Roots replaces the trust list of the configuration.
	Roots *stirshaken.TrustList
	Log   *slog.Logger
}

// app is a running ringfence: every room, joined.
type app struct {
	cfg      config.Config
	log      *slog.Logger
	life     context.Context // ends with the process; for what outlives one call
	keys     keyring
	store    truth
	shared   *redis.Store // what nodes share and may lose; nil: nothing
	banned   *banShare    // strangers, told to other nodes; nil = there are none
	signer   *ledger.Signer
	base     *flows.Bundle // in force where nothing was published
	scripts  fs.FS         // what base was read from
	speech   *voice.Voice
	shelf    *shelf.Shelf
	routing  *routing
	verify   methods
	gate     *gate.Gate
	asks     *signals.Desk    // about numbers and accounts
	said     *signalsSaid     // what came of it, for monitoring
	clock    *gate.Clock      // nil: the database keeps the time
	hooks    *announce.Sender // webhooks to executors
	invites  *passkey.Registrar
	stir     *stirshaken.Verifier
	sign     *stirshaken.Signer // nil: no key
	metrics  *metrics
	meter    *http.Server // serves the metrics; nil: nobody asked for them
	ua       *b2bua.UA
	cdrs     *cdrs // nil: no call records are kept
	identity identity
	runner   *runner.Runner
	watchful watchful
	recorder *record.Recorder
	supers   supervisions
	copies   copies
	book     *trace.Book
	captures *captures
	hep      *trace.HEP // nil: no capture server
	later    later
	stopping chan struct{} // closed when the process stops
	web      *web.Server
	staff    *http.Server
	public   *http.Server
	staffL   net.Listener
	publicL  net.Listener
	stopTick context.CancelFunc
	work     sync.WaitGroup
}

// newApp joins the rooms. It opens the store and binds nothing yet.
func newApp(ctx context.Context, cfg config.Config, o appOptions) (_ *app, err error) {
	a := &app{cfg: cfg, log: o.Log, life: context.WithoutCancel(ctx), stopping: make(chan struct{})}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	if a.signer, err = ledger.NewSigner(cfg.Ledger.Name, a.keys.ledger); err != nil {
		return nil, err
	}
	a.scripts = scriptsOf(cfg, o.Scripts)
	if a.base, err = loadBundle(cfg, o.Scripts); err != nil {
		return nil, err
	}
	if a.store, err = openTruth(ctx, cfg, a.keys.master, opener{volatile: o.Volatile, tool: o.Tool}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.store.Close())
		}
	}()
	a.routing = &routing{cfg: cfg, store: a.store}
	if a.verify, err = newMethods(cfg, a.keys, a.store, a.log); err != nil {
		return nil, err
	}
	if err = a.joinShelf(ctx); err != nil {
		return nil, err
	}
	if a.hooks, err = newAnnouncer(cfg, a.store, a.log); err != nil {
		return nil, err
	}
	if err = a.joinClock(ctx); err != nil {
		return nil, err
	}
	if err = a.joinSignals(); err != nil {
		return nil, err
	}
	if err = a.joinGate(); err != nil {
		return nil, err
	}
	if err = a.joinRecorder(); err != nil {
		return nil, err
	}
	if err = a.joinCalls(ctx, o); err != nil {
		return nil, err
	}
	return a, a.joinWeb()
}

// loadBundle reads, lints, compiles and proves the scripts; any error refuses. Whether
// they have the flows of the configured lines is asked only of what is in force.
func loadBundle(cfg config.Config, replaced fs.FS) (*flows.Bundle, error) {
	bundle, diags := flows.LoadDir(scriptsOf(cfg, replaced))
	var bad []error
	for _, d := range diags {
		if policy.Failed([]policy.Diagnostic{d}) {
			bad = append(bad, errors.New(d.String()))
		}
	}
	if len(bad) > 0 || bundle == nil {
		return nil, fmt.Errorf("scripts: %w", errors.Join(bad...))
	}
	if _, err := proved(bundle); err != nil {
		where := cfg.Scripts
		if replaced != nil || where == "" {
			where = "shipped"
		}
		return nil, fmt.Errorf("scripts: a call can go wrong: %w (ringfence flow prove %s prints a call for each; mend the line it names, or take scripts: out to run the shipped ones)", err, where)
	}
	return bundle, nil
}

func (a *app) joinGate() error {
	check, err := passkey.CheckApproval(a.verify.staffRP)
	if err != nil {
		return err
	}
	a.gate, err = gate.New(gate.Config{
		Store: a.store, Policies: policies{a.shelf}, Key: a.keys.permit, Issuer: a.cfg.Ledger.Name, Log: a.signer,
		Executor: a.executorOf, Signals: a.signals, Keep: a.verify.keep, CheckApproval: check, SingleOperator: a.cfg.SingleOperator, Frozen: a.frozen, CheckKey: checkKey, Announce: a.announce, Seems: seems,
	})
	return err
}

// executorOf names the system that performs a type of action. Contact points
// and authenticators are changed by the gate itself, whatever is configured.
func (a *app) executorOf(tenant ringfence.TenantID, action string) string {
	if known, ok := a.shelf.Policy(tenant).Action(action); ok && gate.Performs(known) {
		return gate.Self
	}
	for _, e := range a.cfg.Executors {
		if slices.Contains(e.Actions, action) {
			return e.Name
		}
	}
	return ""
}

// joinCalls joins the telephone edge, the signature check and the runner.
func (a *app) joinCalls(ctx context.Context, o appOptions) error {
	trust := o.Roots
	if trust == nil && a.cfg.STIR.Roots != "" {
		list, err := stirshaken.LoadTrustList(a.cfg.STIR.Roots)
		if err != nil {
			return fmt.Errorf("stirshaken.roots: %w", err)
		}
		trust = list
	}
	a.metrics = newMetrics(func() int {
		if a.runner == nil {
			return 0
		}
		return a.runner.Active()
	})
	a.metrics.reg.MustRegister(a.said.total)
	marks, err := a.marks(ctx)
	if err != nil {
		return err
	}
	if a.stir, err = stirshaken.NewVerifier(stirshaken.Config{Trust: trust, Freshness: a.cfg.STIR.MaxAge, Marks: marks,
		Home: home(a.cfg.STIR.Home), Observer: a.metrics,
		Fetch: stirshaken.FetchConfig{LabCertificateHosts: a.cfg.STIR.LabHosts}}); err != nil {
		return fmt.Errorf("stirshaken: %w", err)
	}
	if a.speech, err = newVoice(a.cfg, a.shelf.Audio, a.log); err != nil {
		return err
	}
	edge, err := edgeConfig(a.cfg)
	if err != nil {
		return err
	}
	if err := a.joinTrace(&edge); err != nil {
		return err
	}
	a.metrics.attending(a.recorder.Counts, a.hep)
	if a.cdrs, err = newCDRs(a.cfg.SIP.CDR, a.log); err != nil {
		return err
	}
	if a.cdrs != nil {
		edge.CDR = a.cdrs.add
	}
	a.joinIntake(&edge)
	a.joinBans(&edge)
	if a.ua, err = b2bua.New(edge, b2bua.HandlerFunc(a.inbound), a.log); err != nil {
		return err
	}
	if a.sign, err = newSigner(a.cfg.STIR); err != nil {
		return err
	}
	a.identity = identity{v: a.stir, ours: ownNumbers(a.cfg), reason: a.cfg.STIR.Reason, reject: a.cfg.STIR.Mode == "reject"}
	a.runner, err = runner.New(runner.Config{
		Sign: newSign(a.sign, a.cfg.STIR, a.log), SignOn: newSignOn(a.sign, a.cfg.STIR, a.log),
		Rooms: runner.Rooms{Verify: a.verify.verifier, Desk: a.verify.desk, Gate: a.gate},
		Store: a.store, Phone: phone{a.ua}, Voice: a.speech, Identity: a.identity,
		Directory: a.routing, Bundles: a.shelf, Music: voice.HoldMusic(), Delays: o.Delays, Log: a.log,
		Attend: func(m runner.Moment) { a.attend(a.life, m) },
	})
	return err
}

// newVoice joins the shipped recordings, those that bundles name, and the
// machine's voice.
func newVoice(cfg config.Config, file func(context.Context, ringfence.Digest) ([]byte, error), log *slog.Logger) (*voice.Voice, error) {
	library, err := voice.Open(scripts.Audio())
	if err != nil {
		return nil, fmt.Errorf("shipped audio: %w", err)
	}
	vc := voice.Config{Library: library, TTSVoice: cfg.TTS.Voice, CacheDir: filepath.Join(cfg.Data, "tts"), File: file,
		Warn: func(err error) { log.Warn("voice", "err", err) }}
	switch {
	case len(cfg.TTS.Command) > 0:
		vc.TTS = &voice.Command{Argv: cfg.TTS.Command, Timeout: cfg.TTS.Timeout}
	case cfg.TTS.URL != "":
		vc.TTS = &voice.Endpoint{URL: cfg.TTS.URL, Timeout: cfg.TTS.Timeout}
	}
	return voice.New(vc)
}

// serverTLS reads certificate and key at each handshake, so that they are
// renewed without a restart.
func serverTLS(t config.TLS) (*tls.Config, error) {
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		return &cert, err
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	conf := &tls.Config{GetCertificate: load, MinVersion: tls.VersionTLS12}
	if t.Client {
		pool, err := certPool(t.CA)
		if err != nil {
			return nil, err
		}
		conf.ClientCAs, conf.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

func certPool(path string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// start binds everything and begins to take calls.
func (a *app) start(ctx context.Context) error {
	if err := a.checkHead(ctx); err != nil {
		return err
	}
	if err := a.storeClients(ctx); err != nil {
		return err
	}
	if err := a.listenWeb(); err != nil {
		return err
	}
	if err := a.ua.Start(context.WithoutCancel(ctx)); err != nil {
		if a.meter != nil {
			err = errors.Join(err, a.meter.Close())
		}
		return errors.Join(err, a.staff.Close(), a.public.Close())
	}
	tick, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stopTick = stop
	a.work.Go(func() { a.watchSTIR(tick) })
	if a.banned != nil {
		a.work.Go(func() { a.banned.share(tick, a.ua.Ban) })
	}
	if a.cdrs != nil {
		a.work.Go(func() { a.cdrs.run(tick) })
	}
	for _, t := range a.cfg.Tenants {
		tenant := tenantOr(t.ID)
		if err := a.shelf.Remember(ctx, tenant); err != nil {
			a.log.Error("the scripts are not kept for after an upgrade", "tenant", string(tenant), "err", err)
		}
		a.work.Go(func() { a.shelf.Run(tick, tenant) })
		if a.meter != nil {
			a.work.Go(func() { a.metrics.run(tick, a, tenant) })
		}
		a.work.Go(func() { a.ticks(tick, tenant) })
		if err := a.recorder.Recover(ctx, tenant); err != nil {
			a.log.Error("recordings of an earlier process not concluded", "tenant", string(tenant), "err", err)
		}
		a.work.Go(func() { a.keepRecordings(tick, tenant) })
		a.work.Go(func() { a.follow(tick, tenant) })
		for _, s := range a.cfg.Telemetry.SIEM {
			a.work.Go(func() { a.tellSIEM(tick, tenant, s) })
		}
		a.work.Go(func() { a.checkpoints(tick, tenant) })
		a.work.Go(func() { a.watchAlerts(tick, tenant) })
		a.work.Go(func() { a.notices(tick, tenant) })
		a.work.Go(func() { a.hooks.Run(tick, tenant) })
		a.work.Go(func() { a.overdue(tick, tenant) })
		if err := a.runner.Resume(ctx, tenant, a.routing.LineNamed); err != nil {
			a.log.Error("suspended calls not taken up", "tenant", string(tenant), "err", err)
		}
	}
	return nil
}

// ticks moves what time moves, every second.
func (a *app) ticks(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := errors.Join(a.lookAtClock(ctx, tenant), a.gate.Tick(ctx, tenant), a.verify.verifier.Tick(ctx, tenant)); err != nil && ctx.Err() == nil {
			a.log.Error("tick", "tenant", string(tenant), "err", err)
		}
	}
}

// listenWeb binds the two origins.
func (a *app) listenWeb() (err error) {
	if a.staffL, a.staff, err = webServer(a.cfg.Web.Staff, a.whenFit(a.web.Staff())); err != nil {
		return fmt.Errorf("web.staff: %w", err)
	}
	if a.publicL, a.public, err = webServer(a.cfg.Web.Public, a.whenFit(a.web.Public())); err != nil {
		return errors.Join(fmt.Errorf("web.public: %w", err), a.staffL.Close())
	}
	if a.cfg.Web.Metrics != "" {
		ln, srv, err := a.metrics.listen(a.cfg.Web.Metrics)
		if err != nil {
			return errors.Join(fmt.Errorf("web.metrics: %w", err), a.staffL.Close(), a.publicL.Close())
		}
		a.meter = srv
		a.work.Go(func() { a.serveWeb(srv, ln, config.WebListener{}) })
	}
	a.work.Go(func() { a.serveWeb(a.staff, a.staffL, a.cfg.Web.Staff) })
	a.work.Go(func() { a.serveWeb(a.public, a.publicL, a.cfg.Web.Public) })
	return nil
}

func webServer(l config.WebListener, h http.Handler) (net.Listener, *http.Server, error) {
	ln, err := net.Listen("tcp", l.Listen)
	if err != nil {
		return nil, nil, err
	}
	srv := &http.Server{Handler: within(l.Networks, h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	if l.TLS.Cert != "" {
		if srv.TLSConfig, err = serverTLS(l.TLS); err != nil {
			return nil, nil, errors.Join(err, ln.Close())
		}
	}
	return ln, srv, nil
}

// within answers 404 to addresses outside the networks, if there are any.
func within(networks []netip.Prefix, h http.Handler) http.Handler {
	if len(networks) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) }) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (a *app) serveWeb(srv *http.Server, ln net.Listener, l config.WebListener) {
	var err error
	if l.TLS.Cert != "" {
		err = srv.ServeTLS(ln, "", "")
	} else {
		err = srv.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		a.log.Error("web listener ended", "addr", ln.Addr().String(), "err", err)
	}
}

// drain refuses new calls and waits for those in progress, until ctx ends.
func (a *app) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() { defer close(done); a.runner.Drain(ctx) }()
	if err := a.ua.Drain(ctx); err != nil {
		a.log.Warn("calls in progress were ended", "err", err)
	}
	<-done
}

// close ends everything that is left; a call in progress is hung up.
func (a *app) close(ctx context.Context) error {
	err := a.ua.Close()
	if a.staff != nil {
		err = errors.Join(err, shutdownWeb(ctx, a.staff), shutdownWeb(ctx, a.public))
	}
	if a.meter != nil {
		err = errors.Join(err, shutdownWeb(ctx, a.meter))
	}
	if a.stopTick != nil {
		a.stopTick()
	}
	a.recorder.Close()
	close(a.stopping)
	if a.hep != nil {
		a.hep.Close()
	}
	a.work.Wait()
	a.stir.Close()
	if a.shared != nil {
		err = errors.Join(err, a.shared.Close())
	}
	return errors.Join(err, a.store.Close())
}

// shutdownWeb waits a second for requests in progress; event streams are cut.
func shutdownWeb(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return srv.Close()
	}
	return nil
}

// origin is scheme and host of a configured address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// hostOf is the host name of a configured address, without a port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// home is the country of numbers that are written without one.
func home(code string) stirshaken.Home {
	switch code {
	case "":
		return stirshaken.Home{}
	case "1": // ITU-T E.164 zone 1 (NANP)
		return stirshaken.Home{Country: code, International: "011", Trunk: "1", NationalDigits: 10}
	default: // the ITU's recommended prefixes, E.123
		return stirshaken.Home{Country: code, International: "00", Trunk: "0"}
	}
}
