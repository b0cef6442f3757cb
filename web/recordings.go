package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// The errors with which an implementation of Recordings refuses, beside
// ledger.ErrNotFound.
var (
	ErrOnHold         = errors.New("web: the recording is under a legal hold")
	ErrStillRecording = errors.New("web: the recording is still being made")
	ErrErased         = errors.New("web: the recording was deleted")
	ErrDamaged        = errors.New("web: the recording does not verify")
)

// Recordings is how the web reaches recorded calls. Every access is an entry of
// the ledger before it is granted.
type Recordings interface {
	List(ctx context.Context, tenant ringfence.TenantID, q RecordingQuery) ([]Recording, error)
	// Grant writes down who hears a recording and why, and returns a pass for
	// that person.
	Grant(ctx context.Context, a RecordingAccess) (r Recording, pass string, err error)
	// Audio opens the audio, as a WAV file, for a pass and the person it was
	// given to.
	Audio(ctx context.Context, tenant ringfence.TenantID, pass string, by ringfence.PersonID) (Audio, Recording, error)
	// Hold, Lift and Delete are retention; by and reason stand in the ledger.
	Hold(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error
	Lift(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error
	Delete(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error
}

// Audio is a WAV file that is decrypted as it is read.
type Audio interface {
	io.ReadSeeker
	io.Closer
}

// RecordingQuery asks for a page, newest first.
type RecordingQuery struct {
	Traversal ringfence.TraversalID // empty = all
	Before    int64                 // Began of the last one seen, in nanoseconds; 0 = the newest
	BeforeID  string
	Limit     int
}

// RecordingAccess is who wants to hear a recording, or to take it away.
type RecordingAccess struct {
	Tenant    ringfence.TenantID
	Recording string
	By        ringfence.PersonID
	Role      ringfence.Role
	Reason    string
	Export    bool
}

// Recording is what the web shows of a recorded call. Nobody hears it by
// reading this.
type Recording struct {
	ID        string                `json:"id"`
	Traversal ringfence.TraversalID `json:"traversal"`
	Reference string                `json:"reference"`
	Line      string                `json:"line"`
	People    []ringfence.PersonID  `json:"people,omitempty" doc:"members of staff who spoke"`
	Class     string                `json:"class" doc:"of retention"`
	Consent   string                `json:"consent" doc:"how the caller was told: notice or flow"`
	State     string                `json:"state" enum:"live,kept,partial,deleted"`
	Why       string                `json:"why,omitempty" doc:"of a partial or deleted one"`
	Began     time.Time             `json:"began"`
	Millis    int64                 `json:"ms"`
	SHA256    string                `json:"sha256,omitempty" doc:"of the encrypted file; stands in the ledger too"`
	Gaps      []RecordingGap        `json:"gaps"`
	Until     time.Time             `json:"until" doc:"kept at least till then"`
	Hold      string                `json:"hold,omitempty" doc:"why it is under a legal hold"`
	DeletedAt time.Time             `json:"deleted_at,omitzero"`
}

// RecordingGap is a stretch without audio: a secret was keyed or spoken, or the
// disk was too slow.
type RecordingGap struct {
	FromMillis int64  `json:"from_ms"`
	Millis     int64  `json:"ms"`
	Why        string `json:"why" enum:"secret,lost"`
}

type (
	recordingsIn struct {
		Traversal ringfence.TraversalID `query:"traversal" maxLength:"40"`
		Before    string                `query:"before" maxLength:"80" doc:"next of the page before"`
		Limit     int                   `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	recordingsOut struct {
		Body struct {
			Recordings []Recording `json:"recordings"`
			Next       string      `json:"next,omitempty"`
		}
	}
	reasonIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Reason string `json:"reason" minLength:"3" maxLength:"300" doc:"stands in the ledger"`
		}
	}
	passOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Recording Recording `json:"recording"`
			Audio     string    `json:"audio" doc:"where you, and nobody else, read it for ten minutes; takes Range"`
		}
	}
)

// recordingAPI registers what is done with recorded calls.
func (s *Server) recordingAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/recordings", Summary: "Recorded calls, newest first"}, s.listRecordings)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/recordings/{id}/play", Summary: "Hear a recording, for a reason"},
		func(ctx context.Context, in *reasonIn) (*passOut, error) { return s.grantRecording(ctx, in, false) })
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/recordings/{id}/export", Summary: "Take a recording away, for a reason"},
		func(ctx context.Context, in *reasonIn) (*passOut, error) { return s.grantRecording(ctx, in, true) })
	keep := func(name, summary string, do func(Recordings) func(context.Context, ringfence.TenantID, string, ringfence.PersonID, string) error) {
		add(s, a, huma.Operation{Method: "POST", Path: "/v1/recordings/{id}/" + name, Summary: summary, DefaultStatus: 204},
			func(ctx context.Context, in *reasonIn) (*nothing, error) {
				p, reason, err := s.reasoned(ctx, in)
				if err != nil {
					return nil, err
				}
				return nil, do(s.cfg.Recordings)(ctx, p.tenant, in.ID, p.person.ID, reason)
			})
	}
	type act = func(context.Context, ringfence.TenantID, string, ringfence.PersonID, string) error
	keep("hold", "Put a recording under a legal hold", func(r Recordings) act { return r.Hold })
	keep("lift", "Lift a legal hold", func(r Recordings) act { return r.Lift })
	keep("delete", "Delete a recording before its time", func(r Recordings) act { return r.Delete })
}

func (s *Server) listRecordings(ctx context.Context, in *recordingsIn) (*recordingsOut, error) {
	out := &recordingsOut{}
	out.Body.Recordings = []Recording{}
	if s.cfg.Recordings == nil {
		return out, nil
	}
	q := RecordingQuery{Traversal: in.Traversal, Limit: in.Limit}
	if in.Before != "" {
		at, id, _ := strings.Cut(in.Before, ".")
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, problem.New(problem.Unprocessable, "before is the next of an earlier page.")
		}
		q.Before, q.BeforeID = n, id
	}
	rows, err := s.cfg.Recordings.List(ctx, who(ctx).tenant, q)
	if err != nil {
		return nil, err
	}
	out.Body.Recordings = append(out.Body.Recordings, rows...)
	if n := len(rows); n == in.Limit {
		last := rows[n-1]
		out.Body.Next = strconv.FormatInt(last.Began.UnixNano(), 10) + "." + last.ID
	}
	return out, nil
}

// reasoned is who asks, and why.
func (s *Server) reasoned(ctx context.Context, in *reasonIn) (principal, string, error) {
	if s.cfg.Recordings == nil {
		return principal{}, "", errNotFound
	}
	reason := strings.TrimSpace(plainWords(in.Body.Reason, longest))
	if len(reason) < 3 {
		return principal{}, "", problem.New(problem.Unprocessable, "Say why.")
	}
	return who(ctx), reason, nil
}

// grantRecording writes the reason down and hands out the address of the audio.
func (s *Server) grantRecording(ctx context.Context, in *reasonIn, export bool) (*passOut, error) {
	p, reason, err := s.reasoned(ctx, in)
	if err != nil {
		return nil, err
	}
	r, pass, err := s.cfg.Recordings.Grant(ctx, RecordingAccess{Tenant: p.tenant, Recording: in.ID, By: p.person.ID, Role: p.inRole(records), Reason: reason, Export: export})
	if err != nil {
		return nil, err
	}
	out := &passOut{CacheControl: "no-store"}
	out.Body.Recording, out.Body.Audio = r, "/v1/recordings/audio/"+pass
	return out, nil
}

// inRole is the first of the roles that the person holds.
func (p principal) inRole(roles []ringfence.Role) ringfence.Role {
	for _, r := range roles {
		if p.has(r) {
			return r
		}
	}
	return ""
}

// audio serves the WAV file of a pass, whole or in part.
func (s *Server) audio(w http.ResponseWriter, r *http.Request) {
	p := who(r.Context())
	if s.cfg.Recordings == nil {
		s.refuse(w, r, errNotFound)
		return
	}
	audio, rec, err := s.cfg.Recordings.Audio(r.Context(), p.tenant, r.PathValue("pass"), p.person.ID)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer audio.Close()
	h := w.Header()
	h.Set("Content-Type", "audio/wav")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="`+rec.ID+`.wav"`)
	if rec.SHA256 != "" {
		h.Set("ETag", `"`+rec.SHA256+`"`)
	}
	http.ServeContent(w, r, "", rec.Began, audio)
}

// describeAudio puts the address of audio into the description; huma does not
// serve it.
func describeAudio(a huma.API) {
	a.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/v1/recordings/audio/{pass}", OperationID: "get-recordings-audio", Summary: "The audio of a recording",
		Description: "8 kHz, two channels: caller left, what the caller heard right. Gaps are silent; the recording lists them.",
		Parameters:  []*huma.Param{{Name: "pass", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}},
		Security:    []map[string][]string{{"session": {}}},
		Responses:   map[string]*huma.Response{"200": {Description: "audio/wav", Content: map[string]*huma.MediaType{"audio/wav": {}}}}})
}
