package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// system tells administrators what is configured and how it stands. Lines,
// queues and names are the tenant's own; trunks, listeners and keys are the
// installation's, and shown to the default tenant only.
func (a *app) system(ctx context.Context, tenant ringfence.TenantID) (web.System, error) {
	out := web.System{Tenants: []web.SystemTenant{}, Listeners: []web.SystemListener{}, Trunks: []web.SystemTrunk{}, Lines: a.systemLines(tenant),
		Queues: a.systemQueues(ctx, tenant), Executors: []web.SystemExecutor{}, Keys: []web.SystemKey{}, Kept: a.kept(), Carried: carried(a.cfg), Warnings: []string{}}
	owner := tenant == ringfence.DefaultTenant
	for _, t := range a.cfg.Tenants {
		if id := tenantOr(t.ID); owner || id == tenant {
			out.Tenants = append(out.Tenants, web.SystemTenant{ID: id, Name: t.Name, Language: t.Language, Host: t.Host})
		}
	}
	if !owner {
		return out, nil
	}
	out.Listeners, out.Trunks, out.Executors = a.systemListeners(), a.systemTrunks(), a.systemExecutors()
	out.Keys = append(a.signingKeys(), certificates(a.cfg)...)
	out.Warnings = append(out.Warnings, warnings(a.cfg)...)
	return out, nil
}

func (a *app) systemListeners() []web.SystemListener {
	out := []web.SystemListener{}
	bound := a.ua.Addrs()
	for _, l := range a.cfg.SIP.Listeners {
		one := web.SystemListener{Name: l.Name, Transport: l.Transport, Addr: l.Addr, Trunks: append([]string{}, l.Trunks...)}
		if at, ok := bound[l.Name]; ok {
			one.Bound, one.Addr = true, at.String()
		}
		out = append(out, one)
	}
	return out
}

func (a *app) systemTrunks() []web.SystemTrunk {
	out := []web.SystemTrunk{}
	bindings := a.ua.Registrations()
	status := a.ua.Trunks()
	for i, t := range a.cfg.SIP.Trunks {
		one := web.SystemTrunk{Name: t.Name, Transport: cmp.Or(t.Transport, "udp"), Outbound: t.Outbound, Agents: t.Agents, Peers: []web.SystemPeer{}}
		if i < len(status) {
			one.Calls = status[i].Calls
			for _, p := range status[i].Peers {
				one.Peers = append(one.Peers, web.SystemPeer{Addr: p.Addr.String(), Health: p.TakesCalls})
			}
		}
		for _, b := range bindings {
			if b.Trunk == t.Name {
				one.Binding, one.Code, one.Until = string(b.State), b.Code, b.Until
			}
		}
		out = append(out, one)
	}
	return out
}

func (a *app) systemLines(tenant ringfence.TenantID) []web.SystemLine {
	out := []web.SystemLine{}
	for _, l := range a.cfg.Lines {
		if tenantOr(l.Tenant) != tenant {
			continue
		}
		one := web.SystemLine{Name: l.Name, Numbers: append([]string{}, l.Numbers...), Flow: l.Flow, Fallback: l.Fallback, Zone: l.Zone, Hours: append([]string{}, l.Hours...)}
		if l.Kind != "" {
			one.Flow = l.Kind
		}
		open := a.routing.line(l).Open
		one.Open = open == nil || open(time.Now())
		if l.Record.On {
			one.Recorded = l.Record.ClassOr()
		}
		out = append(out, one)
	}
	return out
}

func (a *app) systemQueues(ctx context.Context, tenant ringfence.TenantID) []web.SystemQueue {
	out := []web.SystemQueue{}
	for _, q := range a.cfg.Queues {
		if tenantOr(q.Tenant) != tenant {
			continue
		}
		one := web.SystemQueue{Name: q.Name, People: append([]string{}, q.People...), URI: q.URI, Strategy: cmp.Or(q.Strategy, "ring_all")}
		if q.URI == "" {
			one.Ready = len(a.routing.staff(ctx, tenant, q).Ready)
		}
		out = append(out, one)
	}
	return out
}

func (a *app) systemExecutors() []web.SystemExecutor {
	out := []web.SystemExecutor{}
	for _, e := range a.cfg.Executors {
		one := web.SystemExecutor{Name: e.Name, Actions: append([]string{}, e.Actions...), Proof: "none"}
		switch {
		case e.Key != "":
			one.Proof = "dpop"
		case e.Certificate != "":
			one.Proof = "certificate"
		}
		if u, err := url.Parse(e.Webhook); err == nil {
			one.Webhook = u.Host // the path may hold a secret
		}
		out = append(out, one)
	}
	return out
}

