package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// System is what the configuration says and how the telephone edge stands, as
// the page of administrators shows it. It holds no secret. All of it is changed
// in the configuration's file, so the page only reads.
type System struct {
	Tenants   []SystemTenant   `json:"tenants"`
	Listeners []SystemListener `json:"listeners"`
	Trunks    []SystemTrunk    `json:"trunks"`
	Lines     []SystemLine     `json:"lines"`
	Queues    []SystemQueue    `json:"queues"`
	Executors []SystemExecutor `json:"executors"`
	// Keys are what signs and what opens; never the keys themselves.
	Keys []SystemKey `json:"keys"`
	// Kept says how long what is kept, and Carried by whom what is carried.
	Kept     []SystemFact `json:"kept"`
	Carried  []SystemFact `json:"carried"`
	Warnings []string     `json:"warnings" doc:"what is allowed, and worth a second look"`
}

type (
	// SystemTenant is one tenant as the configuration names it.
	SystemTenant struct {
		ID       ringfence.TenantID `json:"id"`
		Name     string             `json:"name"`
		Language string             `json:"language,omitempty"`
		Host     string             `json:"host,omitempty"`
	}
	// SystemListener is an address on which SIP is taken.
	SystemListener struct {
		Name      string   `json:"name"`
		Transport string   `json:"transport"`
		Addr      string   `json:"addr"`
		Bound     bool     `json:"bound"`
		Trunks    []string `json:"trunks" doc:"none = all"`
	}
	// SystemTrunk is a peer, and how it stands.
	SystemTrunk struct {
		Name      string       `json:"name"`
		Transport string       `json:"transport"`
		Outbound  bool         `json:"outbound"`
		Agents    bool         `json:"agents"`
		Calls     int          `json:"calls" doc:"in progress"`
		Peers     []SystemPeer `json:"peers"`
		// Binding is the registration; empty where none is configured.
		Binding string    `json:"binding,omitempty" enum:"trying,registered,refused,unreachable,removed"`
		Code    int       `json:"code,omitempty" doc:"of the registrar's last answer"`
		Until   time.Time `json:"until,omitzero" doc:"end of the registration"`
	}
	// SystemPeer is one address of a trunk. Health is unknown where it is not
	// asked, or was not yet.
	SystemPeer struct {
		Addr   string        `json:"addr"`
		Health ringfence.Tri `json:"health"`
	}
	// SystemLine is an entry point.
	SystemLine struct {
		Name     string   `json:"name"`
		Numbers  []string `json:"numbers"`
		Flow     string   `json:"flow"`
		Fallback string   `json:"fallback,omitempty"`
		Zone     string   `json:"timezone,omitempty"`
		Hours    []string `json:"hours"`
		Open     bool     `json:"open" doc:"now"`
		Recorded string   `json:"recorded,omitempty" doc:"class of retention"`
	}
	// SystemQueue is a queue and who of it would be rung now.
	SystemQueue struct {
		Name     string   `json:"name"`
		People   []string `json:"people"`
		URI      string   `json:"uri,omitempty"`
		Strategy string   `json:"strategy"`
		Ready    int      `json:"ready"`
		// Waiting are the callers in it now, and Since when the first of them came.
		Waiting int       `json:"waiting"`
		Since   time.Time `json:"since,omitzero"`
	}
	// SystemExecutor is a system that redeems permits.
	SystemExecutor struct {
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
		Proof   string   `json:"proof" enum:"dpop,certificate,none" doc:"how it proves possession of its key"`
		Webhook string   `json:"webhook,omitempty" doc:"host that is told"`
	}
	// SystemKey is a key or a certificate.
	SystemKey struct {
		Name  string    `json:"name"`
		For   string    `json:"for"`
		ID    string    `json:"id,omitempty" doc:"fingerprint or subject"`
		Until time.Time `json:"until,omitzero" doc:"when the certificate ends"`
		Where string    `json:"where" doc:"key of the configuration, or command, that changes it"`
		Fault string    `json:"fault,omitempty"`
	}
	// SystemFact is one figure and the key that changes it.
	SystemFact struct {
		What  string `json:"what"`
		Says  string `json:"says"`
		Where string `json:"where"`
	}
	systemOut struct {
		Body struct {
			System
			Policy policyView `json:"policy"`
		}
	}
	policyView struct {
		Name    string       `json:"name"`
		File    string       `json:"file" doc:"in which the lines stand"`
		Hash    string       `json:"hash"`
		Actions []policyRow  `json:"actions"`
		Classes []classRow   `json:"classes"`
		Waivers []waiverView `json:"waivers"`
	}
	policyRow struct {
		Type  string          `json:"type"`
		Says  string          `json:"says"`
		Class ringfence.Class `json:"class"`
		Needs []string        `json:"needs"`
		Fresh string          `json:"fresh"`
		Hold  string          `json:"hold,omitempty"`
		Group string          `json:"group,omitempty"`
		Count int             `json:"count,omitempty"`
		Line  int             `json:"line" doc:"at which it begins"`
		Text  string          `json:"text" doc:"as it stands in the file"`
	}
	classRow struct {
		Class ringfence.Class `json:"class"`
		AnyOf []string        `json:"any_of"`
		Where string          `json:"where" doc:"file of the program and line"`
	}
	waiverView struct {
		Rule   string    `json:"rule"`
		Value  string    `json:"value"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until"`
	}
)

