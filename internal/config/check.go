package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Check judges a configuration and names everything that is wrong, each in a
// line that says what to change.
func (c *Config) Check() error {
	p := &problems{}
	c.checkSIP(p)
	c.checkWeb(p)
	c.checkRouting(p)
	c.checkRest(p)
	c.checkWebhooks(p)
	c.checkRecording(p)
	c.checkTelemetry(p)
	c.checkLimits(p)
	c.checkCaps(p)
	c.checkProofing(p)
	c.checkSignals(p)
	c.checkForks(p)
	c.checkRecorders(p)
	c.checkSIEM(p)
	return errors.Join(p.all...)
}

type problems struct{ all []error }

func (p *problems) add(format string, args ...any) {
	p.all = append(p.all, fmt.Errorf(format, args...))
}

func (p *problems) oneOf(key, have string, want ...string) {
	if !slices.Contains(want, have) {
		p.add("%s is %q: want %s", key, have, strings.Join(want, " or "))
	}
}

// Loopback reports whether host:port is on this machine only.
func Loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// AllLoopback reports whether every SIP listener is on this machine only.
func (c *Config) AllLoopback() bool {
	return !slices.ContainsFunc(c.SIP.Listeners, func(l Listener) bool { return !Loopback(l.Addr) })
}

func (c *Config) checkSIP(p *problems) {
	names := map[string]bool{}
	for _, t := range c.SIP.Trunks {
		if t.Name == "" || names[t.Name] {
			p.add("sip.trunks: each trunk needs a name of its own, %q is none", t.Name)
		}
		names[t.Name] = true
		if t.SRTP != "" {
			p.oneOf("sip.trunks."+t.Name+".srtp", t.SRTP, "required", "optional", "off")
		}
		if t.Transport != "" {
			p.oneOf("sip.trunks."+t.Name+".transport", t.Transport, "udp", "tcp", "tls")
		}
		if len(t.Addrs) == 0 && len(t.Sources) == 0 && t.Host == "" {
			p.add("sip.trunks.%s: name addrs to call it, or host, or sources to be called by it", t.Name)
		}
		for _, s := range t.Sources {
			if s.Bits() == 0 {
				p.add("sip.trunks.%s.sources: %s is the whole Internet: name the carrier's networks", t.Name, s)
			}
		}
	}
	c.checkPeers(p)
	c.checkEmergency(p)
	seen := map[string]bool{}
	for _, l := range c.SIP.Listeners {
		key := "sip.listeners." + l.Name
		if l.Name == "" || seen[l.Name] {
			p.add("sip.listeners: each listener needs a name of its own, %q is none", l.Name)
		}
		seen[l.Name] = true
		p.oneOf(key+".transport", l.Transport, "udp", "tcp", "tls")
		if _, _, err := net.SplitHostPort(l.Addr); err != nil {
			p.add("%s.addr is %q: want host:port", key, l.Addr)
		}
		if l.Transport == "tls" && (l.TLS.Cert == "" || l.TLS.Key == "") {
			p.add("%s: TLS needs tls.cert and tls.key", key)
		}
		if l.Transport != "tls" && !Loopback(l.Addr) && l.Plaintext != "allowed" {
			p.add("%s: %s off loopback is readable by anyone on the way: use tls, or say plaintext: allowed", key, l.Transport)
		}
		for _, t := range l.Trunks {
			if !names[t] {
				p.add("%s.trunks: there is no trunk %q", key, t)
			}
		}
	}
	if len(c.STIR.LabHosts) > 0 && !c.AllLoopback() {
		p.add("stirshaken.lab_certificate_hosts is for labs: remove it, or put every SIP listener on loopback")
	}
	if c.Deliver.Outbox && !c.AllLoopback() {
		p.add("deliver.outbox writes codes and links to files: remove it, or put every SIP listener on loopback")
	}
}