// signingKeys names the keys that ringfence keeps itself, by the hash of their
// public half.
func (a *app) signingKeys() []web.SystemKey {
	id := func(public []byte) string {
		sum := sha256.Sum256(public)
		return hex.EncodeToString(sum[:8])
	}
	permit, _ := x509.MarshalPKIXPublicKey(a.keys.permit.Public()) // Ed25519 always marshals
	head, _ := x509.MarshalPKIXPublicKey(a.keys.ledger.Public())
	return []web.SystemKey{
		{Name: "permit.pem", For: "signs permits", ID: id(permit), Where: "ringfence keys rotate"},
		{Name: "ledger.pem", For: "signs checkpoints of the ledger", ID: id(head), Where: "ringfence keys rotate"},
	}
}

// certificates reads the end of every certificate that the configuration names.
func certificates(cfg config.Config) []web.SystemKey {
	var out []web.SystemKey
	add := func(what, path, where string) {
		if path == "" {
			return
		}
		one := web.SystemKey{Name: where, For: what, Where: where}
		leaf, err := firstCertificate(path)
		if err != nil {
			one.Fault = "It cannot be read."
		} else {
			one.ID, one.Until = leaf.Subject.CommonName, leaf.NotAfter
			if one.ID == "" {
				one.ID = strings.Join(leaf.DNSNames, ", ")
			}
		}
		out = append(out, one)
	}
	for _, l := range cfg.SIP.Listeners {
		add("SIP over TLS", l.TLS.Cert, "sip.listeners."+l.Name+".tls.cert")
	}
	for _, t := range cfg.SIP.Trunks {
		add("who we are to the trunk", t.Cert, "sip.trunks."+t.Name+".cert")
	}
	add("console", cfg.Web.Staff.TLS.Cert, "web.staff.tls.cert")
	add("callers' pages", cfg.Web.Public.TLS.Cert, "web.public.tls.cert")
	add("signs the calls we place", cfg.STIR.Sign.Cert, "stirshaken.sign.cert")
	return out
}

func firstCertificate(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// kept says how long what is kept.
func (a *app) kept() []web.SystemFact {
	out := []web.SystemFact{{What: "Ledger", Says: "for ever; erasing a subject destroys their key", Where: "not configurable"},
		{What: "Checkpoint signed", Says: "every " + a.cfg.Ledger.Checkpoints.Every.String(), Where: "ledger.checkpoints.every"},
		{What: "Checkpoints copied to", Says: cmp.Or(a.cfg.Ledger.Checkpoints.CopyTo, "nowhere: a rolled-back store would not be noticed"), Where: "ledger.checkpoints.copy_to"}}
	keep := a.cfg.Media.Recording.Retention()
	classes := make([]string, 0, len(keep))
	for class := range keep {
		classes = append(classes, class)
	}
	slices.Sort(classes)
	for _, class := range classes {
		out = append(out, web.SystemFact{What: "Recordings, class " + class, Says: fmt.Sprintf("%d days", int(keep[class].Hours()/24)), Where: "media.recording.retention_days"})
	}
	return append(out, web.SystemFact{What: "Call records", Says: cmp.Or(a.cfg.SIP.CDR, "none are written"), Where: "sip.cdr"})
}

// carried says by whom messages and alerts travel.
func carried(cfg config.Config) []web.SystemFact {
	pick := func(on bool, says, off string) string {
		if on {
			return says
		}
		return off
	}
	hook := ""
	if u, err := url.Parse(cfg.Deliver.Webhook.URL); err == nil {
		hook = u.Host
	}
	sms := pick(cfg.Deliver.Outbox, "files in the data folder (lab)", pick(cfg.Deliver.Twilio.AccountSID != "", "Twilio", pick(hook != "", "webhook to "+hook, "nobody: codes and links cannot be sent")))
	return []web.SystemFact{
		{What: "SMS", Says: sms, Where: "deliver"},
		{What: "E-mail", Says: pick(cfg.Deliver.Outbox, "files in the data folder (lab)", pick(cfg.Deliver.SMTP.Addr != "", cfg.Deliver.SMTP.Addr, "nobody: notices are not sent")), Where: "deliver.smtp"},
		{What: "Alerts", Says: "on the board; to a SIEM when one is configured", Where: "telemetry.siem"},
		{What: "Numbers that may be rung or written to", Says: pick(len(cfg.Verify.Prefixes) > 0, "+"+strings.Join(cfg.Verify.Prefixes, ", +"), "none"), Where: "verify.prefixes"},
		{What: "Trusted signatures of callers", Says: pick(cfg.STIR.Roots != "", cfg.STIR.Roots, "none: no signature verifies"), Where: "stirshaken.roots"},
	}
}

// queued reports whether a queue names a person.
func (a *app) queued(tenant ringfence.TenantID, p ringfence.Person) bool {
	return slices.ContainsFunc(a.cfg.Queues, func(q config.Queue) bool {
		return tenantOr(q.Tenant) == tenant && (q.URI != "" || slices.Contains(q.People, everyAgent) || slices.Contains(q.People, strings.ToLower(p.Email)))
	})
}
