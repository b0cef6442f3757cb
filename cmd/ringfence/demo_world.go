package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/verify/deliver/twilio/twiliotest"
	"github.com/ringfence/ringfence/web"
)

// The numbers of the demo: Ofcom's ranges for drama.
const (
	demoFirm         = "Acme"
	demoCustomerLine = "442079460990"
	demoAccountsLine = "442079460991"
	demoExecutor     = "corebank"
)

// demo is the engine with everybody around it.
type demo struct {
	t         *transcript
	shape     demoShape
	dir       string
	keep      bool // the folder
	cfg       config.Config
	app       *app
	authority *lab.Authority
	carrier   *lab.Exchange // the outside world
	office    *lab.Exchange // the firm's own telephones
	provider  *twiliotest.Server
	handsets  lab.Handsets
	staff     demoStaff
	people    demoPeople
	bank      *lab.Executor
	log       *os.File

	stop  context.CancelFunc // ends what runs beside the calls
	work  sync.WaitGroup
	first lab.Permit // of Ada's change, to be replayed

	mu       sync.Mutex
	approved []approvedAction // guarded by mu
}

// approvedAction is an action that its customer approved, with the proofs.
type approvedAction struct {
	release lab.Release
	proofs  []ringfence.Evidence
}

// demoShape is what another play with the same telephones changes. The zero
// value is the demo itself.
type demoShape struct {
	configure func(*config.Config) error      // after the demo's own
	scripts   func(dir string) error          // instead of the demo's
	people    func(ctx context.Context) error // instead of the demo's
}

// newDemo starts everybody.
func newDemo(ctx context.Context, t *transcript, keep bool) (*demo, error) {
	d := &demo{t: t, keep: keep}
	d.shape.people, d.shape.scripts = d.openPeople, d.demoScripts
	return d, openDemo(ctx, d)
}

// openDemo starts everybody. It says what it does, because it takes a moment.
func openDemo(ctx context.Context, d *demo) (err error) {
	t := d.t
	t.scene("Starting", "everybody on free ports of this machine")
	if d.dir, err = os.MkdirTemp("", "ringfence-demo-"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close(context.WithoutCancel(ctx)))
		}
	}()
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	for _, step := range []struct {
		says string
		do   func(context.Context) error
	}{
		{"a certificate authority and a carrier that signs calls", d.openCarrier},
		{"a provider of text messages", func(context.Context) error { return d.openProvider(beside) }},
		{"the engine: telephones, flows, gate, ledger, console", d.openEngine},
		{"staff with passkeys; two of them sign the first import", d.shape.people},
	} {
		t.tell("", "%s", step.says)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return nil
}

func (d *demo) openCarrier(context.Context) error {
	library, err := voice.Open(scripts.Audio())
	if err != nil {
		return err
	}
	if d.authority, err = lab.NewAuthority(time.Now()); err != nil {
		return err
	}
	if d.carrier, err = lab.NewExchange(lab.ExchangeConfig{Name: "carrier", Library: library, Sign: d.authority.Sign, Log: d.t.event}); err != nil {
		return err
	}
	d.office, err = lab.NewExchange(lab.ExchangeConfig{Name: "office", Library: library, Log: d.t.event})
	return err
}

