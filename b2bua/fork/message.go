package fork

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/ringfence/ringfence"
)

// maxMessage bounds what a service may send at once, in octets.
const maxMessage = 4 << 10

// Score is what a service says of a call. It is a Signal: never a proof.
type Score struct {
	Name  string
	Value ringfence.Tri
	// Score is the service's own figure, 0 to 1; negative = it gave none.
	Score float64
}

// errScore says that a message is no score.
var errScore = errors.New("fork: not a score")

// parseScore reads {"event":"score","name":…,"value":"yes|no|unknown","score":…}.
// Other events of the protocol are no scores and no faults: ok is false.
func parseScore(raw []byte, names []string) (s Score, ok bool, err error) {
	var m struct {
		Event string   `json:"event"`
		Name  string   `json:"name"`
		Value string   `json:"value"`
		Score *float64 `json:"score"`
	}
	if len(raw) > maxMessage || json.Unmarshal(raw, &m) != nil {
		return s, false, errScore
	}
	if m.Event != "score" {
		return s, false, nil
	}
	if !slices.Contains(names, m.Name) {
		return s, false, errScore
	}
	s = Score{Name: m.Name, Score: -1}
	switch m.Value {
	case "yes":
		s.Value = ringfence.Yes
	case "no":
		s.Value = ringfence.No
	case "unknown":
	default:
		return Score{}, false, errScore
	}
	if m.Score != nil {
		if math.IsNaN(*m.Score) || *m.Score < 0 || *m.Score > 1 {
			return Score{}, false, errScore
		}
		s.Score = *m.Score
	}
	return s, true, nil
}

// The messages that are sent, as Media Streams writes them: numbers are strings.
type (
	message struct {
		Event    string     `json:"event"`
		Protocol string     `json:"protocol,omitempty"`
		Version  string     `json:"version,omitempty"`
		Sequence string     `json:"sequenceNumber,omitempty"`
		Stream   string     `json:"streamSid,omitempty"`
		Start    *startPart `json:"start,omitempty"`
		Media    *mediaPart `json:"media,omitempty"`
		Mark     *markPart  `json:"mark,omitempty"`
		Stop     *stopPart  `json:"stop,omitempty"`
	}
	startPart struct {
		Account string            `json:"accountSid"`
		Stream  string            `json:"streamSid"`
		Call    string            `json:"callSid"`
		Tracks  []string          `json:"tracks"`
		Format  formatPart        `json:"mediaFormat"`
		Custom  map[string]string `json:"customParameters"`
	}
	formatPart struct {
		Encoding string `json:"encoding"`
		Rate     int    `json:"sampleRate"`
		Channels int    `json:"channels"`
	}
	mediaPart struct {
		Track     string `json:"track"`
		Chunk     string `json:"chunk"`
		Timestamp string `json:"timestamp"` // milliseconds since start
		Payload   string `json:"payload"`
	}
	markPart struct {
		Name string `json:"name"`
	}
	stopPart struct {
		Account string `json:"accountSid"`
		Call    string `json:"callSid"`
	}
)
