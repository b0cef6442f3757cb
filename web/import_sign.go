package web

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/importer"
)

func (d importRow) made() time.Time { return d.At }

// importDraft reads an import that waits, and the message that its signatures
// are over.
func (s *Server) importDraft(ctx context.Context, id string) (d importRow, version int64, body importBody, msg [32]byte, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		if d, version, err = waiting[importRow](ctx, tx, kindImport, id); err == nil {
			body, _, err = ledger.Read[importBody](ctx, tx, kindImportBody, id)
		}
		return err
	})
	if err == nil {
		msg, err = gate.ImportMessage(p.tenant, body.Import)
	}
	return d, version, body, msg, err
}

// signImport adds a signature. The one that is enough puts everything on file
// and takes the first secrets out of the store, to tell them this once.
func (s *Server) signImport(ctx context.Context, in *importFinishIn) (*importFinishOut, error) {
	p := who(ctx)
	d, version, body, msg, err := s.importDraft(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "import", msg, in.Body.Ceremony, in.Body.Response)
	if err != nil {
		return nil, err
	}
	d.Signed = signedBy(d.Signed, sig)
	out := &importFinishOut{CacheControl: "no-store"}
	out.Body.Secrets = []onceView{}
	err = s.cfg.Gate.Import(ctx, p.tenant, body.Import, d.Signed...)
	if errors.Is(err, gate.ErrForbidden) {
		if len(d.Signed) > 1 {
			out.Body.Waiting = slowSignature
		}
		return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
			return keep(ctx, tx, kindImport, in.ID, version, d)
		})
	}
	if err != nil {
		return nil, err
	}
	out.Body.Done = true
	for _, one := range body.Once {
		out.Body.Secrets = append(out.Body.Secrets, onceView{Subject: one.Label, PIN: string([]byte(one.PIN)), URI: string([]byte(one.URI))})
	}
	// It is on file: whoever goes away now must not keep the secrets alive.
	ctx = context.WithoutCancel(ctx)
	return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error { return dropImport(ctx, tx, in.ID) })
}

// dropImport deletes an import that waits, with its secrets.
func dropImport(ctx context.Context, tx ledger.Tx, id string) error {
	if err := dropProposal(ctx, tx, kindImport, id); err != nil {
		return err
	}
	return dropProposal(ctx, tx, kindImportBody, id)
}

// sample shows the first subjects of an import as far as comparing them with
// their source needs it: what identifies them, and masked numbers.
func (s *Server) sample(tenant ringfence.TenantID, parsed *importer.Parsed) []sampleView {
	out := []sampleView{}
	for i, one := range parsed.Import.Subjects[:min(sampleSize, len(parsed.Import.Subjects))] {
		v := sampleView{Line: parsed.Lines[i], Kind: string(one.Kind), Contacts: []string{}}
		kind, _ := s.cfg.Policies.Current(tenant).Kind(one.Kind)
		said := []string{}
		for _, name := range kind.IdentifiedBy {
			if one.Record[name] != "" {
				said = append(said, one.Record[name])
			}
		}
		v.Says = plain(cmp.Or(strings.Join(said, ", "), one.Record["company"], one.Record["first_name"]))
		for _, c := range parsed.Import.ContactPoints {
			if c.Subject != one.ID {
				continue
			}
			shown := ringfence.TN(c.Value).Masked()
			if c.Type == ringfence.ContactEmail {
				_, host, _ := strings.Cut(c.Value, "@")
				shown = "…@" + plain(host)
			}
			if at := string(c.Type) + " " + shown; !slices.Contains(v.Contacts, at) {
				v.Contacts = append(v.Contacts, at)
			}
		}
		out = append(out, v)
	}
	return out
}
