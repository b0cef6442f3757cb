package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ringfence/ringfence/web"
)

// bansCmd is who is ignored by the telephone edge of a ringfence that runs.
type bansCmd struct {
	List bansListCmd `cmd:"" help:"Show which sources are ignored, and until when."`
	Lift bansLiftCmd `cmd:"" help:"Listen to a source again."`
}

type bansListCmd struct{ apiFlags }

// Run prints the bans.
func (c *bansListCmd) Run(ctx context.Context) error {
	a, err := c.open()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	var have struct {
		Bans []web.Ban `json:"bans"`
	}
	if err := a.ask(ctx, "GET", "/v1/bans", nil, &have); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, b := range have.Bans {
		fmt.Fprintf(w, "%s\tuntil %s\n", b.Source, b.Until.UTC().Format(time.RFC3339))
	}
	if len(have.Bans) == 0 {
		fmt.Fprintln(w, "nobody is ignored")
	}
	return w.Flush()
}

type bansLiftCmd struct {
	apiFlags
	Source string `arg:"" help:"An IP address."`
	Why    string `required:"" help:"Stands in the audit record."`
}

// Run lifts one ban. Exit 1: the source is not ignored, or it may not be done.
func (c *bansLiftCmd) Run(ctx context.Context) error {
	a, err := c.open()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	return a.ask(ctx, "POST", "/v1/bans/lift", map[string]string{"source": c.Source, "why": c.Why}, nil)
}

// captureCmd takes the packets of one live call.
type captureCmd struct {
	apiFlags
	Call   string        `arg:"" help:"Reference of the call, or id of its traversal."`
	Reason string        `required:"" help:"Stands in the audit record."`
	For    time.Duration `default:"60s" help:"How long at most, up to 10 minutes; the call's end and Ctrl-C end it too."`
	Out    string        `required:"" type:"path" help:"pcap file to write; it must not be there." placeholder:"FILE"`
}

// captureTurn is how often a capture is asked whether it is done.
const captureTurn = time.Second

// Run captures and writes the file. A first Ctrl-C takes what there is.
func (c *captureCmd) Run(ctx context.Context) error {
	a, err := c.open()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	if _, err := os.Stat(c.Out); !errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: 2, text: c.Out + " is there already, or cannot be"}
	}
	var began web.Capture
	ask := map[string]any{"reason": c.Reason, "seconds": int(c.For / time.Second)}
	if err := a.ask(ctx, "POST", "/v1/traversals/"+url.PathEscape(c.Call)+"/captures", ask, &began); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "ringfence: capturing until "+began.Until.UTC().Format(time.RFC3339)+", the end of the call or Ctrl-C")
	if err := waitDone(ctx, a, began); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return c.fetch(last, a, began)
}

// waitDone waits until nothing is added to a capture any more.
func waitDone(ctx context.Context, a *api, began web.Capture) error {
	every := time.NewTicker(captureTurn)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		var have struct {
			Captures []web.Capture `json:"captures"`
		}
		err := a.ask(ctx, "GET", "/v1/captures", nil, &have)
		i := slices.IndexFunc(have.Captures, func(c web.Capture) bool { return c.ID == began.ID })
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case i < 0 || have.Captures[i].Done:
			return nil
		}
	}
}

func (c *captureCmd) fetch(ctx context.Context, a *api, began web.Capture) error {
	status, file, err := a.do(ctx, "GET", began.File, nil)
	if err != nil {
		return err
	}
	if status != 200 {
		return refusedWith(status, file)
	}
	f, err := os.OpenFile(c.Out, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(file); err != nil {
		return errors.Join(err, f.Close())
	}
	fmt.Printf("%s  %d octets, sha256 %x\n", c.Out, len(file), sha256.Sum256(file))
	return f.Close()
}
