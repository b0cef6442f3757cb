package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
)

// flowRollbackCmd brings back what was in force before.
type flowRollbackCmd struct {
	Hash string `arg:"" help:"Bundle, or the first eight digits of it; ringfence flow status lists them. The one in force drops what waits and what is ramped."`
	signFlags
}

// Run rolls back.
func (c *flowRollbackCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(s *counter) error {
		who, err := c.signer(ctx, s)
		if err != nil {
			return err
		}
		hash, err := s.Find(ctx, s.tenant, strings.ToLower(c.Hash))
		if err != nil {
			return err
		}
		raw, err := hex.DecodeString(hash)
		if err != nil || len(raw) != 32 {
			return c.answer(shelf.Result{Bundle: c.Hash, Refused: shelf.RefuseUnknown}, "")
		}
		out, err := s.Rollback(ctx, s.tenant, hash, who.over(flows.ApprovalMessage([32]byte(raw))))
		if err != nil {
			return err
		}
		return c.answer(out, fmt.Sprintf("ringfence flow rollback %s --as EMAIL --key FILE", hash[:12]))
	})
}

// flowRampCmd changes how many calls get the ramped bundle.
type flowRampCmd struct {
	Share string `arg:"" help:"1% to 99%, or the numbers called, parted by commas. 0 lets no new call in and keeps both policies; 100% gives it every call."`
	signFlags
}

// Run ramps.
func (c *flowRampCmd) Run(ctx context.Context) error {
	var share shelf.Share
	all := c.Share == "100" || c.Share == "100%"
	if !all && c.Share != "0" && c.Share != "0%" {
		var err error
		if share, err = shelf.ParseShare(c.Share); err != nil {
			return &exitError{2, err.Error()}
		}
	}
	return c.with(ctx, func(s *counter) error {
		who, err := c.signer(ctx, s)
		if err != nil {
			return err
		}
		status, err := s.Status(ctx, s.tenant)
		if err != nil {
			return err
		}
		if status.Ramp == nil {
			return c.answer(shelf.Result{Refused: shelf.RefuseNoRamp, Why: "flow publish DIR --ramp begins one"}, "")
		}
		raw, err := hex.DecodeString(status.Ramp.Bundle)
		if err != nil || len(raw) != 32 {
			return fmt.Errorf("the ramp names no bundle: %q", status.Ramp.Bundle)
		}
		out, err := s.SetShare(ctx, s.tenant, share, all, who.over(flows.ApprovalMessage([32]byte(raw))))
		if err != nil {
			return err
		}
		return c.answer(out, "")
	})
}

// flowStatusCmd says what is in force, waits, is ramped and was proposed.
type flowStatusCmd struct {
	shelfFlags
}

// Run prints.
func (c *flowStatusCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(s *counter) error {
		st, err := s.Status(ctx, s.tenant)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(os.Stdout, st)
		}
		fmt.Println("in force  " + st.Current)
		if st.Next != nil {
			fmt.Printf("waiting   %s until %s\n", st.Next.Bundle, st.Next.From.UTC().Format(time.RFC3339))
		}
		if st.Ramp != nil {
			fmt.Printf("ramp      %s %s", st.Ramp.Bundle, st.Ramp.Share)
			if st.Ramp.Stopped != "" {
				fmt.Printf(", no new calls: %s", st.Ramp.Stopped)
			}
			fmt.Println()
		}
		for _, p := range st.Drafts {
			fmt.Printf("proposed  %s, %d signed\n", p.Bundle, len(p.Signed))
		}
		for _, p := range st.History {
			fmt.Printf("%s  %s %s\n", p.At.UTC().Format(time.RFC3339), p.Bundle, p.How)
		}
		return nil
	})
}
