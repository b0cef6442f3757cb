package b2bua

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Resolver answers the questions by which a SIP server is found (RFC 3263). A
// name without records of a type is an empty answer, not an error. It must not
// block past the end of ctx.
type Resolver interface {
	NAPTR(ctx context.Context, name string) ([]NAPTR, error)
	SRV(ctx context.Context, name string) ([]SRV, error)
	Addrs(ctx context.Context, name string) ([]netip.Addr, error)
}

// NAPTR is one record of RFC 3403, section 4.1.
type NAPTR struct {
	Order, Preference   uint16
	Flags, Service      string
	Regexp, Replacement string
}

// SRV is one record of RFC 2782.
type SRV struct {
	Priority, Weight, Port uint16
	Target                 string
}

// Bounds on what DNS may say.
const (
	locateEvery = time.Minute
	locateTime  = 10 * time.Second
	mostServers = 8  // SRV records of which addresses are asked for
	mostTargets = 16 // addresses of one trunk
)

// located holds the addresses that DNS names for a trunk, refreshed while the UA
// runs. What was found last stays when a question fails: an outage of DNS ends
// no trunk.
type located struct {
	host      string
	port      uint16
	transport string
	local     bool // addresses of this machine will do
	found     atomic.Pointer[[]netip.AddrPort]
}

func (l *located) addrs() []netip.AddrPort {
	if p := l.found.Load(); p != nil {
		return *p
	}
	return nil
}

// locates keeps a trunk's addresses fresh until the UA closes.
func (u *UA) locates(t *Trunk) {
	tick := time.NewTicker(locateEvery)
	defer tick.Stop()
	for {
		u.locate(t)
		select {
		case <-tick.C:
		case <-u.ctx.Done():
			return
		}
	}
}

// locate asks once and keeps what is usable.
func (u *UA) locate(t *Trunk) {
	ctx, cancel := context.WithTimeout(u.ctx, locateTime)
	defer cancel()
	found, err := t.named.ask(ctx, u.cfg.Resolver)
	if err != nil || len(found) == 0 {
		u.log.Warn("trunk not found by name", "trunk", t.Name, "host", t.named.host, "error", err)
		return
	}
	if old := t.named.addrs(); !sameSet(old, found) {
		u.log.Info("trunk addresses", "trunk", t.Name, "host", t.named.host, "addresses", len(found))
	}
	t.named.found.Store(&found)
}

func sameSet(a, b []netip.AddrPort) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x netip.AddrPort) bool { return !slices.Contains(b, x) })
}

var errNoServer = errors.New("sip: DNS names no server")

// ask finds the addresses of the host for its transport (RFC 3263, section 4.2).
// The transport is configured, so NAPTR says only where its SRV records stand; it
// never moves a trunk from TLS to anything less.
func (l *located) ask(ctx context.Context, r Resolver) ([]netip.AddrPort, error) {
	if l.port != 0 {
		return l.plain(ctx, r, l.port)
	}
	name := "_sip._" + l.transport + "." + l.host
	if l.transport == "tls" {
		name = "_sips._tcp." + l.host
	}
	if records, err := r.NAPTR(ctx, l.host); err == nil {
		if better := l.pointer(records); better != "" {
			name = better
		}
	}
	records, err := r.SRV(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return l.plain(ctx, r, defaultPort(l.transport))
	}
	return l.servers(ctx, r, order(records))
}

// service is the NAPTR service of a transport (RFC 3263, section 4.1).
var service = map[string]string{"udp": "sip+d2u", "tcp": "sip+d2t", "tls": "sips+d2t"}

// pointer is the SRV name of our transport among NAPTR records, or "".
func (l *located) pointer(records []NAPTR) string {
	slices.SortStableFunc(records, func(a, b NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	for _, n := range records {
		if strings.EqualFold(n.Service, service[l.transport]) && strings.EqualFold(n.Flags, "s") && n.Regexp == "" && isHostName(n.Replacement) {
			return strings.TrimSuffix(n.Replacement, ".")
		}
	}
	return ""
}

// order sorts servers as RFC 2782 has them tried: by priority, and by chance in
// proportion to weight within one.
func order(records []SRV) []SRV {
	out := slices.Clone(records)
	slices.SortStableFunc(out, func(a, b SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	for i := 0; i < len(out); {
		j, sum := i, 0
		for ; j < len(out) && out[j].Priority == out[i].Priority; j++ {
			sum += int(out[j].Weight)
		}
		for ; i < j; i++ {
			pick, at := rand.IntN(sum+1), i
			for ; at < j-1; at++ {
				if pick -= int(out[at].Weight); pick <= 0 {
					break
				}
			}
			sum -= int(out[at].Weight)
			chosen := out[at]
			copy(out[i+1:at+1], out[i:at])
			out[i] = chosen
		}
	}
	return out
}

// servers asks for the addresses of each server, in order.
func (l *located) servers(ctx context.Context, r Resolver, records []SRV) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	var failed error
	for _, s := range records[:min(len(records), mostServers)] {
		if s.Port == 0 || !isHostName(s.Target) {
			continue // "." says that there is no such service
		}
		addrs, err := r.Addrs(ctx, strings.TrimSuffix(s.Target, "."))
		if err != nil {
			failed = err
			continue
		}
		out = l.usable(out, addrs, s.Port)
	}
	if len(out) == 0 {
		return nil, errors.Join(errNoServer, failed)
	}
	return out, nil
}

// plain is the way without SRV records.
func (l *located) plain(ctx context.Context, r Resolver, port uint16) ([]netip.AddrPort, error) {
	addrs, err := r.Addrs(ctx, l.host)
	if err != nil {
		return nil, err
	}
	return l.usable(nil, addrs, port), nil
}

// usable adds addresses that a SIP server may have. An answer that names this
// machine is forged, or of somebody's mistake: what runs here would be our trunk.
func (l *located) usable(out []netip.AddrPort, addrs []netip.Addr, port uint16) []netip.AddrPort {
	for _, a := range addrs {
		a = a.Unmap()
		at := netip.AddrPortFrom(a, port)
		if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback() && !l.local || len(out) == mostTargets || slices.Contains(out, at) {
			continue
		}
		out = append(out, at)
	}
	return out
}
