package siem

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is one entry of the ledger. Who makes it leaves the subject out.
type Record struct {
	Index                                                       int64 // in the tenant's log, from 0
	At                                                          time.Time
	Tenant, Event, Traversal, Release, Challenge, Staff, Client string
	Data                                                        map[string]string
}

// passed are the keys of an entry's data that are words of ours, never text of
// a person.
var passed = []string{"alarm", "attest", "cause", "channel", "class", "code", "consent", "count", "executor", "fact", "how", "kind", "method", "name",
	"outcome", "purpose", "role", "score", "size", "source", "state", "status", "type", "value", "verdict"}

// plain reports whether a value is a word: short, of a few characters, and
// without a run of digits that could be somebody's number.
func plain(v string) bool {
	if v == "" || len(v) > 64 {
		return false
	}
	digits := 0
	for _, c := range []byte(v) {
		switch {
		case c >= '0' && c <= '9':
			if digits++; digits > 4 {
				return false
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("._:/-", c) >= 0:
			digits = 0
		default:
			return false
		}
	}
	return true
}

func (r Record) data() map[string]string {
	out := map[string]string{}
	for k, v := range r.Data {
		if slices.Contains(passed, k) && plain(v) {
			out[k] = v
		}
	}
	return out
}

type (
	ecs struct {
		At        string            `json:"@timestamp"`
		ECS       version           `json:"ecs"`
		Event     event             `json:"event"`
		Log       log               `json:"log"`
		Service   service           `json:"service"`
		Org       id                `json:"organization"`
		User      *id               `json:"user,omitempty"`
		Ringfence map[string]any    `json:"ringfence"`
		Labels    map[string]string `json:"labels,omitempty"`
	}
	version struct {
		Version string `json:"version"`
	}
	event struct {
		Kind     string `json:"kind"`
		Action   string `json:"action"`
		Dataset  string `json:"dataset"`
		Sequence int64  `json:"sequence"`
		ID       string `json:"id"`
		Outcome  string `json:"outcome"`
	}
	log struct {
		Level string `json:"level"`
	}
	service struct {
		Type string `json:"type"`
	}
	id struct {
		ID string `json:"id"`
	}
)

// Severities of RFC 5424, section 6.2.1.
const (
	warning = 4
	notice  = 5
	info    = 6
)

var levels = map[int]string{warning: "warning", notice: "notice", info: "info"}

// refusals are the second words of events that tell that something was stopped
// or failed.
var refusals = []string{"denied", "failed", "rejected", "refused", "undeliverable", "diverted", "invalidated", "suspended", "disabled", "waived", "rolled_back", "unknown"}

func (r Record) severity() int {
	_, word, _ := strings.Cut(r.Event, ".")
	switch {
	case r.Event == "alert.raised":
		return warning
	case r.Event == "hold.placed", slices.Contains(refusals, word):
		return notice
	default:
		return info
	}
}

// JSON returns the record as one line without its end, named as ECS 8.11 does.
func (r Record) JSON() ([]byte, error) {
	out := ecs{At: r.At.UTC().Format(time.RFC3339Nano), ECS: version{"8.11.0"}, Service: service{"ringfence"}, Org: id{r.Tenant}, Log: log{levels[r.severity()]},
		Event:     event{Kind: "event", Action: r.Event, Dataset: "ringfence.ledger", Sequence: r.Index, ID: r.Tenant + "/" + strconv.FormatInt(r.Index, 10), Outcome: "success"},
		Ringfence: map[string]any{}, Labels: r.data()}
	if r.severity() != info {
		out.Event.Outcome = "failure"
	}
	if r.Event == "alert.raised" {
		out.Event.Kind, out.Event.Outcome = "alert", "unknown"
	}
	if r.Staff != "" {
		out.User = &id{r.Staff}
	}
	for k, v := range map[string]string{"traversal": r.Traversal, "release": r.Release, "challenge": r.Challenge, "client": r.Client} {
		if v != "" {
			out.Ringfence[k] = v
		}
	}
	return json.Marshal(out)
}

// logAudit is the facility of RFC 5424, section 6.2.1.
const logAudit = 13

// Syslog returns the record as RFC 5424 has it: the event is the MSGID, the JSON
// the message, the index the sequenceId, from 1.
func (r Record) Syslog(host string) ([]byte, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "<%d>1 %s %s ringfence - %s [meta sequenceId=\"%d\"] %s", logAudit*8+r.severity(), r.At.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		field(host, 255), field(r.Event, 32), r.Index%(1<<31-1)+1, body), nil
}

// field is a header field of RFC 5424: printable ASCII, bounded, "-" for none.
func field(v string, most int) string {
	v = strings.Map(func(c rune) rune {
		if c < 33 || c > 126 {
			return -1
		}
		return c
	}, v)
	if v == "" {
		return "-"
	}
	return v[:min(len(v), most)]
}
