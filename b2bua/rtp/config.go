package rtp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Bounds of a Config.
const (
	defaultPortMin   = 20000
	defaultPortMax   = 29999
	defaultDeadAfter = 30 * time.Second
	minDeadAfter     = time.Second
	defaultSSRCGap   = 500 * time.Millisecond
	defaultDSCP      = 46 // expedited forwarding, RFC 3246
)

// Config says where a Pool listens. The zero value listens on all IPv4
// addresses, ports 20000 to 29999.
type Config struct {
	// Bind is the local address of every socket. The zero value is 0.0.0.0; an
	// IPv6 address makes IPv6 sockets.
	Bind netip.Addr
	// PortMin and PortMax bound the UDP ports, both included. A session takes
	// an even port for RTP and the odd one after it for RTCP (RFC 3550,
	// section 11). Zero means 20000 and 29999; PortMin is rounded up to even.
	PortMin, PortMax uint16
	// DeadAfter is how long a session that should receive may hear nothing
	// before EventDead. Zero means 30 s; the least is 1 s; negative never.
	DeadAfter time.Duration
	// SSRCGap is how long a locked SSRC must have been silent before another
	// SSRC from the same locked address takes its place, as happens when a
	// carrier goes from its own ringing tone to the called party without a
	// re-INVITE. Zero means 500 ms; negative never lets it change.
	SSRCGap time.Duration
	// DSCP marks outgoing packets. Zero means 46; negative marks nothing.
	DSCP int
	// Log gets what must never happen: a panic that was caught while one packet
	// was handled, with where it was and nothing of the packet. Nil logs nothing.
	Log *slog.Logger
}

// withDefaults fills zeros and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if !c.Bind.IsValid() {
		c.Bind = netip.IPv4Unspecified()
	}
	if c.Bind.IsMulticast() {
		return c, errors.New("rtp: bind address is multicast")
	}
	if c.PortMin == 0 {
		c.PortMin = defaultPortMin
	}
	if c.PortMax == 0 {
		c.PortMax = defaultPortMax
	}
	c.PortMin += c.PortMin & 1
	if c.PortMin < 1024 || int(c.PortMax) < int(c.PortMin)+1 {
		return c, fmt.Errorf("rtp: ports %d to %d hold no even and odd pair at or above 1024", c.PortMin, c.PortMax)
	}
	if c.DeadAfter == 0 {
		c.DeadAfter = defaultDeadAfter
	}
	if c.DeadAfter > 0 && c.DeadAfter < minDeadAfter {
		return c, fmt.Errorf("rtp: dead-media time %v is under %v", c.DeadAfter, minDeadAfter)
	}
	if c.SSRCGap == 0 {
		c.SSRCGap = defaultSSRCGap
	}
	if c.DSCP == 0 {
		c.DSCP = defaultDSCP
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.DSCP > 63 {
		return c, fmt.Errorf("rtp: DSCP %d is over 63", c.DSCP)
	}
	return c, nil
}
