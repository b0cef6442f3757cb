package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/config"
)

// edgeConfig turns the configuration of SIP and media into the edge's.
func edgeConfig(cfg config.Config) (b2bua.Config, error) {
	out := b2bua.Config{Media: rtp.Config{PortMin: cfg.Media.PortMin, PortMax: cfg.Media.PortMax, DeadAfter: cfg.SIP.Limits.SilentAfter},
		Limits: b2bua.Limits{Calls: cfg.SIP.Limits.Calls, Reserve: cfg.SIP.Limits.Reserve, CallTime: cfg.SIP.Limits.MaxDuration, Setups: cfg.SIP.Limits.Setups,
			CallRate: cfg.SIP.Limits.PerSecond, StrangerRate: cfg.SIP.Limits.PerSource}, Strangers: b2bua.StrangersDrop, Emergency: cfg.SIP.Emergency.Numbers}
	if cfg.SIP.Limits.AnswerStranger {
		out.Strangers = b2bua.StrangersRefuse
	}
	if cfg.Media.Bind != "" {
		addr, err := netip.ParseAddr(cfg.Media.Bind)
		if err != nil {
			return out, fmt.Errorf("media.bind: %q is no address", cfg.Media.Bind)
		}
		out.Media.Bind = addr
	}
	out.BrowserAddrs = browserAddrs(cfg.Media)
	for _, l := range cfg.SIP.Listeners {
		listener := b2bua.Listener{Name: l.Name, Transport: l.Transport, Addr: l.Addr, External: l.External, Trunks: l.Trunks}
		if l.Transport == "tls" {
			conf, err := serverTLS(l.TLS)
			if err != nil {
				return out, fmt.Errorf("sip.listeners.%s: %w", l.Name, err)
			}
			listener.TLS = conf
		}
		out.Listeners = append(out.Listeners, listener)
	}
	out.Tenant = tenantOfCall(cfg)
	for _, t := range cfg.SIP.Trunks {
		t.PerAddress = cmp.Or(t.PerAddress, cfg.SIP.Limits.PerAddress)
		trunk, err := edgeTrunk(t)
		if err != nil {
			return out, fmt.Errorf("sip.trunks.%s: %w", t.Name, err)
		}
		out.Trunks = append(out.Trunks, trunk)
	}
	return out, nil
}

// edgeTrunk turns one trunk of the configuration into the edge's.
func edgeTrunk(t config.Trunk) (b2bua.Trunk, error) {
	out := b2bua.Trunk{Name: t.Name, Addrs: t.Addrs, Host: t.Host, Proxy: t.Proxy, Transport: t.Transport, Sources: t.Sources,
		Username: t.Username, Password: t.Password.Reveal(), Realm: t.Realm, PeerName: t.PeerName, TrustIdentity: t.Trusted, SRTP: t.SRTP,
		Codecs: t.Codecs, From: t.From, Outbound: t.Outbound || t.Agents, Calls: t.Calls, Kept: t.Kept, CallsPerSource: t.PerAddress, Bare: t.Bare, Ping: t.Every(), DelayedOffer: t.Delayed, Phones: t.Agents}
	for _, n := range t.ConnectedAs {
		out.ConnectedAs = append(out.ConnectedAs, digitsOf(n))
	}
	if t.Register {
		user := t.Username
		if user == "" {
			user = t.From
		}
		out.Register = &b2bua.Register{User: user, Expires: t.Expires}
	}
	if t.CA == "" && t.Cert == "" {
		return out, nil
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pool, err := certPool(t.CA)
		if err != nil {
			return out, fmt.Errorf("ca: %w", err)
		}
		out.TLS.RootCAs = pool
	}
	if t.Cert == "" {
		return out, nil
	}
	// Read at each handshake, so that it is renewed without a restart.
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		return &cert, err
	}
	if _, err := load(nil); err != nil {
		return out, fmt.Errorf("cert: %w", err)
	}
	out.TLS.GetClientCertificate = load
	return out, nil
}

// silentListeners names the listeners that no trunk can use: everybody who calls
// there gets silence.
func silentListeners(cfg config.Config) []string {
	var out []string
	for _, l := range cfg.SIP.Listeners {
		if !slices.ContainsFunc(cfg.SIP.Trunks, func(t config.Trunk) bool {
			transport := cmp.Or(t.Transport, "udp")
			return transport == l.Transport && (len(l.Trunks) == 0 || slices.Contains(l.Trunks, t.Name))
		}) {
			out = append(out, "sip.listeners."+l.Name+": no trunk has transport "+l.Transport+", so whoever calls there gets no answer")
		}
	}
	return out
}
