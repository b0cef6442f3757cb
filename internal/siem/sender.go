package siem

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Bounds of a connection.
const (
	dialTime  = 10 * time.Second
	writeTime = 10 * time.Second
	listen    = 100 * time.Millisecond // for the word that the receiver went away
)

// Config is where records go.
type Config struct {
	// Addr is host:port of a receiver, over TLS.
	Addr string
	// File takes JSON lines in place of Addr; a collector reads it.
	File string
	// JSON sends JSON lines to Addr in place of syslog.
	JSON bool
	// TLS is the client's side; nil means plain TCP, to loopback only.
	TLS *tls.Config
}

// Check judges a configuration.
func (c Config) Check() error {
	if (c.Addr == "") == (c.File == "") {
		return errors.New("siem: either an address or a file")
	}
	if c.File != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("siem: address %q: want host:port", c.Addr)
	}
	if a, err := netip.ParseAddr(host); c.TLS == nil && (err != nil || !a.IsLoopback()) {
		return errors.New("siem: records go over TLS, or to loopback")
	}
	return nil
}

// Sender sends records to one receiver. It holds one connection and nothing of
// what was not sent. It is for one goroutine; the zero Sender refuses.
type Sender struct {
	cfg  Config
	host string
	conn net.Conn
}

// NewSender judges cfg. Nothing is opened before the first Send.
func NewSender(cfg Config) (*Sender, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return &Sender{cfg: cfg, host: host}, nil
}

// Send hands records over, all or, with an error, perhaps some of them: they
// are sent again then. Syslog knows no receipt, so what the receiver's machine
// took and did not read before it died is lost.
func (s *Sender) Send(ctx context.Context, records []Record) error {
	raw, err := s.encode(records)
	if err != nil {
		return err
	}
	if s.cfg.File != "" {
		return appendTo(s.cfg.File, raw)
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	_ = s.conn.SetDeadline(time.Now().Add(writeTime))
	if _, err = s.conn.Write(raw); err == nil {
		err = s.gone()
	}
	if err != nil {
		s.Close()
		return fmt.Errorf("siem: %w", err)
	}
	return nil
}

// gone listens for the end of the connection: a receiver says nothing else.
func (s *Sender) gone() error {
	_ = s.conn.SetReadDeadline(time.Now().Add(listen))
	var b [1]byte
	_, err := s.conn.Read(b[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return errors.Join(errors.New("the receiver ended the connection"), err)
}

func (s *Sender) encode(records []Record) (raw []byte, err error) {
	for _, r := range records {
		var line []byte
		if s.cfg.JSON || s.cfg.File != "" {
			line, err = r.JSON()
			raw = append(append(raw, line...), '\n')
		} else {
			line, err = r.Syslog(s.host)
			raw = append(fmt.Appendf(raw, "%d ", len(line)), line...) // RFC 5425, section 4.3
		}
		if err != nil {
			return nil, err
		}
	}
	return raw, nil
}

func (s *Sender) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	if s.cfg.Addr == "" {
		return errors.New("siem: no receiver")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var err error
	if s.cfg.TLS != nil {
		s.conn, err = (&tls.Dialer{Config: s.cfg.TLS}).DialContext(ctx, "tcp", s.cfg.Addr)
	} else {
		s.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", s.cfg.Addr)
	}
	if err != nil {
		s.conn = nil
		return fmt.Errorf("siem: %w", err)
	}
	return nil
}

// Close ends the connection. The next Send opens another.
func (s *Sender) Close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// appendTo adds whole lines to a file that only its owner and group read.
func appendTo(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("siem: %w", err)
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}
