package config

import (
	"strings"
	"testing"
)

func TestStoreRefuses(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"an unknown kind":            {"store: {kind: mysql}\n", "want sqlite or postgres"},
		"a kind without an address":  {"store: {kind: postgres}\n", "go together"},
		"an address without a kind":  {"store: {postgres: 'postgres://a@b/c'}\n", "go together"},
		"a password in the address":  {"store: {kind: postgres, postgres: 'postgres://a:planted@b/c'}\n", "store.password: file:PATH"},
		"a password in the query":    {"store: {kind: postgres, postgres: 'postgres://a@b/c?password=planted'}\n", "store.password: file:PATH"},
		"another scheme":             {"store: {kind: postgres, postgres: 'http://a@b/c'}\n", "want postgres://"},
		"a password in Redis":        {"store: {redis: 'redis://:planted@b:6379/0'}\n", "store.redis_password: file:PATH"},
		"Redis of another scheme":    {"store: {redis: 'planted'}\n", "want redis://"},
		"connections without number": {"store: {connections: 1000}\n", "1 to 100"},
		"half a waiver":              {"store: {standby: maybe}\n", "want required or waived"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.have), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("have %q: error %v, want one with %q", c.have, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "planted") {
				t.Error("a secret stands in the error")
			}
		})
	}
	cfg, err := Parse([]byte("store: {kind: postgres, postgres: 'postgres://ringfence@db/ringfence?sslmode=verify-full', standby: required}\n"), nil)
	if err != nil || !cfg.Store.OnPostgres() {
		t.Errorf("a good store: %v", err)
	}
}
