package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/web/importer"
	"github.com/ringfence/ringfence/web/problem"
)

const (
	// kindImport holds importRow and kindImportBody what it is about, until two
	// persons have signed: the list of what waits need not read the bodies.
	kindImport     ledger.Kind = "import_draft"
	kindImportBody ledger.Kind = "import_body"
	// maxImportBody is a file as one JSON string, with what that doubles.
	maxImportBody = 2*importer.MaxBytes + maxBodyBytes
	// maxImports is how many may wait at a time.
	maxImports = 10
	// sampleSize is how many subjects a colleague is shown before signing.
	sampleSize = 10
)

type (
	// importRow is an import that waits, with the signatures it has so far. The
	// gate judges them; here they only wait.
	importRow struct {
		By     ringfence.PersonID `json:"by"`
		At     time.Time          `json:"at"`
		Source string             `json:"source"`
		SHA256 string             `json:"sha256"`
		Report importer.Report    `json:"report"`
		Sample []sampleView       `json:"sample"`
		Signed []gate.Signature   `json:"signed"`
	}
	// importBody is what is signed. Its first secrets are in clear nowhere but
	// in this record, which the store encrypts and the last signature deletes.
	importBody struct {
		Import gate.Import `json:"import"`
		Once   []onceRow   `json:"once"`
	}
	onceRow struct {
		Label string           `json:"label"`
		PIN   ringfence.Secret `json:"pin,omitempty"`
		URI   ringfence.Secret `json:"uri,omitempty"`
	}
	// sampleView is one subject, to be compared with where it comes from.
	sampleView struct {
		Line     int      `json:"line"`
		Kind     string   `json:"kind"`
		Says     string   `json:"says" doc:"the identifying values"`
		Contacts []string `json:"contacts" doc:"masked"`
	}
	importView struct {
		ID     string          `json:"id"`
		By     string          `json:"by"`
		At     time.Time       `json:"at"`
		Source string          `json:"source"`
		SHA256 string          `json:"sha256" doc:"of the file, to compare with its source's"`
		Report importer.Report `json:"report"`
		Sample []sampleView    `json:"sample"`
		Signed []string        `json:"signed" doc:"names of those who signed"`
		Mine   bool            `json:"mine" doc:"you have signed it"`
	}
	importsOut struct {
		Body struct {
			Imports []importView `json:"imports"`
		}
	}
	importIn struct {
		Body struct {
			Format importer.Format `json:"format" enum:"csv,json"`
			Source string          `json:"source" maxLength:"140" doc:"who says so, e.g. CRM export of 2026-11-20"`
			Data   string          `json:"data" doc:"the file, as text"`
		}
	}
	importOut struct {
		Body struct {
			ID     string          `json:"id,omitempty" doc:"of the import that now waits for two signatures; none when there is a fault"`
			Report importer.Report `json:"report"`
		}
	}
	onImport struct {
		ID string `path:"id" maxLength:"40"`
	}
	importFinishIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
			Response json.RawMessage `json:"response"`
		}
	}
	onceView struct {
		Subject string `json:"subject"`
		PIN     string `json:"pin,omitempty" doc:"tell it to the subject; it is shown this once"`
		URI     string `json:"uri,omitempty" doc:"otpauth://, for the subject's authenticator app; it is shown this once"`
	}
	importFinishOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Done    bool       `json:"done" doc:"two persons have signed; everything is on file"`
			Waiting string     `json:"waiting,omitempty" doc:"why not, when as many have signed as are needed"`
			Secrets []onceView `json:"secrets" doc:"what was made; it is told this once, to whoever signs last"`
		}
	}
)

// importAPI takes files of subjects, collects their two signatures and hands
// them to the gate, which judges both.
func (s *Server) importAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/imports", Summary: "Imports that wait for a signature"}, s.listImports)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/imports", Summary: "Try an import, and keep it for two signatures when it is clean",
		Description: "The answer is the report of a dry run. With a fault nothing is kept; without one nothing is on file either until two persons have signed."}, s.tryImport)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/imports/{id}/begin", Summary: "Begin to sign an import"},
		func(ctx context.Context, in *onImport) (*optionsOut, error) {
			_, _, _, msg, err := s.importDraft(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "import", msg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/imports/{id}/finish", Summary: "Sign an import; the second signature puts it on file"}, s.signImport)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/imports/{id}/discard", Summary: "Drop an import", DefaultStatus: 204},
		func(ctx context.Context, in *onImport) (*nothing, error) {
			return nil, s.cfg.Store.Update(ctx, who(ctx).tenant, func(tx ledger.Tx) error { return dropImport(ctx, tx, in.ID) })
		})
}

