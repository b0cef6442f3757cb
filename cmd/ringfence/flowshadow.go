package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/ledger"
)

// flowShadowCmd lets a bundle follow live calls, and says how it took them.
type flowShadowCmd struct {
	Dir string `arg:"" optional:"" help:"Folder that is to follow the calls; left out, the findings so far are printed."`
	shelfFlags
	As   string        `help:"Address of the member of staff who starts or stops it." placeholder:"EMAIL"`
	For  time.Duration `default:"24h" help:"How long it follows calls that begin, up to 30 days."`
	Stop bool          `help:"Stop it."`
}

// Help implements kong's HelpProvider.
func (c *flowShadowCmd) Help() string {
	return `A shadow hears what callers answer on live calls and goes through its own scenes
with it: nothing of it is spoken, sent, stored on a call or released. It follows
up to the first point where it would ask something else; after that the answers
mean nothing. What is told holds no digit and no value.

Examples:
  ringfence flow shadow draft --as olga@example.com
  ringfence flow shadow
  ringfence flow shadow --stop --as olga@example.com`
}

// Run starts, stops or prints.
func (c *flowShadowCmd) Run(ctx context.Context) error {
	if (c.Dir != "" || c.Stop) && c.As == "" {
		return &exitError{2, "--as: say who starts or stops it"}
	}
	if c.Dir != "" && c.Stop {
		return &exitError{2, "a folder and --stop: one of the two"}
	}
	var b *flows.Bundle
	if c.Dir != "" {
		var err error
		if b, _, err = loadFlows(c.Dir); err != nil {
			return err
		}
	}
	return c.with(ctx, func(s *counter) error {
		if c.Dir == "" && !c.Stop {
			return c.found(ctx, s)
		}
		by, err := s.staff(ctx, c.As)
		if err != nil {
			return err
		}
		var out shelf.Result
		if c.Stop {
			out, err = s.StopShadow(ctx, s.tenant, by)
		} else {
			out, err = s.StartShadow(ctx, s.tenant, b, by, c.For)
		}
		if err != nil {
			return err
		}
		if out.Refused == shelf.Done && !c.JSON {
			what := "stopped; ringfence flow shadow prints what it found"
			if b != nil {
				what = "follows new calls for " + c.For.String()
			}
			fmt.Printf("shadow %s: %s\n", out.Bundle[:12], what)
			return nil
		}
		return c.answer(out, "")
	})
}

// staff finds a member of staff by address.
func (s *counter) staff(ctx context.Context, address string) (ringfence.PersonID, error) {
	p, err := personIn(ctx, s.store, s.tenant, strings.ToLower(address))
	if err != nil {
		return "", err
	}
	if p.ID == "" {
		return "", &exitError{2, "--as: there is no member of staff " + address}
	}
	return p.ID, nil
}

func (c *flowShadowCmd) found(ctx context.Context, s *counter) error {
	st, err := s.ShadowStatus(ctx, s.tenant)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(os.Stdout, st)
	}
	if st.Bundle == "" {
		fmt.Println("no bundle has followed a call; ringfence flow shadow DIR --as EMAIL starts one")
		return nil
	}
	until := "until " + st.Until.UTC().Format(time.RFC3339)
	if !st.Runs(time.Now()) {
		until = "stopped " + st.Until.UTC().Format(time.RFC3339)
	}
	fmt.Printf("shadow %s since %s, %s\n", st.Bundle, st.Since.UTC().Format(time.RFC3339), until)
	fmt.Printf("%d calls: %d the same, %d in other words, %d asked something else, %d not followed to the end\n", st.Calls, st.Same, st.Words, st.Differs, st.Unknown)
	for _, d := range st.Differences {
		fmt.Printf("%5d  %s\n", d.Calls, d.Difference)
		for _, id := range d.Examples {
			fmt.Printf("         ringfence flow replay %s DRAFT --as EMAIL\n", id)
		}
	}
	return nil
}

