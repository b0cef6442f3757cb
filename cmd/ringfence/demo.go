package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// demoCmd shows on real calls what ringfence is for. It needs no
// configuration and no other program.
type demoCmd struct {
	Once bool `help:"End after the calls. Exit 0 only if every outcome was as it should be."`
	Keep bool `help:"Keep the folder: ledger, engine's log, scripts."`
	JSON bool `name:"json" help:"Print the outcomes as JSON; the transcript goes to standard error."`
}

// Run plays the calls, then stays up until it is told to stop.
func (c *demoCmd) Run(ctx context.Context) error {
	story, answer := io.Writer(os.Stdout), io.Writer(os.Stdout)
	if c.JSON {
		story = os.Stderr
	}
	return c.play(ctx, story, answer)
}

// demoPatience bounds the calls as a whole; a step has patience of its own.
const demoPatience = 10 * time.Minute

func (c *demoCmd) play(ctx context.Context, story, answer io.Writer) (err error) {
	t := newTranscript(story)
	t.line("ringfence demo: three calls on loopback, in a folder that is thrown away.")
	d, err := newDemo(ctx, t, c.Keep)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		if closed := d.close(context.WithoutCancel(ctx)); err == nil && closed != nil {
			err = fmt.Errorf("demo: stopping: %w", closed)
		}
	}()
	calls, stop := context.WithTimeout(ctx, demoPatience)
	d.calls(calls)
	stop()
	if ctx.Err() != nil {
		return &exitError{code: 1, text: "demo: stopped before the calls were over"}
	}
	d.proved(ctx)
	if c.JSON {
		enc := json.NewEncoder(answer)
		enc.SetIndent("", "  ")
		if err := enc.Encode(t.result()); err != nil {
			return err
		}
	}
	if !c.Once {
		if err := d.stayUp(ctx); err != nil {
			return err
		}
	}
	if failed := t.failed(); failed > 0 {
		return &exitError{code: 1, text: fmt.Sprintf("demo: %d outcomes were not as they should be", failed)}
	}
	return nil
}
