package verify

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/ringfence/ringfence"
)

// KindSpray is one row a tenant: who had a wrong PIN in tier T0 lately.
const KindSpray Kind = "spray"

// sprayWindow is both how long a wrong PIN is remembered and how long PINs
// stop counting after the last one that was too many.
const sprayWindow = time.Hour

// spray finds somebody who tries one PIN with many subjects, which no lock of
// a single subject sees.
type spray struct {
	// Wrong maps keyed hashes of subjects to the time of their newest wrong PIN,
	// in Unix seconds. It never holds more than the limit.
	Wrong map[string]int64 `json:"wrong"`
	Until time.Time        `json:"until,omitzero"`
}

// sprayable reports whether wrong answers of r count towards the alarm.
func sprayable(r row, s Spec) bool { return s.Strength == ringfence.StrengthKnowledge && r.Tier == T0 }

// sprayed reports whether PINs count for nobody in T0 now.
func sprayed(ctx context.Context, tx Tx) (bool, error) {
	s, _, err := load[spray](ctx, tx, KindSpray, "T0")
	return tx.Now().Before(s.Until), err
}

// noteSpray books a wrong PIN and raises the alarm when it is one too many.
// Made-up subjects count: whoever sprays does not know who is a customer.
func (v *Verifier) noteSpray(ctx context.Context, tx Tx, r row) error {
	s, version, err := load[spray](ctx, tx, KindSpray, "T0")
	if err != nil {
		return err
	}
	now := tx.Now()
	for who, at := range s.Wrong {
		if now.Sub(time.Unix(at, 0)) >= sprayWindow {
			delete(s.Wrong, who)
		}
	}
	if s.Wrong == nil {
		s.Wrong = map[string]int64{}
	}
	who := hex.EncodeToString(Keyed(v.cfg.Pepper, "spray", []byte(r.Subject))[:16])
	if _, known := s.Wrong[who]; known || len(s.Wrong) < v.cfg.Limits.Spray {
		s.Wrong[who] = now.Unix()
	} else {
		if !now.Before(s.Until) {
			if _, err := tx.Append(ctx, Entry{Event: "alert.raised", Data: map[string]string{"alarm": "spray"}}); err != nil {
				return err
			}
		}
		s.Until = now.Add(sprayWindow)
	}
	return save(ctx, tx, KindSpray, "T0", version, "", s)
}