func (s *Server) listImports(ctx context.Context, _ *struct{}) (*importsOut, error) {
	p, out := who(ctx), &importsOut{}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		out.Body.Imports = []importView{}
		names, err := staffNames(ctx, tx)
		if err != nil {
			return err
		}
		return eachWaiting(ctx, tx, kindImport, maxImports, func(id string, d importRow) {
			v := importView{ID: id, By: names[d.By], At: d.At, Source: d.Source, SHA256: d.SHA256, Report: d.Report, Sample: d.Sample}
			v.Signed, v.Mine = signers(d.Signed, names, p.person.ID)
			out.Body.Imports = append(out.Body.Imports, v)
		})
	})
}

// tryImport judges a file and keeps it when it has no fault.
func (s *Server) tryImport(ctx context.Context, in *importIn) (*importOut, error) {
	p, out := who(ctx), &importOut{}
	if err := s.loads.spend(p.actor()); err != nil {
		return nil, err
	}
	parsed, report := importer.Read([]byte(in.Body.Data), importer.Options{Format: in.Body.Format, Source: in.Body.Source, Policy: s.cfg.Policies.Current(p.tenant), Now: time.Now()})
	out.Body.Report = report
	if parsed == nil {
		return out, nil
	}
	if err := s.onFile(ctx, p.tenant, parsed, &out.Body.Report); err != nil || !out.Body.Report.Clean() {
		return out, err
	}
	body, err := s.makeSecrets(ctx, p.tenant, parsed)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(in.Body.Data))
	d := importRow{By: p.person.ID, Source: in.Body.Source, SHA256: hex.EncodeToString(sum[:]), Report: out.Body.Report,
		Sample: s.sample(p.tenant, parsed)}
	out.Body.ID = ringfence.NewID[string]("imp")
	return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		n, err := sweepProposals(ctx, tx, kindImport, maxImports, func(id string) error { return dropImport(ctx, tx, id) })
		if err != nil {
			return err
		}
		if n >= maxImports {
			return problem.New(problem.Conflict, fmt.Sprintf("%d imports wait already. Sign or drop one first.", n))
		}
		d.At = tx.Now()
		if err := keep(ctx, tx, kindImport, out.Body.ID, 0, d); err != nil {
			return err
		}
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindImportBody, ID: out.Body.ID, Sort: d.At.UnixNano()}, body)
	})
}

// onFile adds a fault for every subject that is on file already.
func (s *Server) onFile(ctx context.Context, tenant ringfence.TenantID, parsed *importer.Parsed, report *importer.Report) error {
	policy := s.cfg.Policies.Current(tenant)
	return s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		for i, one := range parsed.Import.Subjects {
			kind, _ := policy.Kind(one.Kind)
			for _, name := range kind.IdentifiedBy {
				v := one.Record[name]
				if v == "" {
					continue
				}
				twin, err := tx.List(ctx, ledger.KindSubject, ledger.Query{Key: string(one.Kind) + ":" + name, Value: v, Limit: 1})
				if err != nil {
					return err
				}
				if len(twin) > 0 {
					report.Add(parsed.Lines[i], name, "is that of a subject on file: remove the row, and change the subject by an action")
				}
			}
		}
		return nil
	})
}

// makeSecrets makes the PINs and seeds that the file asks for.
func (s *Server) makeSecrets(ctx context.Context, tenant ringfence.TenantID, parsed *importer.Parsed) (importBody, error) {
	out := importBody{Import: parsed.Import}
	for _, m := range parsed.Make {
		a, one := &out.Import.Authenticators[m.Index], onceRow{Label: m.Label}
		var err error
		if a.Type == ringfence.AuthTOTP {
			var made otp.Enrolment
			made, err = otp.NewSeed(s.cfg.Company(tenant), m.Label)
			a.Secret, one.URI = made.Secret, made.URI
		} else {
			one.PIN, a.Secret, err = s.firstPIN(ctx, m.Own)
		}
		if err != nil {
			return out, err
		}
		out.Once = append(out.Once, one)
	}
	return out, nil
}

// firstPIN makes a PIN that is no part of its subject's own numbers.
func (s *Server) firstPIN(ctx context.Context, own []string) (clear, record ringfence.Secret, err error) {
	if s.cfg.PINs == nil {
		return nil, nil, problem.New(problem.Unavailable, "No PINs can be made here.")
	}
	for clear = pin.Random(); pin.Judge(clear, own...) != ""; clear = pin.Random() {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
	record, why, err := s.cfg.PINs.Enrol(ctx, pin.Choice{PIN: clear, Initial: true})
	if err == nil && why != "" {
		err = fmt.Errorf("web: a random PIN was refused: %s", why)
	}
	return clear, record, err
}
