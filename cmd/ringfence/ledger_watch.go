package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
)

// ledgerWatchCmd is an auditor's machine. Exit 0: --once, and all is well; 1:
// the log was cut, rolled back or forked; 2: misused; 3: --once, and not
// reached.
type ledgerWatchCmd struct {
	apiFlags
	Key      string        `required:"" help:"Verifier key, or a file with it: ringfence ledger key."`
	State    string        `required:"" help:"Where the last checkpoint that was verified is kept." placeholder:"FILE"`
	Against  []string      `help:"Checkpoints kept elsewhere, such as copies or the heads in an executor's journal: each must be in the log's past." placeholder:"FILE"`
	Every    time.Duration `default:"60s" help:"How often to look."`
	Silence  time.Duration `default:"15m" help:"For how long nothing verified may come before that is an alarm: whoever hides a log need only not answer. 0: for ever."`
	Once     bool          `help:"Look once."`
	Cosign   string        `help:"Be a witness: Ed25519 key in PEM with which each verified checkpoint is cosigned; made if it is not there." placeholder:"FILE"`
	Witness  string        `default:"witness" help:"The witness's name."`
	Cosigned string        `help:"Where the newest cosigned checkpoint is put." placeholder:"FILE"`
}

// watch follows one log.
type watch struct {
	ledgerWatchCmd
	verifier note.Verifier
	api      *api
	witness  *ledger.Witness
	heard    time.Time // when something was last verified
}

// silent turns it into an alarm that a log was not reached for too long.
func (w *watch) silent(err error, now time.Time) error {
	switch {
	case err == nil:
		w.heard = now
	case errors.Is(err, errNotReached) && !w.Once && w.Silence > 0 && now.Sub(w.heard) >= w.Silence:
		return fmt.Errorf("nothing was verified for %v, the last answer being: %v", now.Sub(w.heard).Round(time.Second), err)
	}
	return err
}

// Run watches.
func (c *ledgerWatchCmd) Run(ctx context.Context) error {
	w, err := c.open()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	tick := time.NewTicker(max(c.Every, time.Second))
	defer tick.Stop()
	w.heard = time.Now()
	for {
		says, err := w.look(ctx)
		err = w.silent(err, time.Now())
		switch {
		case errors.Is(err, errNotReached) && c.Once:
			return &exitError{code: 3, text: err.Error()}
		case errors.Is(err, errNotReached) && ctx.Err() == nil:
			fmt.Fprintln(os.Stderr, "ringfence: "+time.Now().UTC().Format(time.RFC3339)+" "+err.Error())
		case err != nil && ctx.Err() == nil:
			return &exitError{code: 1, text: "ALARM: " + err.Error()}
		case err == nil:
			fmt.Println(time.Now().UTC().Format(time.RFC3339) + " " + says)
		}
		if c.Once {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *ledgerWatchCmd) open() (*watch, error) {
	a, err := c.apiFlags.open()
	if err != nil {
		return nil, err
	}
	w := &watch{ledgerWatchCmd: *c, api: a}
	if w.verifier, err = logVerifier(c.Key, "", "", ringfence.DefaultTenant); err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	if c.Cosign != "" {
		key, err := signingKey(c.Cosign)
		if err != nil {
			return nil, err
		}
		if w.witness, err = ledger.NewWitness(c.Witness, key); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// look fetches the newest checkpoint and holds it against everything known.
func (w *watch) look(ctx context.Context) (string, error) {
	msg, err := w.get(ctx, "/v1/ledger/checkpoint")
	if err != nil {
		return "", err
	}
	head, err := ledger.OpenCheckpoint(msg, w.verifier)
	if err != nil {
		return "", fmt.Errorf("what is shown as the newest checkpoint is not signed by the log's key: %w", err)
	}
	older, err := os.ReadFile(w.State)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if len(older) > 0 {
		if err := w.follows(ctx, older, head, msg, w.State); err != nil {
			return "", err
		}
	}
	for _, path := range w.Against {
		kept, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if err := w.follows(ctx, kept, head, msg, path); err != nil {
			return "", err
		}
	}
	if err := writeAtomic(w.State, msg); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries, root %s", head.Size, head.Root), w.cosign(msg)
}

// follows wants a kept checkpoint to be in the past of the newest one. What
// contradicts it is kept beside the state, as the proof of it.
func (w *watch) follows(ctx context.Context, kept []byte, head ledger.Head, msg []byte, where string) error {
	old, err := ledger.OpenCheckpoint(kept, w.verifier)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	var proof tlog.TreeProof
	if old.Size > 0 && old.Size < head.Size {
		if proof, err = w.consistency(ctx, old.Size, head.Size); err != nil {
			return err
		}
	}
	if err := ledger.Follows(old, head, proof); err != nil {
		return errors.Join(fmt.Errorf("%w (kept: %s; both are in %s.alarm)", err, where, w.State),
			writeAtomic(w.State+".alarm", append(append(append([]byte(nil), kept...), '\n'), msg...)))
	}
	return nil
}

func (w *watch) consistency(ctx context.Context, older, newer int64) (tlog.TreeProof, error) {
	raw, err := w.get(ctx, fmt.Sprintf("/v1/ledger/consistency?old=%d&new=%d", older, newer))
	if err != nil {
		return nil, err
	}
	var out struct{ Path []string }
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("%w: the consistency proof cannot be read", errNotReached)
	}
	var proof tlog.TreeProof
	for _, text := range out.Path {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return nil, fmt.Errorf("%w: the consistency proof cannot be read", errNotReached)
		}
		proof = append(proof, h)
	}
	return proof, nil
}

func (w *watch) cosign(msg []byte) error {
	if w.witness == nil || w.Cosigned == "" {
		return nil
	}
	signed, err := w.witness.Cosign(msg, time.Now())
	if err != nil {
		return err
	}
	return writeAtomic(w.Cosigned, signed)
}

func (w *watch) get(ctx context.Context, path string) ([]byte, error) {
	status, raw, err := w.api.do(ctx, http.MethodGet, path, nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound && strings.Contains(path, "consistency"):
		return nil, fmt.Errorf("%w: it no longer has what it signed", ledger.ErrBehind)
	case status != http.StatusOK:
		return nil, fmt.Errorf("%w: %s answers %d", errNotReached, path, status)
	}
	return raw, nil
}

// writeAtomic replaces a file as a whole, durably.
func writeAtomic(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		failpoint.Hit(failpoint.CheckpointHalf)
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
