package siem

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func denied(i int64) Record {
	return Record{Index: i, At: time.Unix(1, 0), Tenant: "default", Event: "release.denied", Traversal: "trv_1", Staff: "per_1",
		Data: map[string]string{"class": "C4", "reason": "Mrs Smith called", "text": "x", "type": "447700900123", "value": "no\nyes", "name": "a b"}}
}

// TestARecordHoldsNothingOfAPerson: words of ours pass, text and numbers do not.
func TestARecordHoldsNothingOfAPerson(t *testing.T) {
	raw, err := denied(7).Syslog("edge one\n")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	const head = "<109>1 1970-01-01T00:00:01.000000Z edgeone ringfence - release.denied [meta sequenceId=\"8\"] "
	if !strings.HasPrefix(text, head) {
		t.Errorf("have %s", text)
	}
	for _, never := range []string{"Smith", "447700900123", "\n", "yes", "a b"} {
		if strings.Contains(text, never) {
			t.Errorf("%q is in %s", never, text)
		}
	}
	var m struct {
		Event struct {
			Action, Outcome string
			Sequence        int64
		}
		User   struct{ ID string }
		Labels map[string]string
	}
	if err := json.Unmarshal(raw[len(head):], &m); err != nil {
		t.Fatal(err)
	}
	if m.Event.Action != "release.denied" || m.Event.Outcome != "failure" || m.Event.Sequence != 7 || m.User.ID != "per_1" || len(m.Labels) != 1 || m.Labels["class"] != "C4" {
		t.Errorf("have %+v", m)
	}
	alert, _ := Record{Event: "alert.raised"}.Syslog("")
	if !strings.HasPrefix(string(alert), "<108>1 ") || !strings.Contains(string(alert), " - ringfence - alert.raised ") || !strings.Contains(string(alert), `"kind":"alert"`) {
		t.Errorf("an alert: %s", alert)
	}
}

// receiver is a syslog server over TLS; it keeps messages by RFC 5425's frames.
func receiver(t *testing.T) (cfg Config, got <-chan string, hangUp func()) {
	t.Helper()
	keys := httptest.NewTLSServer(nil) // lends its certificate
	t.Cleanup(keys.Close)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: keys.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	ch, conns := make(chan string, 1000), make(chan net.Conn, 10)
	go func() { // ends with its listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
			go frames(c, ch)
		}
	}()
	t.Cleanup(func() {
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
	})
	client := keys.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "example.com"
	return Config{Addr: ln.Addr().String(), TLS: client}, ch, func() { _ = (<-conns).Close() }
}

func frames(c net.Conn, out chan<- string) {
	r := bufio.NewReader(c)
	for {
		size, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil || n > 1<<16 {
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		out <- string(b)
	}
}

// TestSendOverTLS: whole messages arrive, a receiver that hangs up is an error,
// and the next Send connects anew.
func TestSendOverTLS(t *testing.T) {
	cfg, got, hangUp := receiver(t)
	s, err := NewSender(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Send(t.Context(), []Record{denied(0), denied(1)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`sequenceId="1"`, `sequenceId="2"`} {
		if m := <-got; !strings.Contains(m, want) || !strings.HasSuffix(m, "}") {
			t.Errorf("have %s, want %s", m, want)
		}
	}
	hangUp()
	for err = nil; err == nil; { // the system may take a write or two before it knows
		err = s.Send(t.Context(), []Record{denied(2)})
	}
	if err := s.Send(t.Context(), []Record{denied(3)}); err != nil {
		t.Fatal(err)
	}
	for m := range got {
		if strings.Contains(m, `sequenceId="4"`) {
			break
		}
	}
}

func TestSendRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{"nothing": {}, "both": {Addr: "127.0.0.1:1", File: "x"}, "no port": {Addr: "127.0.0.1"},
		"plain": {Addr: "192.0.2.1:514"}, "plain to a name": {Addr: "siem.example.com:514"}} {
		if _, err := NewSender(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := new(Sender).Send(context.Background(), []Record{denied(0)}); err == nil {
		t.Error("the zero sender sent")
	}
	cfg, _, _ := receiver(t)
	cfg.TLS = &tls.Config{}
	s, err := NewSender(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), []Record{denied(0)}); err == nil {
		t.Error("an unknown certificate was taken")
	}
}

func TestSendToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	s, err := NewSender(Config{File: path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(2) {
		if err := s.Send(t.Context(), []Record{denied(i)}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Count(string(raw), "\n") != 2 || !strings.HasPrefix(string(raw), `{"@timestamp":"1970-01-01T00:00:01Z","ecs":{"version":"8.11.0"}`) {
		t.Errorf("%s, %v", raw, err)
	}
}
