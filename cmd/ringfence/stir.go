package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/ringfence/ringfence/cmd/ringfence/stircmd"
)

// stirCmd is `ringfence stir`.
type stirCmd struct {
	Verify  stirVerify  `cmd:"" help:"Check the signature of a captured INVITE or of header values."`
	Sign    stirSign    `cmd:"" help:"Sign a call: print an Identity header field."`
	Inspect stirInspect `cmd:"" help:"Explain an Identity header part by part and mark what is wrong."`
	CA      stirCA      `cmd:"" name:"ca" help:"Run a certificate authority for a lab."`
}

type stirVerify struct{ stircmd.Verify }

func (c *stirVerify) Run(ctx context.Context) error { return stirRun(ctx, &c.Verify) }

type stirSign struct{ stircmd.Sign }

func (c *stirSign) Run(ctx context.Context) error { return stirRun(ctx, &c.Sign) }

type stirInspect struct{ stircmd.Inspect }

func (c *stirInspect) Run(ctx context.Context) error { return stirRun(ctx, &c.Inspect) }

type stirCA struct {
	Init  stirCAInit  `cmd:"" help:"Make a root and an intermediate in a new folder."`
	Leaf  stirCALeaf  `cmd:"" help:"Issue a signing certificate with a TNAuthList."`
	CRL   stirCACRL   `cmd:"" name:"crl" help:"Write the intermediate's revocation list."`
	Serve stirCAServe `cmd:"" help:"Serve certificates and lists to lab verifiers, on loopback."`
}

type stirCAInit struct{ stircmd.CAInit }

func (c *stirCAInit) Run(ctx context.Context) error { return stirRun(ctx, &c.CAInit) }

type stirCALeaf struct{ stircmd.CALeaf }

func (c *stirCALeaf) Run(ctx context.Context) error { return stirRun(ctx, &c.CALeaf) }

type stirCACRL struct{ stircmd.CACRL }

func (c *stirCACRL) Run(ctx context.Context) error { return stirRun(ctx, &c.CACRL) }

type stirCAServe struct{ stircmd.CAServe }

func (c *stirCAServe) Run(ctx context.Context) error { return stirRun(ctx, &c.CAServe) }

// stirRun turns an answer into an exit status: 1 without a word for a refusal,
// which the answer has explained, 2 for misuse.
func stirRun(ctx context.Context, do interface {
	Do(context.Context, io.Writer) (bool, error)
}) error {
	done, err := do.Do(ctx, os.Stdout)
	var misuse stircmd.Misuse
	switch {
	case errors.As(err, &misuse):
		return &exitError{2, err.Error()}
	case err != nil:
		return &exitError{1, err.Error()}
	case !done:
		return &exitError{1, ""}
	}
	return nil
}