func (s *Server) systemAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/system", Summary: "What is configured, and how it stands now"},
		func(ctx context.Context, _ *struct{}) (*systemOut, error) {
			out := &systemOut{}
			if s.cfg.System != nil {
				one, err := s.cfg.System(ctx, who(ctx).tenant)
				if err != nil {
					return nil, err
				}
				out.Body.System = one
				out.Body.Queues = s.whoWaits(who(ctx).tenant, one.Queues)
			}
			out.Body.Policy = s.viewPolicy(who(ctx).tenant)
			return out, nil
		})
}

// whoWaits says of each queue how many callers are in it, and since when.
func (s *Server) whoWaits(tenant ringfence.TenantID, queues []SystemQueue) []SystemQueue {
	out := slices.Clone(queues)
	for _, c := range s.cfg.Calls.Live(tenant) {
		i := slices.IndexFunc(out, func(q SystemQueue) bool { return q.Name == c.Queue })
		if i < 0 || c.State != "queued" {
			continue
		}
		if q := &out[i]; q.Waiting == 0 || c.Since.Before(q.Since) {
			q.Since = c.Since
		}
		out[i].Waiting++
	}
	return out
}

// viewPolicy is the policy in force beside the floors that it may not go
// under.
func (s *Server) viewPolicy(tenant ringfence.TenantID) policyView {
	v := policyView{Actions: []policyRow{}, Classes: []classRow{}, Waivers: []waiverView{}}
	for _, c := range []ringfence.Class{ringfence.C0, ringfence.C1, ringfence.C2, ringfence.C3, ringfence.C4, ringfence.C5} {
		v.Classes = append(v.Classes, classRow{c, policy.Floor(c), fmt.Sprintf("policy/floors.go:%d", policy.FloorLine(c))})
	}
	p := s.cfg.Policies.Current(tenant)
	if p == nil {
		return v
	}
	v.Name, v.File, v.Hash = p.Name(), p.File(), ringfence.Digest(p.Hash()).String()
	for _, one := range p.Actions() {
		row := policyRow{Type: one.Name, Says: one.Says, Class: one.Class, Needs: []string{}, Fresh: lasting(one.Fresh), Group: one.Approvals.Group, Count: one.Approvals.Count,
			Line: one.Line, Text: p.Source(one.Line)}
		for _, n := range one.Needs {
			row.Needs = append(row.Needs, n.String())
		}
		if one.Hold > 0 {
			row.Hold = lasting(one.Hold)
		}
		v.Actions = append(v.Actions, row)
	}
	for _, w := range p.Waivers() {
		name := w.Rule
		if w.Action != "" {
			name = w.Action + "." + w.Rule
		}
		v.Waivers = append(v.Waivers, waiverView{name, w.Value, w.Reason, w.Until})
	}
	return v
}

// lasting writes a duration without the units that are zero.
func lasting(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