// flowReplayCmd plays a recorded call against a draft.
type flowReplayCmd struct {
	Call string `arg:"" optional:"" help:"Traversal or call reference; left out, the recorded calls are listed."`
	Dir  string `arg:"" optional:"" help:"Folder with the draft; by default ./scripts, else the shipped ones."`
	shelfFlags
	As string `help:"Address of the member of staff who plays it: that stands in the audit record." placeholder:"EMAIL"`
}

// Help implements kong's HelpProvider.
func (c *flowReplayCmd) Help() string {
	return `Calls are kept for 30 days as the lines that were played and how each ended:
no digit, no value, only on which side of a condition a value lay. This plays
one against a draft and prints, at each line, what is proved and known there,
up to the first point where the draft would ask something else.

Examples:
  ringfence flow replay
  ringfence flow replay trv_4m6mm47j372c266grxq5qqcw5s draft --as olga@example.com`
}

// Run plays, or lists.
func (c *flowReplayCmd) Run(ctx context.Context) error {
	if c.Call == "" {
		return c.with(ctx, func(s *counter) error { return c.list(ctx, s) })
	}
	if c.As == "" {
		return &exitError{2, "--as: say who plays it; that stands in the audit record"}
	}
	b, _, err := loadFlows(c.Dir)
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *counter) error {
		by, err := s.staff(ctx, c.As)
		if err != nil {
			return err
		}
		id, err := c.find(ctx, s)
		if err != nil {
			return err
		}
		runs, err := runner.ReplayRecording(ctx, s.store, s.tenant, by, id, b)
		if errors.Is(err, ledger.ErrNotFound) {
			return &exitError{1, "no such call is kept: it is still under way, older than 30 days, or the person was erased"}
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(os.Stdout, runs)
		}
		for _, r := range runs {
			printFollowed(os.Stdout, r)
		}
		return nil
	})
}

// find takes a call reference for its traversal.
func (c *flowReplayCmd) find(ctx context.Context, s *counter) (ringfence.TraversalID, error) {
	if strings.HasPrefix(c.Call, ringfence.PrefixTraversal) {
		return ringfence.TraversalID(c.Call), nil
	}
	all, err := runner.Recordings(ctx, s.store, s.tenant)
	for _, r := range all {
		if strings.EqualFold(r.Reference, c.Call) {
			return r.Traversal, nil
		}
	}
	return ringfence.TraversalID(c.Call), err
}

func (c *flowReplayCmd) list(ctx context.Context, s *counter) error {
	all, err := runner.Recordings(ctx, s.store, s.tenant)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(os.Stdout, append([]runner.Recording{}, all...))
	}
	for _, r := range all {
		var names []string
		for _, run := range r.Runs {
			names = append(names, run.Flow)
		}
		fmt.Printf("%s  %s  %s: %s\n", r.Traversal, r.Reference, r.Line, strings.Join(names, ", "))
	}
	return nil
}

func printFollowed(w io.Writer, f flows.Followed) {
	fmt.Fprintf(w, "%s, recorded with %s, played with %s\n", f.Flow, f.From[:min(12, len(f.From))], f.To[:12])
	for _, s := range f.Steps {
		what := s.Asks
		if what == "" {
			what = s.Verb
		}
		if s.Words != "" {
			what += " “" + s.Words + "”"
		}
		fmt.Fprintf(w, "  %-26s %s: %s\n", s.Flow+", "+s.Scene, what, s.Way)
		if s.Asks != "" && len(s.Facts) > 0 {
			fmt.Fprintf(w, "  %-26s   proved: %s\n", "", strings.Join(s.Facts, ", "))
		}
		if s.Asks != "" && len(s.Knows) > 0 {
			fmt.Fprintf(w, "  %-26s   known: %s\n", "", strings.Join(s.Knows, ", "))
		}
	}
	for _, d := range f.Differences {
		fmt.Fprintln(w, "  differs: "+d.String())
	}
	fmt.Fprintf(w, "%s: %d questions asked as on the call\n", map[string]string{flows.FollowedSame: "the same", flows.FollowedWords: "the same in other words",
		flows.FollowedDiffers: "otherwise", flows.FollowedUnknown: "not to the end"}[f.Result], f.Asked)
}
