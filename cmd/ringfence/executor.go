package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
	"github.com/ringfence/ringfence/executor/conformance"
)

// executorCmd is for whoever integrates the system that does what was released.
type executorCmd struct {
	Check executorCheckCmd `cmd:"" help:"Play ringfence for an executor under test, and ask it what a real one asks only on its worst day."`
	Key   executorKeyCmd   `cmd:"" help:"Make an executor's key, and print the thumbprint that the configuration wants."`
	Lines executorLinesCmd `cmd:"" help:"Turn a journal into the lines that reconciliation takes: no field of an action in them."`
}

// executorKeyCmd makes or reads the key of an executor.
type executorKeyCmd struct {
	File string `arg:"" help:"Ed25519 key in PEM; made, with mode 0600, if it is not there."`
}

// Run prints the thumbprint.
func (c *executorKeyCmd) Run() error {
	key, err := signingKey(c.File)
	if err != nil {
		return err
	}
	thumb, err := executor.Thumbprint(key)
	if err != nil {
		return err
	}
	fmt.Println(thumb)
	return nil
}

// executorLinesCmd strips a journal.
type executorLinesCmd struct {
	Journal string `arg:"" type:"existingfile" help:"Journal of package executor."`
}

// Run prints the lines.
func (c *executorLinesCmd) Run() error {
	f, err := os.Open(c.Journal)
	if err != nil {
		return err
	}
	defer f.Close()
	return executor.Lines(f, os.Stdout)
}

// executorCheckCmd runs the conformance kit. Exit 0: every case that was asked
// passed; 1: one failed; 2: misused.
type executorCheckCmd struct {
	Listen     string            `default:"127.0.0.1:8088" help:"Where the kit plays ringfence; point the executor there."`
	Cert       string            `type:"existingfile" help:"Certificate for it, when the executor insists on https." placeholder:"FILE"`
	CertKey    string            `name:"cert-key" type:"existingfile" help:"Its key." placeholder:"FILE"`
	Name       string            `required:"" help:"The executor's name."`
	Credential string            `required:"" type:"existingfile" help:"File with the credential that the executor is configured with."`
	KeyThumb   string            `name:"key" help:"RFC 7638 thumbprint of its key. Default: the first that it proves." placeholder:"THUMBPRINT"`
	URL        string            `name:"url" help:"Its webhook. Without it the webhook cases are left out." placeholder:"URL"`
	Secret     string            `type:"existingfile" help:"File with the webhook's secret (whsec_…)." placeholder:"FILE"`
	Journal    string            `required:"" help:"What it did: a file or an address of JSON lines." placeholder:"FILE|URL"`
	Type       string            `default:"payment" help:"Type of the action that is asked for."`
	Field      map[string]string `required:"" mapsep:"," help:"Its fields, name=value: an action that your test system does."`
	Fails      map[string]string `mapsep:"," help:"Fields of an action that your test system refuses."`
	Doubts     map[string]string `mapsep:"," help:"Fields of an action whose outcome your test system cannot tell."`
	Restart    string            `help:"Command that kills the executor and starts it again." placeholder:"COMMAND"`
	Case       []string          `help:"Ask only these cases." placeholder:"NAME"`
	Patience   time.Duration     `default:"30s" help:"How long a good release may take."`
	Settle     time.Duration     `default:"1s" help:"How long a bad one is watched."`
	JSON       bool              `help:"Print the results as JSON."`
}

// Run asks.
func (c *executorCheckCmd) Run(ctx context.Context) error {
	kit, err := c.kit()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	srv := &http.Server{Handler: kit.Gateway(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() {
		if c.Cert != "" {
			served <- srv.ServeTLS(ln, c.Cert, c.CertKey)
			return
		}
		served <- srv.Serve(ln)
	}()
	results := kit.Run(ctx, c.only, c.tell)
	err = srv.Close()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return err
	}
	return c.sum(results)
}

func (c *executorCheckCmd) kit() (*conformance.Kit, error) {
	credential, err := os.ReadFile(c.Credential)
	if err != nil {
		return nil, err
	}
	t := conformance.Target{Name: c.Name, Credential: ringfence.Secret(strings.TrimSpace(string(credential))), Key: c.KeyThumb, Webhook: c.URL,
		Journal: conformance.JournalAt(c.Journal), Type: c.Type, Fields: c.Field, Fails: c.Fails, Doubts: c.Doubts, Patience: c.Patience, Settle: c.Settle}
	if c.Secret != "" {
		secret, err := os.ReadFile(c.Secret)
		if err != nil {
			return nil, err
		}
		t.Secret = ringfence.Secret(strings.TrimSpace(string(secret)))
	}
	for _, name := range c.Case {
		if !slices.Contains(conformance.Cases(), name) {
			return nil, fmt.Errorf("--case: there is no %q; there are: %s", name, strings.Join(conformance.Cases(), ", "))
		}
	}
	if c.Restart != "" {
		t.Restart = func(ctx context.Context) error { return exec.CommandContext(ctx, "/bin/sh", "-c", c.Restart).Run() }
	}
	return conformance.New(t)
}

func (c *executorCheckCmd) only(name string) bool {
	return len(c.Case) == 0 || slices.Contains(c.Case, name)
}

func (c *executorCheckCmd) tell(r conformance.Result) {
	if c.JSON {
		return
	}
	fmt.Printf("%-8s %s: %s\n", r.Outcome, r.Case, r.What)
	if r.Says != "" {
		fmt.Printf("         %s\n", r.Says)
	}
}

func (c *executorCheckCmd) sum(results []conformance.Result) error {
	count := map[string]int{}
	for _, r := range results {
		count[r.Outcome]++
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(results); err != nil {
			return err
		}
	} else {
		fmt.Printf("%d passed, %d failed, %d not run\n", count[conformance.Passed], count[conformance.Broken], count[conformance.NotRun])
	}
	if count[conformance.Broken] > 0 || len(results) == 0 {
		return &exitError{code: 1}
	}
	return nil
}
