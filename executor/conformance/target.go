package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// Target is the executor under test. Journal is required.
type Target struct {
	// Name, Credential and Tenant are what the executor is configured with.
	Name       string
	Credential ringfence.Secret
	Tenant     ringfence.TenantID // empty = default
	Issuer     string             // empty = ringfence
	// Key is the RFC 7638 thumbprint of its DPoP key; empty takes the first
	// key that it proves, and holds it to that one.
	Key string
	// Webhook is where it takes announcements and Secret signs them; empty
	// leaves the webhook cases out, and it has to poll.
	Webhook string
	Secret  ringfence.Secret
	// Journal returns what the executor did, all of it, in the form that
	// ringfence reconciles.
	Journal func(context.Context) ([]Act, error)
	// Type and Fields are an action that the system does without fail.
	Type   string
	Fields map[string]string
	// Fails and Doubts are fields of actions that the system refuses, and
	// whose outcome it cannot tell; nil leaves those cases out.
	Fails, Doubts map[string]string
	// Restart kills the executor without warning and starts it again; nil
	// leaves those cases out.
	Restart func(context.Context) error
	// Patience is how long a good release may take; zero means 30 s. Settle is
	// how long a bad one is watched after the next good one was done; zero
	// means 1 s.
	Patience, Settle time.Duration
}

// Act is a line of the executor's journal. Fields, which a reconciliation does
// not want, may stand in that of a test system: then they are compared too.
type Act struct {
	executor.Line
	Fields map[string]string `json:"fields,omitempty"`
}

func (t *Target) complete() error {
	switch {
	case t.Name == "" || len(t.Credential) == 0:
		return errors.New("conformance: want the executor's name and credential")
	case t.Journal == nil:
		return errors.New("conformance: want the executor's journal: what it did is judged by it")
	case t.Type == "" || len(t.Fields) == 0:
		return errors.New("conformance: want the type and the fields of an action that the system does")
	case (t.Webhook == "") != (len(t.Secret) == 0):
		return errors.New("conformance: a webhook goes with its secret")
	}
	if t.Tenant == "" {
		t.Tenant = ringfence.DefaultTenant
	}
	if t.Issuer == "" {
		t.Issuer = "ringfence"
	}
	if t.Patience == 0 {
		t.Patience = 30 * time.Second
	}
	if t.Settle == 0 {
		t.Settle = time.Second
	}
	return nil
}

// maxJournalBytes bounds a journal that is read.
const maxJournalBytes = 16 << 20

// JournalAt reads a journal from a file or an http address: JSON lines, one
// for each act.
func JournalAt(where string) func(context.Context) ([]Act, error) {
	return func(ctx context.Context) ([]Act, error) {
		if !strings.Contains(where, "://") {
			f, err := os.Open(where)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return readLines(f)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the journal's address answers %d", resp.StatusCode)
		}
		return readLines(resp.Body)
	}
}

// readLines reads acts. A journal of package executor may hold its other steps
// too: they have no outcome yet, and are passed over.
func readLines(r io.Reader) ([]Act, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxJournalBytes))
	in.Buffer(make([]byte, 0, 64<<10), 1<<20)
	var out []Act
	for n := 1; in.Scan(); n++ {
		var l struct {
			Act
			Step executor.Step `json:"step"`
		}
		if strings.TrimSpace(in.Text()) == "" {
			continue
		}
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("journal, line %d: %v", n, err)
		}
		if l.Outcome != "" && (l.Step == "" || l.Step == executor.StepActed) {
			out = append(out, l.Act)
		}
	}
	return out, in.Err()
}
