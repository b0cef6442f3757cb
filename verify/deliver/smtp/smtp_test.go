package smtp_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/deliver/smtp"
)

// server is a small mail server on loopback.
type server struct {
	addr string
	tls  *tls.Config
	// script changes answers: verb -> line; "cut" hangs up instead.
	script map[string]string

	mu   sync.Mutex
	got  []string
	auth []string
	bare bool // AUTH or MAIL without TLS
}

func start(t *testing.T, tlsConfig *tls.Config, script map[string]string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), tls: tlsConfig, script: script}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return s
}

func (s *server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r, secure := bufio.NewReader(c), false
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	say("220 mail.test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		answer := s.script[verb]
		switch {
		case answer == "cut":
			return
		case answer != "":
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-mail.test")
			if s.tls != nil && !secure {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go")
			tc := tls.Server(c, s.tls)
			if tc.Handshake() != nil {
				return
			}
			c, r, secure = tc, bufio.NewReader(tc), true
		case "AUTH":
			s.note(func() { s.auth = append(s.auth, strings.TrimSpace(line)); s.bare = s.bare || !secure })
			say("235 ok")
		case "DATA":
			say("354 go")
			var body strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				body.WriteString(line)
			}
			s.note(func() { s.got = append(s.got, body.String()) })
			switch end := s.script["END"]; end {
			case "cut":
				return
			case "":
				say("250 taken")
			default:
				say(end)
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) note(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

func (s *server) mails() []string { s.mu.Lock(); defer s.mu.Unlock(); return s.got }

// certificate makes a CA-signed server certificate for 127.0.0.1.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func mailer(t *testing.T, c smtp.Config) *smtp.Mailer {
	t.Helper()
	c.From = "Acme <no-reply@acme.example>"
	m, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func message() verify.Message {
	return verify.Message{Kind: verify.MessageLink, Channel: verify.ChannelEmail, To: "dana@northwind.example", Subject: "Acme – Bestätigung", Text: ringfence.Secret("öffnen: https://x/#abc\n.\nend")}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		c    smtp.Config
	}{
		{"no server", smtp.Config{From: "a@b.example"}},
		{"no port", smtp.Config{Server: "mail.example", From: "a@b.example"}},
		{"no sender", smtp.Config{Server: "mail.example:587"}},
		{"a sender of two lines", smtp.Config{Server: "mail.example:587", From: "a@b.example\r\nBcc: x@y.example"}},
		{"a user without a password", smtp.Config{Server: "mail.example:587", From: "a@b.example", User: "a"}},
		{"no check of certificates", smtp.Config{Server: "mail.example:587", From: "a@b.example", TLS: &tls.Config{InsecureSkipVerify: true}}},
		{"a time-out over 10 s", smtp.Config{Server: "mail.example:587", From: "a@b.example", Timeout: time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := smtp.New(c.c); err == nil {
				t.Error("have no error")
			}
		})
	}
}

func TestDeliver(t *testing.T) {
	srv, cli := certificate(t)
	s := start(t, srv, nil)
	m := mailer(t, smtp.Config{Server: s.addr, User: "u", Password: ringfence.Secret("p"), TLS: cli})
	r, err := m.Deliver(t.Context(), message())
	if err != nil || r.Delivery != verify.DeliveryAccepted || r.ID == "" {
		t.Fatal(r, err)
	}
	got := s.mails()[0]
	for _, want := range []string{"From: \"Acme\" <no-reply@acme.example>\r\n", "To: <dana@northwind.example>\r\n", "Subject: =?utf-8?q?", "Auto-Submitted: auto-generated\r\n", "=C3=B6ffnen", "\r\n..\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if len(s.auth) != 1 || s.bare {
		t.Errorf("have %v, in clear %v; want one login, over TLS", s.auth, s.bare)
	}
}

func TestDeliverRefusesForm(t *testing.T) {
	s := start(t, nil, nil)
	m := mailer(t, smtp.Config{Server: s.addr})
	for name, change := range map[string]func(*verify.Message){
		"a code":             func(m *verify.Message) { m.Kind = verify.MessageCode },
		"an empty kind":      func(m *verify.Message) { m.Kind = "" },
		"another channel":    func(m *verify.Message) { m.Channel = verify.ChannelSMS },
		"no address":         func(m *verify.Message) { m.To = "dana" },
		"an address in two":  func(m *verify.Message) { m.To = "a@b.example\r\nRCPT TO:<x@y.example>" },
		"a name and address": func(m *verify.Message) { m.To = "Dana <a@b.example>" },
		"a subject in two":   func(m *verify.Message) { m.Subject = "x\r\nBcc: x@y.example" },
		"no text":            func(m *verify.Message) { m.Text = nil },
	} {
		msg := message()
		change(&msg)
		if r, err := m.Deliver(t.Context(), msg); err != nil || r.Delivery != verify.DeliveryRefused {
			t.Errorf("%s: have %v, %v", name, r, err)
		}
	}
	if n := len(s.mails()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

func TestWhatTheServerSays(t *testing.T) {
	for _, c := range []struct {
		name, verb, answer string
		want               verify.Delivery
	}{
		{"refuses the recipient", "RCPT", "550 no such user", verify.DeliveryRefused},
		{"greylists", "RCPT", "451 later", verify.DeliveryRefused},
		{"hangs up before the message", "DATA", "cut", verify.DeliveryRefused},
		{"refuses the message", "END", "554 spam", verify.DeliveryRefused},
		{"hangs up after the message", "END", "cut", verify.DeliveryAmbiguous},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, nil, map[string]string{c.verb: c.answer})
			r, err := mailer(t, smtp.Config{Server: s.addr}).Deliver(t.Context(), message())
			if err != nil || r.Delivery != c.want {
				t.Errorf("have %v, %v; want %s", r, err, c.want)
			}
		})
	}
}

func TestCertificateIsChecked(t *testing.T) {
	srv, _ := certificate(t)
	s := start(t, srv, nil)
	r, err := mailer(t, smtp.Config{Server: s.addr, User: "u", Password: ringfence.Secret("p")}).Deliver(t.Context(), message())
	if err != nil || r.Delivery != verify.DeliveryRefused || len(s.auth)+len(s.mails()) != 0 {
		t.Errorf("have %v, %v, %v", r, err, s.auth)
	}
}
