package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/verify/passkey"
)

// shelfFlags open the shelf of an installation, beside a running ringfence.
type shelfFlags struct {
	configFlag
	Tenant string `default:"default" help:"Tenant."`
	JSON   bool   `help:"Print the answer as JSON." name:"json"`
}

// signFlags say who signs.
type signFlags struct {
	shelfFlags
	As  string `required:"" help:"Address of the member of staff who signs." placeholder:"EMAIL"`
	Key string `required:"" help:"Their key, enrolled by ringfence user key." placeholder:"FILE"`
}

// counter is the shelf of one tenant and the store under it.
type counter struct {
	*shelf.Shelf
	store  truth
	tenant ringfence.TenantID
}

// open joins store and shelf, and nothing else. The caller closes the store.
func (c shelfFlags) open(ctx context.Context) (*counter, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	keys, err := openKeys(cfg)
	if err != nil {
		return nil, err
	}
	base, err := loadBundle(cfg, nil)
	if err != nil {
		return nil, err
	}
	store, err := openTruth(ctx, cfg, keys.master, opener{tool: true})
	if err != nil {
		return nil, err
	}
	out := &counter{store: store, tenant: ringfence.TenantID(c.Tenant)}
	rp := passkey.RP{ID: hostOf(cfg.Web.Staff.URL), Origins: []string{origin(cfg.Web.Staff.URL)}, Name: cfg.Tenants[0].Name}
	if out.Shelf, err = newShelf(cfg, store, base, rp, newLog(cfg.Telemetry, os.Stderr)); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return out, nil
}

// with opens the shelf, works, and closes the store whatever happens.
func (c shelfFlags) with(ctx context.Context, work func(*counter) error) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(work(s), s.store.Close())
}

// signer is a member of staff with their key in hand.
type signer struct {
	person ringfence.Person
	key    ed25519.PrivateKey
}

func (c signFlags) signer(ctx context.Context, s *counter) (signer, error) {
	p, err := personIn(ctx, s.store, s.tenant, strings.ToLower(c.As))
	if err != nil {
		return signer{}, err
	}
	if p.ID == "" {
		return signer{}, &exitError{2, "--as: there is no member of staff " + c.As}
	}
	key, err := existingKey(c.Key)
	return signer{p, key}, err
}

// existingKey reads a key and makes none.
func existingKey(path string) (ed25519.PrivateKey, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &exitError{2, path + " does not exist: ringfence user key makes and enrols it"}
	}
	return signingKey(path)
}

// over signs 32 bytes.
func (s signer) over(msg [32]byte) shelf.Approval {
	return shelf.Approval{Person: s.person.ID, Key: shelf.KeyID(s.key.Public().(ed25519.PublicKey)), Signature: ed25519.Sign(s.key, msg[:])}
}

// flowPublishCmd proposes a folder as the new bundle, or signs a proposal.
type flowPublishCmd struct {
	Dir string `arg:"" help:"Folder with policy.yaml and the flows. Whoever signs reads their own copy."`
	signFlags
	Ramp string `help:"Begin with a share of the calls: 5% or numbers called, parted by commas. Both who sign say the same." placeholder:"SHARE"`
}

// Run publishes.
func (c *flowPublishCmd) Run(ctx context.Context) error {
	b, fsys, err := loadFlows(c.Dir)
	if err != nil {
		return err
	}
	share, err := shareOf(c.Ramp)
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *counter) error {
		who, err := c.signer(ctx, s)
		if err != nil {
			return err
		}
		out, err := s.Publish(ctx, s.tenant, shelf.PublishRequest{Bundle: b, Approval: who.over(flows.ApprovalMessage(b.Hash())), Share: share, Audio: fsys})
		if err != nil {
			return err
		}
		next := "ringfence flow publish " + c.Dir
		if c.Ramp != "" {
			next += " --ramp " + c.Ramp
		}
		return c.answer(out, next+" --as EMAIL --key FILE")
	})
}

func shareOf(text string) (shelf.Share, error) {
	if text == "" {
		return shelf.Share{}, nil
	}
	share, err := shelf.ParseShare(text)
	if err != nil {
		return share, &exitError{2, "--ramp: " + err.Error()}
	}
	return share, nil
}

// answer prints what became of a change. A first signature is done, not
// refused: it is kept.
func (c shelfFlags) answer(out shelf.Result, next string) error {
	refused := out.Refused != shelf.Done && !out.Proposed
	if c.JSON {
		if err := printJSON(os.Stdout, out); err != nil {
			return err
		}
		if refused {
			return &exitError{code: 1}
		}
		return nil
	}
	if refused {
		text := string(out.Refused)
		if out.Why != "" {
			text += ": " + out.Why
		}
		return &exitError{1, "refused: " + text}
	}
	fmt.Println("bundle " + out.Bundle)
	for _, change := range out.Changes {
		fmt.Println("  " + change.String())
	}
	switch {
	case out.Proposed:
		fmt.Printf("signature %d kept: %s\n  %s\n", len(out.Signed), out.Refused, next)
	case out.From.After(time.Now()):
		fmt.Println("signed; it is looser and takes effect at " + out.From.UTC().Format(time.RFC3339))
	default:
		fmt.Println("done: it holds for new calls now")
	}
	return nil
}
