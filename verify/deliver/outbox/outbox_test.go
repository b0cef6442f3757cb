package outbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/deliver/outbox"
)

func TestNewRefusesOffLoopback(t *testing.T) {
	for _, listeners := range [][]string{nil, {}, {":8080"}, {"0.0.0.0:5060"}, {"[::]:5060"}, {"192.0.2.1:80"}, {"127.0.0.1:80", "192.0.2.1:80"}, {"127.0.0.1"}, {"127.0.0.1.example:80"}, {"localhost.example:80"}} {
		if _, err := outbox.New(t.TempDir(), listeners); err == nil {
			t.Errorf("%q: have an outbox", listeners)
		}
	}
}

func TestDeliver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	o, err := outbox.New(dir, []string{"127.0.0.1:5060", "[::1]:5061", "localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first 123456", "second"} {
		r, err := o.Deliver(t.Context(), verify.Message{Kind: verify.MessageCode, Channel: verify.ChannelSMS, To: "447700900123", Text: ringfence.Secret(text), Ref: "chl_1"})
		if err != nil || r.Delivery != verify.DeliveryAccepted {
			t.Fatal(r, err)
		}
	}
	if r, err := o.Deliver(t.Context(), verify.Message{To: "447700900123"}); err != nil || r.Delivery != verify.DeliveryRefused {
		t.Errorf("an empty message: have %v, %v", r, err)
	}
	got, err := outbox.Read(dir)
	if err != nil || len(got) != 2 || got[0].Text != "first 123456" || got[1].Text != "second" {
		t.Fatal(got, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: mode %v, %v", info.Mode(), err)
	}
}
