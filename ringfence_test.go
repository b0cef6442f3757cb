package ringfence

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestZeroValuesRefuse(t *testing.T) {
	var tri Tri
	if tri != Unknown || tri.String() != "unknown" {
		t.Errorf("zero Tri is %v, want unknown", tri)
	}
	var class Class
	if class.Effective() != C5 || Class(99).Effective() != C5 {
		t.Errorf("an unset class is %v, want C5", class)
	}
	var digest Digest
	if !digest.Zero() || digest.String() != "" {
		t.Errorf("zero Digest is %q, want nothing", digest)
	}
}

func TestNewIDForm(t *testing.T) {
	seen := map[ReleaseID]bool{}
	for range 1000 {
		id := NewID[ReleaseID](PrefixRelease)
		if !ValidID(string(id), PrefixRelease) || seen[id] {
			t.Fatalf("id %q: want rel_ and 26 characters, never twice", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "rel_", "trv_" + strings.Repeat("0", 26), "rel_" + strings.Repeat("l", 26),
		"rel_" + strings.Repeat("0", 27), "REL_" + strings.Repeat("0", 26)} {
		if ValidID(bad, PrefixRelease) {
			t.Errorf("ValidID(%q) = true, want false", bad)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	type all struct {
		T Tri
		C Class
		D Digest
	}
	have := all{T: No, C: C4, D: Digest{1, 2, 255}}
	b, err := json.Marshal(have)
	if err != nil {
		t.Fatal(err)
	}
	var got all
	if err := json.Unmarshal(b, &got); err != nil || got != have {
		t.Errorf("round trip of %s: got %+v, %v", b, got, err)
	}
	for _, bad := range []string{`{"T":"maybe"}`, `{"C":"C6"}`, `{"C":"4"}`, `{"D":"zz"}`, `{"D":"` + strings.Repeat("g", 64) + `"}`} {
		if json.Unmarshal([]byte(bad), &got) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestMaskedShowsAtMostTwoDigits(t *testing.T) {
	for have, want := range map[TN]string{"": "", "123": "…", "442079460991": "+44…91"} {
		if got := have.Masked(); got != want {
			t.Errorf("TN(%q).Masked() = %q, want %q", have, got, want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	a := Authenticator{Secret: Secret("planted-seed")}
	for _, got := range []string{fmt.Sprint(a), fmt.Sprintf("%+v", a), fmt.Sprintf("%#v", a), fmt.Sprintf("%s %x %q", a.Secret, a.Secret, a.Secret)} {
		if strings.Contains(got, "planted") || strings.Contains(got, "706c616e746564") {
			t.Errorf("a secret was printed: %s", got)
		}
	}
}
