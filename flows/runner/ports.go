package runner

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
)

// Leg is one SIP dialog with its media, as b2bua gives it. Its methods may be
// called from the traversal's goroutine only and do not wait for the far end,
// but for Answer and Refuse.
type Leg interface {
	ID() ringfence.LegID
	Info() ringfence.LegInfo
	// Hear has take called with every event, in order and one at a time,
	// LegEnded last. Events is the same as a channel, closed after LegEnded; who
	// uses one does not use the other. Neither is so slow to be read that events
	// are lost.
	Hear(take func(ringfence.LegEvent))
	Events() <-chan ringfence.LegEvent
	Ring(ctx context.Context) error
	Answer(ctx context.Context, headers ...[2]string) error
	Refuse(ctx context.Context, code int, reason string, headers ...[2]string) error
	Play(clip ringfence.Clip) uint64
	Loop(clip ringfence.Clip)
	Stop()
	Cut(secret bool)
	Join(peer ringfence.LegID) error
	Part()
	// Transfer answers LegTransfer: a SIP status below 300 accepts, any other
	// refuses; later ones tell how it goes, and from 200 on how it ended.
	Transfer(code int)
	Hangup(cause ringfence.EndCause)
}

// Phone places legs.
type Phone interface {
	// Place sends an INVITE and returns at once; what becomes of it comes as
	// events. When ctx ends the leg is cancelled or hung up.
	Place(ctx context.Context, p ringfence.Placement) (Leg, error)
}

// Voice speaks.
type Voice interface {
	// Render returns the whole line as audio. A part that cannot be spoken
	// whole is an error, never a shorter line.
	Render(ctx context.Context, s ringfence.Speech) (ringfence.Clip, error)
}

// Line is an entry point: what a called number leads to.
type Line struct {
	Name     string
	Tenant   ringfence.TenantID
	Flow     string
	Fallback string // queue when the flow cannot start; empty = the call is refused
	Zone     *time.Location
	Language string
	// Notice is spoken to every caller before the flow begins: that the call is
	// recorded. NoticeIn is its language; empty = Language. Decline is the key by
	// which a caller says no to it; 0 = none.
	Notice   string
	NoticeIn string
	Decline  byte
	// Open reports whether the calendar says open; nil means always.
	Open func(time.Time) bool
}

// Queue is people, or one SIP address behind us.
type Queue struct {
	Name string
	URI  string
	// People are asked for when URI is empty, when a caller comes and each
	// second while one waits.
	People func(ctx context.Context) Staff
	All    bool          // ring everybody at once, else one after the other
	Max    int           // callers waiting; zero means 20
	Wait   time.Duration // how long a caller waits at most; zero means 2 min
	Each   time.Duration // how long one place is rung; zero means 30 s
	// Announce is what a waiting caller is told, by language, each Every; an
	// empty text or an Every of zero tells nothing.
	Announce map[string]string
	Every    time.Duration
	// Overflow is the queue that takes a caller whom no flow leads when nobody
	// here does; empty = the caller is hung up on.
	Overflow string
	Trunk    string
	Sign     bool // the trunk wants calls signed
	// MayTransfer is that of Place, for a queue that is one address.
	MayTransfer bool
	Display     string
}

// Place is where a member of staff takes calls.
type Place struct {
	Person ringfence.PersonID
	URI    string
	Trunk  string
	Sign   bool // the trunk wants calls signed
	// MayTransfer says that whoever is there may have calls go on elsewhere by
	// SIP; see Transfers.
	MayTransfer bool
}

// Onward is an inbound call that goes on to a place behind us, for the
// signature of that leg.
type Onward struct {
	Orig     ringfence.TN // the caller
	Called   string       // whom the caller called, as received
	To       string       // the place, a SIP URI
	Identity []string     // as received
	Verified bool         // a PASSporT among them is valid for this call
	At       time.Time    // when it was received
}

// Directory answers what is configured.
type Directory interface {
	// Line finds the entry point of a called number on a trunk; false = 404.
	Line(trunk, called string) (Line, bool)
	// Queue finds a queue by name.
	Queue(tenant ringfence.TenantID, name string) (Queue, bool)
	// Outbound names trunk and caller number for calls to telephone numbers.
	Outbound(tenant ringfence.TenantID) (trunk, from string)
}

// Bundles hands out compiled flows. A traversal keeps the bundle it began with.
type Bundles interface {
	Current(ringfence.TenantID) *flows.Bundle
	ByHash(tenant ringfence.TenantID, hash string) *flows.Bundle
}

// Ramps is what Bundles may implement too: a new call gets its bundle by its
// traversal's id or by the number called, so that a share of the calls can try
// a new one.
type Ramps interface {
	For(tenant ringfence.TenantID, id ringfence.TraversalID, called string) *flows.Bundle
}

// bundleFor chooses the bundle of a new call.
func (r *Runner) bundleFor(t *traversal, called string) *flows.Bundle {
	if ramps, ok := r.cfg.Bundles.(Ramps); ok {
		return ramps.For(t.tenant, t.id, called)
	}
	return r.cfg.Bundles.Current(t.tenant)
}

// Caller is what the network says about a caller. The zero value says nothing.
type Caller struct {
	Attest   ringfence.Attest
	Valid    ringfence.Tri // yes = a PASSporT verified, no = one failed, unknown = none
	Orig     ringfence.TN  // the number that is signed, or shown when nothing is
	Verified bool          // a PASSporT carries the call, whatever it attests
	Shown    string        // as presented, for the console: a stranger's text
	Name     string
	Number   string // yes, withheld, ours, impossible (call.number_shown of flows)
	Diverted ringfence.Tri
	Says     string // one plain sentence, with what it does not prove
	// Code, when it is not zero, is the SIP status to refuse the call with, by
	// configuration; Reason is the Reason header field value.
	Code   int
	Reason string
	// Marks are Reason header field values for the answer to a call that goes
	// on in spite of a failed check; by configuration.
	Marks []string
	// Verstat is the result for peers behind us, written on agents' legs.
	Verstat string
}

// Identity judges the signatures of a caller (STIR/SHAKEN). A bad one is a
// result.
type Identity interface {
	Check(ctx context.Context, info ringfence.LegInfo, now time.Time) Caller
}

// Rooms are what a traversal works with.
type Rooms struct {
	Verify *verify.Verifier
	Desk   *callback.Desk
	Gate   *gate.Gate
}
