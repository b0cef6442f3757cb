package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// The rules that a waiver may name (invariant 30). Everything else is either
// no default or never waivable; C5 never is, whatever the waiver says.
const (
	WaiveHold       = "hold"        // the cooling-off of C3 and C4
	WaiveLanes      = "lanes"       // the least number of lanes of C4
	WaiveNumberAge  = "number_age"  // the 30 days of a number before a call-back counts for C4
	WaiveStaffWait  = "staff_wait"  // the 24 h before new staff may approve or sign
	WaivePolicyWait = "policy_wait" // the 24 h before a looser policy takes effect
)

var waivable = []string{WaiveHold, WaiveLanes, WaiveNumberAge, WaiveStaffWait, WaivePolicyWait}

// maxWaiver is the longest a waiver may reach from now.
const maxWaiver = 90 * day

func (l *loader) waiver(n *yaml.Node) {
	k := l.keys(n, "a waiver", "rule", "value", "reason", "until")
	for _, must := range []string{"rule", "value", "reason", "until"} {
		if k[must] == nil {
			l.add(n, CodeWaiver, "a waiver has no "+must, "{ rule: bank_change.hold, value: 5s, reason: why, until: 2026-12-31 }")
			return
		}
	}
	w := Waiver{Line: n.Line}
	w.Rule, _ = l.text(k["rule"], "rule")
	if action, rule, dotted := strings.Cut(w.Rule, "."); dotted {
		w.Action, w.Rule = action, rule
	}
	w.Value, _ = l.text(k["value"], "value")
	w.Reason, _ = l.text(k["reason"], "reason")
	until, _ := l.text(k["until"], "until")
	if !slices.Contains(waivable, w.Rule) {
		l.add(k["rule"], CodeWaiver, fmt.Sprintf("%s cannot be waived", w.Rule), "only "+strings.Join(waivable, ", "))
		return
	}
	if strings.TrimSpace(w.Reason) == "" {
		l.add(k["reason"], CodeWaiver, "a waiver without a reason", "")
	}
	var err error
	if w.Until, err = time.Parse(time.RFC3339, until); err != nil {
		if w.Until, err = time.ParseInLocation(time.DateOnly, until, l.p.zone); err != nil {
			l.add(k["until"], CodeWaiver, fmt.Sprintf("until is %q", until), "a date such as 2026-12-31, at most 90 days ahead")
		}
	}
	if w.Rule == WaiveLanes {
		if w.Value != "1" {
			l.add(k["value"], CodeWaiver, "lanes are waived to 1", "")
		}
	} else if d, err := ParseDuration(w.Value); err != nil || d < 0 {
		l.add(k["value"], CodeWaiver, fmt.Sprintf("value is %q", w.Value), "a duration such as 5s")
	}
	l.p.waivers = append(l.p.waivers, w)
}

// InEffect reports whether w counts at now: it has begun to and has not
// ended. A waiver that reaches further than 90 days does not count yet.
func (w Waiver) InEffect(now time.Time) bool {
	return !w.Until.IsZero() && now.Before(w.Until) && w.Until.Sub(now) <= maxWaiver
}

// Duration returns the value of a waiver of a time; 0 for any other.
func (w Waiver) Duration() time.Duration {
	d, err := ParseDuration(w.Value)
	if err != nil {
		return 0
	}
	return d
}

// Waived returns the waiver of a rule that is in effect for an action at now;
// the action's own comes before the general one. Action "" finds only general
// ones.
func (p *Policy) Waived(action, rule string, now time.Time) (Waiver, bool) {
	var found Waiver
	ok := false
	if p == nil {
		return found, false
	}
	for _, w := range p.waivers {
		if w.Rule != rule || !w.InEffect(now) {
			continue
		}
		if w.Action != "" && w.Action == action {
			return w, true
		}
		if w.Action == "" {
			found, ok = w, true
		}
	}
	return found, ok
}
