package problem_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/web/problem"
)

func TestEveryKindStandsOnceAndIsWritten(t *testing.T) {
	seen := map[problem.Kind]bool{}
	for _, row := range problem.Table {
		if seen[row.Kind] {
			t.Errorf("%s stands twice", row.Kind)
		}
		seen[row.Kind] = true
		if row.Status < 400 || row.Title == "" {
			t.Errorf("%s: status %d, title %q", row.Kind, row.Status, row.Title)
		}
		p := problem.New(row.Kind, "why")
		if p.Kind() != row.Kind || p.Status != row.Status {
			t.Errorf("New(%s) = %+v", row.Kind, p)
		}
		w := httptest.NewRecorder()
		p.Write(w)
		var back problem.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if w.Code != row.Status || back.Type != "urn:ringfence:problem:"+string(row.Kind) || back.Detail != "why" {
			t.Errorf("%s wrote %d %s", row.Kind, w.Code, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: content type %q", row.Kind, got)
		}
		if (w.Code == 401) != strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer realm") {
			t.Errorf("%s: WWW-Authenticate %q", row.Kind, w.Header().Get("WWW-Authenticate"))
		}
	}
	if len(seen) != 14 {
		t.Errorf("%d kinds; a new one needs a line in the API's documentation", len(seen))
	}
}

func TestUnknownKindIsInternal(t *testing.T) {
	if p := problem.New("made-up", ""); p.Status != 500 || p.Kind() != problem.Internal {
		t.Errorf("got %+v", p)
	}
}

func TestMoreProofSpeaksRFC9470(t *testing.T) {
	w := httptest.NewRecorder()
	problem.New(problem.InsufficientEvidence, "").Write(w)
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer error="insufficient_user_authentication"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
}
