package web

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// fakeRecordings is one recording that tells what was asked of it.
type fakeRecordings struct {
	asked []RecordingAccess
	did   []string
	err   error
	owner ringfence.PersonID
}

type memoryAudio struct{ *bytes.Reader }

func (memoryAudio) Close() error { return nil }

const aRecording = "rec_00000000000000000000000000"

func (f *fakeRecordings) List(_ context.Context, tenant ringfence.TenantID, q RecordingQuery) ([]Recording, error) {
	if tenant != ringfence.DefaultTenant || q.Before != 0 {
		return nil, nil
	}
	return []Recording{{ID: aRecording, State: "kept", Began: time.Unix(1700000000, 0), Gaps: []RecordingGap{}}}, nil
}

func (f *fakeRecordings) Grant(_ context.Context, a RecordingAccess) (Recording, string, error) {
	if f.err != nil {
		return Recording{}, "", f.err
	}
	f.asked, f.owner = append(f.asked, a), a.By
	return Recording{ID: a.Recording, SHA256: "ab", Gaps: []RecordingGap{}}, "acc_1", nil
}

func (f *fakeRecordings) Audio(_ context.Context, _ ringfence.TenantID, pass string, by ringfence.PersonID) (Audio, Recording, error) {
	if pass != "acc_1" || by != f.owner {
		return nil, Recording{}, ledger.ErrNotFound
	}
	return memoryAudio{bytes.NewReader([]byte("RIFF0123456789"))}, Recording{ID: aRecording, SHA256: "ab", Began: time.Unix(1700000000, 0)}, nil
}

func (f *fakeRecordings) do(what, id, reason string) error {
	f.did = append(f.did, what+" "+id+" "+reason)
	return f.err
}

func (f *fakeRecordings) Hold(_ context.Context, _ ringfence.TenantID, id string, _ ringfence.PersonID, reason string) error {
	return f.do("hold", id, reason)
}
func (f *fakeRecordings) Lift(_ context.Context, _ ringfence.TenantID, id string, _ ringfence.PersonID, reason string) error {
	return f.do("lift", id, reason)
}
func (f *fakeRecordings) Delete(_ context.Context, _ ringfence.TenantID, id string, _ ringfence.PersonID, reason string) error {
	return f.do("delete", id, reason)
}

func TestRecordingsNeedAReason(t *testing.T) {
	f := &fakeRecordings{}
	d := newDesktop(t, func(c *Config) { c.Recordings = f })
	risk := d.signIn(d.person("risk", ringfence.RoleRisk))
	for _, body := range []any{nil, map[string]any{}, map[string]any{"reason": ""}, map[string]any{"reason": "     "}, map[string]any{"reason": strings.Repeat("x", 301)}, map[string]any{"reason": "complaint", "more": 1}} {
		for _, what := range []string{"play", "export", "hold", "lift", "delete"} {
			if w := d.ask(risk, "POST", "/v1/recordings/"+aRecording+"/"+what, body); w.Code < 400 || w.Code >= 500 {
				t.Errorf("%s with %v: %d", what, body, w.Code)
			}
		}
	}
	if len(f.asked)+len(f.did) != 0 {
		t.Errorf("done: %+v %v", f.asked, f.did)
	}
}

func TestRecordingRefusalsAreProblems(t *testing.T) {
	f := &fakeRecordings{}
	d := newDesktop(t, func(c *Config) { c.Recordings = f })
	risk := d.signIn(d.person("risk", ringfence.RoleRisk))
	for err, want := range map[error]int{ErrOnHold: 409, ErrStillRecording: 409, ErrErased: 410, ErrDamaged: 503, ledger.ErrNotFound: 404} {
		f.err = err
		if w := d.ask(risk, "POST", "/v1/recordings/"+aRecording+"/play", map[string]any{"reason": "complaint"}); w.Code != want {
			t.Errorf("%v: %d, want %d", err, w.Code, want)
		}
	}
	none := newDesktop(t)
	risk = none.signIn(none.person("risk", ringfence.RoleRisk))
	if w := none.ask(risk, "POST", "/v1/recordings/"+aRecording+"/delete", map[string]any{"reason": "complaint"}); w.Code != 404 {
		t.Errorf("without recordings: %d", w.Code)
	}
}

// The audio is one person's, in parts as a player asks for them.
func TestAudioIsReadInParts(t *testing.T) {
	f := &fakeRecordings{}
	d := newDesktop(t, func(c *Config) { c.Recordings = f })
	super, other := d.signIn(d.person("super", ringfence.RoleSupervisor)), d.signIn(d.person("other", ringfence.RoleRisk))
	list := decode[struct{ Recordings []Recording }](t, d.ask(super, "GET", "/v1/recordings?limit=1", nil))
	if len(list.Recordings) != 1 {
		t.Fatalf("list %+v", list)
	}
	if w := d.ask(super, "POST", "/v1/recordings/"+aRecording+"/export", map[string]any{"reason": "complaint"}); w.Code != 403 {
		t.Errorf("a supervisor takes it away: %d", w.Code)
	}
	w := d.ask(super, "POST", "/v1/recordings/"+aRecording+"/play", map[string]any{"reason": " complaint 7 "})
	pass := decode[struct{ Audio string }](t, w)
	if len(f.asked) != 1 || f.asked[0].Role != ringfence.RoleSupervisor || f.asked[0].Reason != "complaint 7" || f.asked[0].Export {
		t.Fatalf("asked %+v", f.asked)
	}
	if w := d.ask(super, "GET", pass.Audio, nil); w.Code != 200 || w.Body.String() != "RIFF0123456789" || w.Header().Get("Content-Type") != "audio/wav" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("whole: %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := d.ask(super, "GET", pass.Audio, nil, "Range", "bytes=4-7"); w.Code != 206 || w.Body.String() != "0123" || w.Header().Get("Content-Range") != "bytes 4-7/14" {
		t.Errorf("a part: %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := d.ask(super, "GET", pass.Audio, nil, "Range", "bytes=99-"); w.Code != 416 {
		t.Errorf("past the end: %d", w.Code)
	}
	if w := d.ask(other, "GET", pass.Audio, nil); w.Code != 404 {
		t.Errorf("another person: %d", w.Code)
	}
}
