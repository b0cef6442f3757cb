package executor_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func openJournal(t testing.TB, path string) *executor.FileJournal {
	t.Helper()
	j, err := executor.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestNewRefuses(t *testing.T) {
	journal := openJournal(t, filepath.Join(t.TempDir(), "j"))
	good := executor.Config{URL: "https://ringfence.example.com", Name: "bank", Credential: ringfence.Secret("x"), Key: newKey(t), Journal: journal}
	if _, err := executor.New(good); err != nil {
		t.Fatal(err)
	}
	if _, err := executor.New(executor.Config{}); err == nil {
		t.Error("the zero configuration makes a client")
	}
	for name, spoil := range map[string]func(*executor.Config){
		"http off loopback": func(c *executor.Config) { c.URL = "http://ringfence.example.com" },
		"a path":            func(c *executor.Config) { c.URL += "/v1" },
		"no name":           func(c *executor.Config) { c.Name = "" },
		"no credential":     func(c *executor.Config) { c.Credential = nil },
		"no key":            func(c *executor.Config) { c.Key = nil },
		"no journal":        func(c *executor.Config) { c.Journal = nil },
		"an hour of skew":   func(c *executor.Config) { c.Skew = time.Hour },
	} {
		c := good
		spoil(&c)
		if _, err := executor.New(c); err == nil {
			t.Errorf("%s: a client was made", name)
		}
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := executor.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := executor.OpenJournal(path); err == nil {
		t.Error("a second process may have the journal")
	}
	ctx := t.Context()
	a, b := ringfence.NewID[ringfence.ReleaseID]("rel"), ringfence.NewID[ringfence.ReleaseID]("rel")
	for _, r := range []executor.Record{{Release: a, Step: executor.StepPermitted}, {Release: b, Step: executor.StepActed, Outcome: executor.Unknown}, {Release: a, Step: executor.StepReported}} {
		if err := j.Append(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(ctx, executor.Record{Release: a}); err == nil {
		t.Error("a closed journal takes a record")
	}
	torn := []byte(`{"release":"rel_torn","st`)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(torn); err != nil {
		t.Fatal(err)
	}
	f.Close()
	j = openJournal(t, path)
	if r, ok, err := j.Last(ctx, a); err != nil || !ok || r.Step != executor.StepReported {
		t.Errorf("last of a: %+v, %v, %v", r, ok, err)
	}
	if _, ok, _ := j.Last(ctx, "rel_torn"); ok {
		t.Error("a torn line is taken for a record")
	}
	open, err := j.Unsettled(ctx)
	if err != nil || len(open) != 1 || open[0].Release != b {
		t.Errorf("unsettled: %+v, %v; want b", open, err)
	}
	if err := j.Append(ctx, executor.Record{Release: a, Step: executor.StepActed, Outcome: executor.Executed}); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	raw, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := executor.Lines(raw, &lines); err != nil || strings.Count(lines.String(), "\n") != 2 {
		t.Errorf("lines: %v\n%s; want two", err, lines.String())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestADamagedJournalIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, []byte("{}\n{\"release\":\"rel_1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := executor.OpenJournal(path); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("have %v, want an error that names the line", err)
	}
}

// system counts what it is asked.
type system struct {
	performed int
	outcome   executor.Outcome
	knows     executor.Outcome
}

func (s *system) Perform(context.Context, executor.Action) (executor.Outcome, error) {
	s.performed++
	return s.outcome, nil
}

func (s *system) Performed(context.Context, executor.Action) (executor.Outcome, error) {
	return s.knows, nil
}

// reporter is a ringfence that takes reports and has nothing ready.
func reporter(t *testing.T, outcomes chan<- string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/report") {
			http.Error(w, `{"type":"urn:ringfence:problem:conflict"}`, http.StatusConflict)
			return
		}
		var in struct{ Outcome string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		outcomes <- in.Outcome
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestCrash has a process die after each record, and wants what comes next:
// an act that may have begun is never begun again.
func TestCrash(t *testing.T) {
	id := ringfence.NewID[ringfence.ReleaseID]("rel")
	fresh := &executor.Action{Release: id, RedeemedAt: time.Now()}
	for _, c := range []struct {
		name      string
		last      executor.Record
		knows     executor.Outcome
		performed int
		report    string
		want      executor.Outcome
	}{
		{"before acting", executor.Record{Step: executor.StepRedeemed, Action: fresh}, "", 1, "executed", executor.Executed},
		{"before acting, long ago", executor.Record{Step: executor.StepRedeemed, Action: &executor.Action{Release: id, RedeemedAt: time.Now().Add(-time.Hour)}}, "", 0, "failed", executor.Failed},
		{"while acting, done", executor.Record{Step: executor.StepActing, Action: fresh}, executor.Executed, 0, "executed", executor.Executed},
		{"while acting, not done", executor.Record{Step: executor.StepActing, Action: fresh}, executor.Failed, 0, "failed", executor.Failed},
		{"while acting, nobody knows", executor.Record{Step: executor.StepActing, Action: fresh}, executor.Unknown, 0, "unknown", executor.Unknown},
		{"while acting, a nonsense answer", executor.Record{Step: executor.StepActing, Action: fresh}, "perhaps", 0, "unknown", executor.Unknown},
		{"before the report", executor.Record{Step: executor.StepActed, Outcome: executor.Unknown}, executor.Executed, 0, "unknown", executor.Unknown},
		{"after the report", executor.Record{Step: executor.StepReported, Outcome: executor.Unknown}, executor.Executed, 0, "", executor.Unknown},
		{"redemption refused", executor.Record{Step: executor.StepPermitted, Token: "x"}, "", 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			outcomes := make(chan string, 4)
			s := reporter(t, outcomes)
			journal := openJournal(t, filepath.Join(t.TempDir(), "journal"))
			c.last.Release, c.last.Permit, c.last.At = id, ringfence.NewID[ringfence.PermitID]("prm"), time.Now()
			if err := journal.Append(t.Context(), c.last); err != nil {
				t.Fatal(err)
			}
			client, err := executor.New(executor.Config{URL: s.URL, Name: "bank", Credential: ringfence.Secret("x"), Key: newKey(t), Journal: journal})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			sys := &system{outcome: executor.Executed, knows: c.knows}
			got, err := client.Do(t.Context(), id, sys)
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("have %q, %v; want %q", got, err, c.want)
			}
			if again, _ := client.Do(t.Context(), id, sys); again != c.want {
				t.Errorf("asked again it says %q", again)
			}
			if sys.performed != c.performed {
				t.Errorf("performed %d times, want %d", sys.performed, c.performed)
			}
			close(outcomes)
			if report := <-outcomes; report != c.report {
				t.Errorf("reported %q, want %q", report, c.report)
			}
		})
	}
}

// broken is a journal on a full disk.
type broken struct{ *executor.FileJournal }

func (broken) Append(context.Context, executor.Record) error { return errors.New("no space left") }

func TestWithoutAJournalNothingIsDone(t *testing.T) {
	id := ringfence.NewID[ringfence.ReleaseID]("rel")
	journal := openJournal(t, filepath.Join(t.TempDir(), "journal"))
	if err := journal.Append(t.Context(), executor.Record{Release: id, Step: executor.StepRedeemed, Action: &executor.Action{Release: id, RedeemedAt: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	client, err := executor.New(executor.Config{URL: "http://127.0.0.1:1", Name: "bank", Credential: ringfence.Secret("x"), Key: newKey(t), Journal: broken{journal}})
	if err != nil {
		t.Fatal(err)
	}
	sys := &system{outcome: executor.Executed}
	if _, err := client.Do(t.Context(), id, sys); err == nil || sys.performed != 0 {
		t.Errorf("%v, performed %d times; want an error and nothing done", err, sys.performed)
	}
	if err := client.Run(t.Context(), sys); err == nil {
		t.Error("Run goes on without a journal")
	}
}

// FuzzVerify wants that no text of a stranger's is ever a permit.
func FuzzVerify(f *testing.F) {
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) }))
	f.Cleanup(keys.Close)
	journal := openJournal(f, filepath.Join(f.TempDir(), "journal"))
	client, err := executor.New(executor.Config{URL: keys.URL, Name: "bank", Credential: ringfence.Secret("x"), Key: newKey(f), Journal: journal})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("eyJhbGciOiJFZERTQSJ9.e30.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := client.Verify(t.Context(), token, "rel_00000000000000000000000000", time.Now()); err == nil || p.Token != "" {
			t.Errorf("%q is a permit", token)
		}
	})
}
