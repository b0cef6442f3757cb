package arch

import (
	"strings"
	"testing"
)

// homes says in which rooms a library may be named, so that replacing it
// means reading those rooms and no others.
var homes = []struct {
	library string
	rooms   []string
}{
	{"github.com/emiago/", []string{"b2bua/..."}},
	{"github.com/pion/", []string{"b2bua/..."}},
	{"github.com/twilio/twilio-go", []string{"verify/deliver/twilio"}},
	{"github.com/go-webauthn/", []string{"verify/passkey/..."}},
	{"github.com/pquerna/otp", []string{"verify/otp"}},
	{"github.com/redis/go-redis", []string{"store/redis"}},
	{"modernc.org/sqlite", []string{"store/sqlite"}},
	{"github.com/jackc/pgx", []string{"store/postgres"}},
	{"database/sql", []string{"store/..."}},
	{"github.com/pressly/goose", []string{"store/..."}},
	{"cel.dev/cel-go", []string{"policy"}},
	{"github.com/google/cel-go", nil},
	{"github.com/tink-crypto/", []string{"internal/seal"}},
	{"github.com/knadh/koanf", []string{"internal/config"}},
	{"github.com/alecthomas/kong", []string{"cmd/..."}},
	{"github.com/danielgtaylor/huma", []string{"web/..."}},
	{"github.com/coreos/go-oidc", []string{"web/..."}},
	{"github.com/nyaruka/phonenumbers", []string{"stirshaken", "verify/...", "web/importer", "internal/..."}},
	{"github.com/prometheus/", []string{"cmd/..."}},
	{"github.com/chromedp/", []string{"web", "test/..."}},
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	for _, s := range tree(t) {
		for _, p := range s.imports {
			for _, h := range homes {
				// A test may open a store by hand to break it, as a thief would.
				thief := s.test && in(s.room, "test/...") && strings.HasPrefix(p, "modernc.org/sqlite")
				if strings.HasPrefix(p, h.library) && !in(s.room, h.rooms...) && !thief && !(s.test && p == "database/sql") {
					t.Errorf("%s imports %s, which belongs to %v", s.path, p, h.rooms)
				}
			}
		}
	}
}

// The words of the project stand on the standard library alone.
func TestRingfenceNeedsNoLibrary(t *testing.T) {
	for _, s := range tree(t) {
		if s.test || !in(s.room, ".", "scripts") {
			continue
		}
		for _, p := range s.imports {
			if strings.Contains(strings.Split(p, "/")[0], ".") {
				t.Errorf("%s imports %s: %s stands on the standard library alone", s.path, p, s.room)
			}
		}
	}
}
