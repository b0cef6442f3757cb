package pin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/ringfence/ringfence"
)

// dearest is the most work a record from elsewhere may ask of one comparison.
var dearest = Cost{Passes: 10, MemoryKiB: 128 << 10, Lanes: 4}

// ImportRecord takes a record that Enrol made elsewhere under the same pepper,
// as JSON. Another system's hash cannot be taken: it is not under the pepper.
func ImportRecord(body ringfence.Secret) (ringfence.Secret, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var r record
	if err := dec.Decode(&r); err != nil {
		return nil, errors.New("pin: not a PIN record of ringfence")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("pin: more than one record")
	}
	least, err := r.Cost.fill()
	switch {
	case err != nil || least != r.Cost || r.Cost.Passes > dearest.Passes || r.Cost.MemoryKiB > dearest.MemoryKiB || r.Cost.Lanes > dearest.Lanes:
		return nil, errors.New("pin: the record's cost is not one that is taken")
	case r.V != 1 || len(r.Salt) < 16 || len(r.Salt) > 64 || len(r.Tag) != 32 || len(r.Duress) != 32 || len(r.Past) > Remembered:
		return nil, errors.New("pin: the record is damaged")
	}
	for _, past := range r.Past {
		if len(past) != 32 {
			return nil, errors.New("pin: the record is damaged")
		}
	}
	return json.Marshal(r)
}
