package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// TrunkPeer is who a trunk's peer is, and who we are to it.
type TrunkPeer struct {
	// Host is the peer's SIP domain. Without addrs its servers are found by DNS
	// (NAPTR, SRV, addresses).
	Host      string        `koanf:"host"`
	Proxy     bool          `koanf:"proxy"` // addrs are an outbound proxy for host
	Username  string        `koanf:"username"`
	Password  Secret        `koanf:"password"`
	Realm     string        `koanf:"realm"`     // the only one that password is given to
	PeerName  string        `koanf:"peer_name"` // DNS name that its client certificate must carry
	Cert      string        `koanf:"cert"`      // our client certificate
	Key       string        `koanf:"key"`
	Register  bool          `koanf:"register"` // keep a binding at its registrar
	Expires   time.Duration `koanf:"expires"`  // of the binding; 1h
	Ping      time.Duration `koanf:"ping"`     // between OPTIONS to each address; 30s for a trunk with outbound, -1s = never
	TrunkCaps `koanf:",squash"`
	Bare      bool `koanf:"bare"` // numbers without a leading plus
	Delayed   bool `koanf:"delayed_offer"`
}

// Every is how often the peer is asked whether it takes calls; 0 is never.
func (t TrunkPeer) Every() time.Duration {
	switch {
	case t.Ping < 0:
		return 0
	case t.Ping == 0:
		return 30 * time.Second
	default:
		return t.Ping
	}
}

// checkPeers judges what says who a peer is.
func (c *Config) checkPeers(p *problems) {
	for _, t := range c.SIP.Trunks {
		key := "sip.trunks." + t.Name
		if t.Password.Reveal() != "" && t.Realm == "" {
			p.add("%s.password: set realm to what the carrier's challenges name, so that the password is given to nobody else", key)
		}
		c.checkTransfer(p, key, t)
		t.TrunkCaps.check(p, key)
		if (t.Cert == "") != (t.Key == "") {
			p.add("%s: a client certificate needs both cert and key", key)
		}
		if t.Cert != "" && t.Transport != "tls" {
			p.add("%s.cert: only tls shows certificates: set transport: tls", key)
		}
		for _, n := range t.ConnectedAs {
			if len(onlyDigits(n)) < 7 {
				p.add("%s.connected_as: %q is no whole number, such as \"442079460000\"", key, n)
			}
		}
		for _, codec := range t.Codecs {
			p.oneOf(key+".codecs", codec, "PCMU", "PCMA", "G722", "opus")
		}
		if t.Register && t.Host == "" && len(t.Addrs) == 0 {
			p.add("%s.register: name the registrar by host or addrs", key)
		}
		if t.Register && t.Username == "" && t.From == "" {
			p.add("%s.register: set username, or from, to the address that is registered", key)
		}
		if _, err := netip.ParseAddr(t.Host); err == nil || strings.ContainsAny(t.Host, " @/;") {
			p.add("%s.host is %q: want a domain such as sip.example.com; addresses stand in addrs", key, t.Host)
		}
	}
}

// checkTransfer judges where phones may have calls go on.
func (c *Config) checkTransfer(p *problems, key string, t Trunk) {
	if len(t.Transfer) > 0 && !t.Agents {
		p.add("%s.transfer: only agents' phones may have calls go on elsewhere: set agents: true, or leave transfer out", key)
	}
	for _, to := range t.Transfer {
		if to != "agents" && !slices.ContainsFunc(c.Queues, func(q Queue) bool { return q.Name == to }) {
			p.add("%s.transfer: %q is neither agents nor a queue", key, to)
		}
	}
}
