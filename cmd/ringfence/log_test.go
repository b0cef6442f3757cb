package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/test/sweep"
	"github.com/ringfence/ringfence/verify"
)

// Whatever a line of the log is given, and however a secret is wrapped in it,
// the secret stays out.
func TestNoSecretReachesTheLogInsideOfSomething(t *testing.T) {
	const code = "739261"
	secret := ringfence.Secret(code)
	hidden := struct{ code ringfence.Secret }{secret}
	shown := struct{ Code ringfence.Secret }{secret}
	all, err := sweep.New(sweep.Secret{Name: "code", Value: []byte(code)})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"itself": secret, "a pointer": &secret, "a list": []ringfence.Secret{secret}, "a map": map[string]ringfence.Secret{"code": secret},
		"a field": shown, "a hidden field": hidden, "a pointer to a hidden field": &hidden, "a list of hidden fields": []any{hidden},
		"octets": []byte(code), "an array": [6]byte([]byte(code)), "an answer": verify.Answer{Value: secret}, "an authenticator": ringfence.Authenticator{Secret: secret},
		"a setting": config.NewSecret(code), "a settings' field": config.Twilio{AuthToken: config.NewSecret(code)},
		"an error": fmt.Errorf("keyed %v, %+v, %#v, %s, %q, %x, %d", secret, secret, secret, secret, secret, secret, secret),
		"errors":   errors.Join(io.EOF, fmt.Errorf("of %+v: %w", shown, io.EOF)),
	} {
		for _, format := range []string{"json", "text"} {
			var out bytes.Buffer
			newLog(config.Telemetry{LogLevel: "debug", LogFormat: format}, &out).With("bound", value).WithGroup("g").Debug("shown", "value", value)
			if hits := all.Find(sweep.Place{Name: "the log", Data: out.Bytes()}); len(hits) > 0 || out.Len() == 0 {
				t.Errorf("%s as %s: %v", name, format, hits)
			}
		}
	}
}

// What people look for in a log is still there.
func TestTheLogSaysPlainThings(t *testing.T) {
	var out bytes.Buffer
	newLog(config.Telemetry{LogLevel: "info", LogFormat: "json"}, &out).Info("said", "leg", ringfence.LegID("leg_1"), "err", errors.New("connection refused"), "where", []string{"a:1"},
		"at", netip.MustParseAddrPort("192.0.2.1:5060"), "for", 3*time.Second, "n", 7, "ok", true, "none", nil)
	for _, want := range []string{`"leg":"leg_1"`, `"err":"connection refused"`, `"where":["a:1"]`, `"at":"192.0.2.1:5060"`, `"for":3000000000`, `"n":7`, `"ok":true`, `"none":null`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), base64.StdEncoding.EncodeToString([]byte("a:1"))) {
		t.Error(out.String())
	}
}
