package pin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

func TestOnlyOurOwnRecordIsImported(t *testing.T) {
	m, err := New(ringfence.Secret(strings.Repeat("p", 32)), Cost{})
	if err != nil {
		t.Fatal(err)
	}
	good, why, err := m.Enrol(t.Context(), Choice{PIN: ringfence.Secret("271936")})
	if err != nil || why != "" {
		t.Fatal(err, why)
	}
	for name, bad := range map[string]string{
		"empty": "", "phc": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "two": string(good) + string(good),
		"unknown member": strings.Replace(string(good), `"v":1`, `"v":1,"x":2`, 1), "version": strings.Replace(string(good), `"v":1`, `"v":2`, 1),
		"cheap":  strings.Replace(string(good), `"memory_kib":19456`, `"memory_kib":8`, 1),
		"dear":   strings.Replace(string(good), `"memory_kib":19456`, `"memory_kib":4000000`, 1),
		"no tag": `{"v":1,"cost":{"passes":2,"memory_kib":19456,"lanes":1},"salt":"","tag":"","duress":""}`,
	} {
		if got, err := ImportRecord(ringfence.Secret(bad)); err == nil || got != nil {
			t.Errorf("%s was taken", name)
		}
	}
	if got, err := ImportRecord(good); err != nil || !bytes.Equal(got, good) {
		t.Errorf("our own record: %v", err)
	}
}
