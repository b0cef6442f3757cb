package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence/flows/shelf"
)

// userKeyCmd enrols the key with which a person signs bundles.
type userKeyCmd struct {
	shelfFlags
	Email  string `required:"" help:"Whose key it is."`
	File   string `help:"Their key; made if it is not there, with mode 0600." placeholder:"FILE" xor:"what"`
	Public string `help:"Their public key, to sign for it with --as and --key." placeholder:"BASE64" xor:"what"`
	As     string `help:"Who signs for it: role admin or risk." placeholder:"EMAIL"`
	Key    string `help:"The key of who signs." placeholder:"FILE"`
}

// Run enrols, or signs an enrolment.
func (c *userKeyCmd) Run(ctx context.Context) error {
	if (c.File == "") == (c.Public == "") || (c.As == "") != (c.Key == "") {
		return &exitError{2, "want --file FILE for your own key, or --public BASE64 --as EMAIL --key FILE to sign for another's"}
	}
	public, err := c.public()
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *counter) error {
		owner, err := personIn(ctx, s.store, s.tenant, strings.ToLower(c.Email))
		if err != nil {
			return err
		}
		if owner.ID == "" {
			return &exitError{2, "--email: there is no member of staff " + c.Email}
		}
		var sigs []shelf.Approval
		if c.As != "" {
			who, err := signFlags{As: c.As, Key: c.Key}.signer(ctx, s)
			if err != nil {
				return err
			}
			sigs = append(sigs, who.over(shelf.KeyMessage(s.tenant, owner.ID, public)))
		}
		out, err := s.EnrolKey(ctx, s.tenant, owner.ID, public, sigs...)
		if err != nil {
			return err
		}
		return c.print(out, base64.StdEncoding.EncodeToString(public))
	})
}

func (c *userKeyCmd) public() (ed25519.PublicKey, error) {
	if c.File != "" {
		key, err := signingKey(c.File)
		if err != nil {
			return nil, err
		}
		return key.Public().(ed25519.PublicKey), nil
	}
	raw, err := base64.StdEncoding.DecodeString(c.Public)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, &exitError{2, "--public: want 32 bytes in base64, as ringfence user key --file prints them"}
	}
	return raw, nil
}

func (c *userKeyCmd) print(out shelf.KeyResult, public string) error {
	waits := out.Refused == shelf.RefuseMoreSign
	if c.JSON {
		if err := printJSON(os.Stdout, struct {
			shelf.KeyResult
			Public string `json:"public"`
		}{out, public}); err != nil {
			return err
		}
	}
	switch {
	case out.Refused != shelf.Done && !waits:
		if c.JSON {
			return &exitError{code: 1}
		}
		return &exitError{1, "refused: " + string(out.Refused)}
	case c.JSON:
	case waits:
		fmt.Printf("key %s waits for two of staff with role admin or risk:\n  ringfence user key --email %s --public %s --as EMAIL --key FILE\n", out.Key, c.Email, public)
	default:
		fmt.Printf("key %s\nmay sign from %s\n", out.Key, out.Since.UTC().Format(time.RFC3339))
	}
	return nil
}
