package config

import (
	"net/url"
)

// Store is where the truth lives, and what may be lost.
type Store struct {
	// Kind is sqlite (default: one file in the data folder, one node) or
	// postgres (several nodes).
	Kind string `koanf:"kind"`
	// Postgres is postgres://user@host/database?sslmode=verify-full. The
	// password never stands in it.
	Postgres string `koanf:"postgres"`
	Password Secret `koanf:"password"`
	// Connections bounds those for reading, and those for writing; 0 = 8.
	Connections int `koanf:"connections"`
	// Standby is required (default) or waived: several nodes without a
	// synchronous standby of the database then release all the same, and may
	// lose what they acknowledged with that one machine.
	Standby string `koanf:"standby"`
	// Redis is redis://host:6379/0 or rediss://…; empty = the memory of each
	// node.
	Redis         string `koanf:"redis"`
	RedisPassword Secret `koanf:"redis_password"`
	// KeyFile opens the store. Default <data>/keys/store.json.
	KeyFile string `koanf:"key_file"`
	// KeyCommand wraps and unwraps the key file's content with a key that stays
	// in a KMS: it is run with "wrap" or "unwrap" behind its arguments, from
	// standard input to standard output.
	KeyCommand []string `koanf:"key_command"`
}

// OnPostgres reports whether the truth is in PostgreSQL.
func (s Store) OnPostgres() bool { return s.Kind == "postgres" }

func (s Store) check(p *problems) {
	if s.Kind != "" {
		p.oneOf("store.kind", s.Kind, "sqlite", "postgres")
	}
	if s.Standby != "" {
		p.oneOf("store.standby", s.Standby, "required", "waived")
	}
	if s.OnPostgres() != (s.Postgres != "") {
		p.add("store: kind: postgres and the address in store.postgres go together")
	}
	if s.Postgres != "" {
		address(p, "store.postgres", s.Postgres, "password", "postgres", "postgresql")
	}
	if s.Redis != "" {
		address(p, "store.redis", s.Redis, "redis_password", "redis", "rediss")
	}
	if s.Connections < 0 || s.Connections > 100 {
		p.add("store.connections is %d: want 1 to 100, or leave it out", s.Connections)
	}
}

// address judges the address of a server; what it says never repeats it.
func address(p *problems, key, text, secret string, schemes ...string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != schemes[0] && u.Scheme != schemes[1]) {
		p.add("%s is no address: want %s://user@host/…", key, schemes[0])
		return
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		p.add("%s holds a password: write it as store.%s: file:PATH", key, secret)
	}
}