// openProvider starts the provider and carries its messages to the handsets,
// until ctx ends.
func (d *demo) openProvider(ctx context.Context) error {
	var err error
	if d.provider, err = twiliotest.Start(""); err != nil {
		return err
	}
	texts := make(chan twiliotest.Message, 100)
	d.provider.Hear(texts)
	d.work.Go(func() {
		for {
			select {
			case m := <-texts:
				d.handsets.Deliver(m.To, m.Body)
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// openEngine starts ringfence itself, as `serve` does.
func (d *demo) openEngine(ctx context.Context) error {
	if err := d.configure(); err != nil {
		return err
	}
	d.cfg.Scripts = filepath.Join(d.dir, "scripts")
	if err := d.shape.scripts(d.cfg.Scripts); err != nil {
		return err
	}
	roots := filepath.Join(d.dir, "roots.pem")
	if err := os.WriteFile(roots, d.authority.RootPEM(), 0o600); err != nil {
		return err
	}
	d.cfg.STIR.Roots = roots
	var err error
	if d.log, err = os.OpenFile(filepath.Join(d.dir, "engine.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	log := newLog(config.Telemetry{LogLevel: "info"}, d.log)
	if d.app, err = newApp(context.WithoutCancel(ctx), d.cfg, appOptions{Volatile: true, Delays: []time.Duration{2 * time.Second}, Log: log}); err != nil {
		return err
	}
	if err := d.app.start(context.WithoutCancel(ctx)); err != nil {
		err = errors.Join(err, d.app.store.Close())
		d.app = nil
		return err
	}
	gateway := d.app.ua.Addrs()["sip"]
	d.carrier.Connect(gateway)
	d.office.Connect(gateway)
	return nil
}

// configure fills in what a ringfence.yaml would say.
func (d *demo) configure() error {
	staff, public, err := freePorts()
	if err != nil {
		return err
	}
	credential, err := randomHex()
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Data = filepath.Join(d.dir, "data")
	cfg.Tenants = []config.Tenant{{ID: string(ringfence.DefaultTenant), Name: demoFirm, Language: "en"}}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	cfg.SIP.Listeners = []config.Listener{{Name: "sip", Transport: "udp", Addr: "127.0.0.1:0"}}
	cfg.SIP.Trunks = []config.Trunk{
		{Name: "carrier", Addrs: []string{d.carrier.Addr().String()}, Transport: "udp", Sources: loopback, From: demoCustomerLine, Outbound: true, SRTP: "off"},
		{Name: "office", Addrs: []string{d.office.Addr().String()}, Transport: "udp", Agents: true, SRTP: "off"},
	}
	cfg.Web.Staff = config.WebListener{Listen: fmt.Sprintf("127.0.0.1:%d", staff), URL: fmt.Sprintf("http://localhost:%d", staff)}
	cfg.Web.Public = config.WebListener{Listen: fmt.Sprintf("127.0.0.1:%d", public), URL: fmt.Sprintf("http://localhost:%d", public)}
	cfg.STIR.LabHosts, cfg.STIR.Home = []string{d.authority.Host()}, "44"
	cfg.Verify.Firm, cfg.Verify.Prefixes = demoFirm, []string{"44"}
	cfg.Deliver.Twilio = config.Twilio{AccountSID: twiliotest.Account, AuthToken: config.NewSecret(twiliotest.Secret), From: twiliotest.From, BaseURL: d.provider.URL}
	if d.bank, err = lab.NewExecutor(demoExecutor, cfg.Web.Staff.URL); err != nil {
		return err
	}
	d.bank.Use(string(ringfence.DefaultTenant) + "." + web.ConfiguredClientID(demoExecutor) + "." + credential)
	cfg.Executors = []config.Executor{{Name: demoExecutor, Actions: []string{"bank_change", "payment", "invoice"}, Credential: config.NewSecret(credential)}}
	cfg.Ledger.Checkpoints.CopyTo = filepath.Join(d.dir, "elsewhere")
	cfg.Lines = []config.Line{
		{Name: "customers", Numbers: []string{demoCustomerLine}, Flow: "customer-line", Fallback: "customer_service", Zone: "Europe/London"},
		{Name: "accounts", Numbers: []string{demoAccountsLine}, Flow: "accounts-line", Fallback: "payments_clerk", Zone: "Europe/London"},
	}
	for queue, person := range map[string]string{"customer_service": emailAlice, "payments_desk": emailAlice, "fraud_desk": emailFrank, "payments_clerk": emailClara} {
		cfg.Queues = append(cfg.Queues, config.Queue{Name: queue, People: []string{person}})
	}
	if d.shape.configure != nil {
		if err := d.shape.configure(&cfg); err != nil {
			return err
		}
	}
	d.cfg = cfg
	return cfg.Check()
}

// freePorts finds two ports. The origins stand in passkeys, so they must be
// known before anything listens.
func freePorts() (int, int, error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

func randomHex() (string, error) {
	var b [32]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// close ends everybody, the engine last but the peers' sockets, and throws the
// folder away.
func (d *demo) close(ctx context.Context) error {
	var errs []error
	if d.stop != nil {
		d.stop()
	}
	if d.app != nil {
		short, cancel := context.WithTimeout(ctx, time.Second) // calls in progress are hung up
		d.app.drain(short)
		cancel()
		errs = append(errs, d.app.close(ctx))
	}
	for _, x := range []*lab.Exchange{d.carrier, d.office} {
		if x != nil {
			errs = append(errs, x.Close())
		}
	}
	if d.provider != nil {
		errs = append(errs, d.provider.Close())
	}
	if d.authority != nil {
		errs = append(errs, d.authority.Close())
	}
	d.work.Wait()
	if d.log != nil {
		errs = append(errs, d.log.Close())
	}
	if d.keep {
		d.t.line("kept: %s", d.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
