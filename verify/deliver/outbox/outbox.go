// Package outbox puts messages into files, for a lab: somebody who tries
// ringfence on one machine reads the codes there. It is no carrier, and it
// refuses to be made unless every listener of the process is on loopback.
//
// A file is one JSON message, mode 0600, in a folder of mode 0700, written
// whole or not at all.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Outbox implements verify.Deliverer. It is safe for concurrent use.
type Outbox struct{ dir string }

// Message is one file.
type Message struct {
	At      time.Time          `json:"at"`
	Kind    verify.MessageKind `json:"kind"`
	Channel verify.Channel     `json:"channel"`
	To      string             `json:"to"`
	Subject string             `json:"subject,omitempty"`
	Text    string             `json:"text"`
	Ref     string             `json:"ref"`
}

// New returns an outbox in dir, which it makes. listeners are all addresses
// that the process listens on, SIP and web alike, as host:port; an empty list,
// an empty host or anything off loopback is refused.
func New(dir string, listeners []string) (*Outbox, error) {
	if len(listeners) == 0 {
		return nil, errors.New("outbox: is for a lab on loopback; name every listener")
	}
	for _, l := range listeners {
		host, _, err := net.SplitHostPort(l)
		ip := net.ParseIP(host)
		if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("outbox: %q is not on loopback; use a real carrier", l)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return &Outbox{dir: dir}, nil
}

// Deliver implements verify.Deliverer.
func (o *Outbox) Deliver(_ context.Context, m verify.Message) (verify.Receipt, error) {
	if len(m.Text) == 0 || m.To == "" {
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "form"}, nil
	}
	now := time.Now().UTC()
	body, err := json.MarshalIndent(Message{At: now, Kind: m.Kind, Channel: m.Channel, To: m.To, Subject: m.Subject, Text: string(m.Text), Ref: m.Ref}, "", "  ")
	if err != nil {
		return verify.Receipt{}, fmt.Errorf("outbox: %v", err)
	}
	id := string(ringfence.NewID[ringfence.EventID](ringfence.PrefixEvent))
	name := filepath.Join(o.dir, now.Format("20060102T150405.000000000")+"-"+id+".json")
	if err := os.WriteFile(name+".part", append(body, '\n'), 0o600); err != nil {
		return verify.Receipt{}, fmt.Errorf("outbox: %v", err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		return verify.Receipt{}, fmt.Errorf("outbox: %v", err)
	}
	return verify.Receipt{Delivery: verify.DeliveryAccepted, ID: id}, nil
}

// Read returns the messages of an outbox, oldest first.
func Read(dir string) ([]Message, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	var names []string
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".json") {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	var out []Message
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		var m Message
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, fmt.Errorf("outbox: %s: %v", name, err)
		}
		out = append(out, m)
	}
	return out, nil
}