func (c *Config) checkWeb(p *problems) {
	for name, l := range map[string]WebListener{"staff": c.Web.Staff, "public": c.Web.Public} {
		key := "web." + name
		if _, _, err := net.SplitHostPort(l.Listen); err != nil {
			p.add("%s.listen is %q: want host:port", key, l.Listen)
			continue
		}
		u, err := url.Parse(l.URL)
		if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") {
			p.add("%s.url is %q: want the address that people open, such as https://console.example.com", key, l.URL)
			continue
		}
		if u.Scheme != "https" && u.Hostname() != "localhost" {
			p.add("%s.url is %s: passkeys need https, or http on localhost", key, l.URL)
		}
		if l.TLS.Cert == "" && !Loopback(l.Listen) {
			p.add("%s listens on %s without TLS: set tls.cert and tls.key, or listen on loopback behind a proxy", key, l.Listen)
		}
	}
	if c.Web.Staff.URL == c.Web.Public.URL {
		p.add("web.staff.url and web.public.url are the same: callers and staff never share an origin")
	}
	if c.Web.Metrics != "" && !Loopback(c.Web.Metrics) {
		p.add("web.metrics is %s: metrics are served on loopback only", c.Web.Metrics)
	}
}

func (c *Config) checkRouting(p *problems) {
	tenants := map[string]bool{}
	for _, t := range c.Tenants {
		if t.ID == "" || tenants[t.ID] {
			p.add("tenants: each needs an id of its own, %q is none", t.ID)
		}
		tenants[t.ID] = true
	}
	queues := c.checkQueues(p)
	called := map[string]string{}
	for _, l := range c.Lines {
		key := "lines." + l.Name
		if l.Kind != "" {
			l.checkKind(p)
		} else if l.Name == "" || l.Flow == "" || len(l.Numbers) == 0 {
			p.add("%s: a line needs a name, a flow and numbers", key)
		}
		if l.Fallback != "" && !queues[l.Fallback] {
			p.add("%s.fallback: there is no queue %q", key, l.Fallback)
		}
		if l.Tenant != "" && !tenants[l.Tenant] {
			p.add("%s.tenant: there is no tenant %q", key, l.Tenant)
		}
		if _, err := time.LoadLocation(l.Zone); err != nil {
			p.add("%s.timezone: %q is no time zone such as Europe/London", key, l.Zone)
		}
		for _, h := range l.Hours {
			if _, err := ParseHours(h); err != nil {
				p.add("%s.hours: %v", key, err)
			}
		}
		for _, n := range l.Numbers {
			if other := called[n]; other != "" && len(l.Trunks) == 0 {
				p.add("%s: %s is a number of line %s already", key, n, other)
			}
			called[n] = l.Name
		}
	}
}

func (c *Config) checkRest(p *problems) {
	c.Store.check(p)
	c.checkMedia(p)
	p.oneOf("stirshaken.mode", c.STIR.Mode, "mark", "reject")
	if c.STIR.Reason != "" {
		p.oneOf("stirshaken.reason", c.STIR.Reason, "off", "stir", "sip")
	}
	for _, t := range c.SIP.Trunks {
		if t.Sign && c.STIR.Sign.Key == "" {
			p.add("sip.trunks.%s.sign: there is no key: set stirshaken.sign", t.Name)
		}
	}
	if c.STIR.MaxAge <= 0 || c.STIR.MaxAge > 5*time.Minute {
		p.add("stirshaken.max_age is %s: want at most 5m", c.STIR.MaxAge)
	}
	if every := c.Ledger.Checkpoints.Every; every <= 0 || every > 5*time.Minute {
		p.add("ledger.checkpoints.every is %s: want at most 5m", every)
	}
	if c.Media.PortMin == 0 || c.Media.PortMax < c.Media.PortMin+10 {
		p.add("media: port_min %d to port_max %d is too small a range", c.Media.PortMin, c.Media.PortMax)
	}
	for _, e := range c.Executors {
		if e.Name == "" || e.Credential.Reveal() == "" || len(e.Actions) == 0 {
			p.add("executors.%s: an executor needs a name, actions and a credential (file: or env:)", e.Name)
		}
		if e.Key == "" && e.Certificate == "" && !Loopback(c.Web.Staff.Listen) {
			p.add("executors.%s: name the key (RFC 7638 thumbprint) or the certificate with which it proves that it is itself", e.Name)
		}
		if len(e.Credential.Reveal()) > 0 && len(e.Credential.Reveal()) < 32 {
			p.add("executors.%s.credential: want at least 32 characters of randomness", e.Name)
		}
	}
	if t := c.Deliver.Twilio; t.AccountSID != "" && t.AuthToken.Reveal() == "" {
		p.add("deliver.twilio.auth_token is empty: set file: or env:")
	}
	p.oneOf("telemetry.log_level", c.Telemetry.LogLevel, "debug", "info", "warn", "error")
	p.oneOf("telemetry.log_format", c.Telemetry.LogFormat, "text", "json")
}
