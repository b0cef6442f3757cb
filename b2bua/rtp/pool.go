package rtp

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoPorts is returned by Pool.Open when every port pair is taken.
var ErrNoPorts = errors.New("rtp: no free port pair")

// Pool owns the ports, the pacing goroutines and the readers of all sessions
// of one Config.
type Pool struct {
	cfg   Config
	start time.Time
	net   network
	done  chan struct{}
	wg    sync.WaitGroup

	panics atomic.Uint64
	hearMu sync.Mutex // orders changes of who hears whom

	mu       sync.Mutex // guards everything below
	closed   bool
	next     int // index of the pair to try first
	taken    []bool
	sessions map[*Session]struct{}
	arrivals [][]*Session // for each pacing wheel, those opened that are not yet in it
	wheel    int          // that the next session goes to
}

// NewPool checks the config and starts the pool. Close stops it.
func NewPool(cfg Config) (*Pool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(cfg)
	if err != nil {
		return nil, err
	}
	return newPool(cfg, net), nil
}

// newPool starts a pool on a network.
func newPool(cfg Config, net network) *Pool {
	p := &Pool{
		net:      net,
		cfg:      cfg,
		start:    time.Now(),
		done:     make(chan struct{}),
		taken:    make([]bool, (int(cfg.PortMax)-int(cfg.PortMin)+1)/2),
		sessions: make(map[*Session]struct{}),
	}
	p.arrivals = make([][]*Session, min(runtime.GOMAXPROCS(0), maxPacers))
	for i := range p.arrivals {
		p.wg.Go(func() { p.pace(i) })
	}
	return p
}

// Open makes a session on the next free pair of ports. It returns ErrNoPorts
// when all are taken, and ErrClosed. Pairs are handed out in turn, so that one
// just closed, to which packets may still be on their way, comes last.
func (p *Pool) Open() (*Session, error) {
	stream, err := newStream()
	if err != nil {
		return nil, fmt.Errorf("rtp: randomness: %v", err)
	}
	s := &Session{pool: p}
	s.out.stream, s.ssrc = stream, stream.ssrc
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	for range p.taken {
		pair := p.next
		p.next = (p.next + 1) % len(p.taken)
		if p.taken[pair] || !p.bind(s, pair) {
			continue
		}
		p.taken[pair] = true
		p.sessions[s] = struct{}{}
		p.wheel = (p.wheel + 1) % len(p.arrivals)
		p.arrivals[p.wheel] = append(p.arrivals[p.wheel], s)
		return s, nil
	}
	return nil, ErrNoPorts
}

// bind opens both sockets of a pair; false means that another process has one.
func (p *Pool) bind(s *Session, pair int) bool {
	port := p.cfg.PortMin + uint16(2*pair)
	media, err := p.net.open(netip.AddrPortFrom(p.cfg.Bind, port), s.receive)
	if err != nil {
		return false
	}
	ctl, err := p.net.open(netip.AddrPortFrom(p.cfg.Bind, port+1), s.receiveControl)
	if err != nil {
		media.close()
		return false
	}
	s.port, s.media, s.ctl, s.local = port, media, ctl, netip.AddrPortFrom(p.cfg.Bind, port)
	return true
}

// forget takes a closed session out of the pool.
func (p *Pool) forget(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	p.taken[(s.port-p.cfg.PortMin)/2] = false
}

// InUse returns how many sessions are open, and how many could be.
func (p *Pool) InUse() (open, capacity int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions), len(p.taken)
}

// Close closes every session and returns when no goroutine of the pool runs
// any more. Closing twice is harmless.
func (p *Pool) Close() {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	all := make([]*Session, 0, len(p.sessions))
	for s := range p.sessions {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		s.Close()
	}
	if first {
		close(p.done)
		p.net.close()
	}
	p.wg.Wait()
}

// clock returns nanoseconds since the pool began.
func (p *Pool) clock(now time.Time) int64 { return int64(now.Sub(p.start)) }
