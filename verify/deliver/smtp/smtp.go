// Package smtp carries links and notices by e-mail. It never carries a code
// (ASVS 6.3.6) and says so by refusing them.
//
// The mail server is a smarthost of our own: STARTTLS with a verified
// certificate is required unless it is on loopback, and credentials never
// travel in clear. A message counts as sent from the moment its end was
// written: a server that does not answer after that may have taken it.
//
// The standard library's net/smtp is frozen but kept, and does all that is
// needed; what it lacks (deadlines from a context) stands here.
package smtp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Timeout bounds one message from dial to answer.
const Timeout = 2 * time.Second

// Config is what a Mailer is made of.
type Config struct {
	// Server is host:port of the smarthost.
	Server string
	// User and Password log in over TLS; both or neither.
	User     string
	Password ringfence.Secret
	// From is our address, with or without a name: "Acme <no-reply@acme.example>".
	From string
	// Timeout overrides the constant; zero keeps it; at most 10 s.
	Timeout time.Duration
	// TLS, when set, replaces the system's roots (a private CA). Its
	// InsecureSkipVerify is refused.
	TLS *tls.Config
}

// Mailer implements verify.Deliverer for verify.ChannelEmail. It is safe for
// concurrent use.
type Mailer struct {
	cfg      Config
	host     string
	loopback bool
	from     *mail.Address
}

// New returns a Mailer, or says what of the configuration is wrong.
func New(c Config) (*Mailer, error) {
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil || host == "" {
		return nil, fmt.Errorf("smtp: server %q is not host:port", c.Server)
	}
	from, err := mail.ParseAddress(c.From)
	switch {
	case err != nil || !plain(c.From):
		return nil, fmt.Errorf("smtp: from %q is no address", c.From)
	case (c.User == "") != (len(c.Password) == 0):
		return nil, errors.New("smtp: user and password belong together")
	case c.Timeout < 0 || c.Timeout > 10*time.Second:
		return nil, fmt.Errorf("smtp: a time-out of %v is not within 0 to 10 s", c.Timeout)
	case c.TLS != nil && c.TLS.InsecureSkipVerify:
		return nil, errors.New("smtp: a certificate that nobody checks protects nothing")
	}
	if c.Timeout == 0 {
		c.Timeout = Timeout
	}
	ip := net.ParseIP(host)
	return &Mailer{cfg: c, host: host, loopback: host == "localhost" || ip != nil && ip.IsLoopback(), from: from}, nil
}

// plain reports whether a header's value keeps to its line.
func plain(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// Deliver implements verify.Deliverer.
func (m *Mailer) Deliver(ctx context.Context, msg verify.Message) (verify.Receipt, error) {
	to, err := mail.ParseAddress(msg.To)
	if err != nil || msg.Channel != verify.ChannelEmail || msg.Kind != verify.MessageLink && msg.Kind != verify.MessageNotice ||
		!plain(msg.To) || !plain(msg.Subject) || len(msg.Text) == 0 || to.Address != msg.To {
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "form"}, nil
	}
	id, body, err := m.compose(msg, to)
	if err != nil {
		return verify.Receipt{}, err
	}
	ctx, stop := context.WithTimeout(ctx, m.cfg.Timeout)
	defer stop()
	written, err := m.send(ctx, to.Address, body)
	return receipt(id, written, err), nil
}

// receipt reads what is certain: before the end was written, or when the
// server said no, nothing was sent.
func receipt(id string, written bool, err error) verify.Receipt {
	var said *textproto.Error
	switch {
	case err == nil:
		return verify.Receipt{Delivery: verify.DeliveryAccepted, ID: id}
	case errors.As(err, &said):
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: fmt.Sprintf("smtp %d", said.Code)}
	case written:
		return verify.Receipt{Delivery: verify.DeliveryAmbiguous, ID: id, Detail: "no answer"}
	default:
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "not reached"}
	}
}

// send talks to the server. written reports that the end of the message left.
func (m *Mailer) send(ctx context.Context, to string, body []byte) (written bool, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.cfg.Server)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if at, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(at); err != nil {
			return false, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return false, err
	}
	if err := m.secure(c); err != nil {
		return false, err
	}
	if err := c.Mail(m.from.Address); err != nil {
		return false, err
	}
	if err := c.Rcpt(to); err != nil {
		return false, err
	}
	w, err := c.Data()
	if err != nil {
		return false, err
	}
	if _, err := w.Write(body); err != nil {
		return false, err
	}
	if err := w.Close(); err != nil { // writes the end, reads the answer
		return true, err
	}
	_ = c.Quit() // taken already
	return true, nil
}

// secure turns TLS on and logs in; without TLS only on loopback.
func (m *Mailer) secure(c *smtp.Client) error {
	if ok, _ := c.Extension("STARTTLS"); ok {
		cfg := &tls.Config{}
		if m.cfg.TLS != nil {
			cfg = m.cfg.TLS.Clone()
		}
		cfg.ServerName, cfg.MinVersion = m.host, tls.VersionTLS12
		if err := c.StartTLS(cfg); err != nil {
			return err
		}
	} else if !m.loopback {
		return errors.New("smtp: the server offers no STARTTLS")
	}
	if m.cfg.User == "" {
		return nil
	}
	return c.Auth(smtp.PlainAuth("", m.cfg.User, string(m.cfg.Password), m.host))
}

// compose writes an RFC 5322 message of plain text. It announces itself as
// automatic (RFC 3834), so that no out-of-office answer comes back.
func (m *Mailer) compose(msg verify.Message, to *mail.Address) (id string, body []byte, err error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", nil, fmt.Errorf("smtp: no randomness: %v", err)
	}
	_, domain, _ := strings.Cut(m.from.Address, "@")
	id = hex.EncodeToString(raw) + "@" + domain
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", m.from.String()}, {"To", (&mail.Address{Address: to.Address}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", msg.Subject)}, {"Date", time.Now().UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + id + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write(msg.Text); err != nil {
		return "", nil, err
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	b.WriteString("\r\n")
	return id, b.Bytes(), nil
}
