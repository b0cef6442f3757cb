package sweep

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Secret is one that was planted.
type Secret struct {
	Name  string // for people: "PIN", "carry code of the second call"
	Value []byte
	// Group joins short secrets of one kind: none of them counts in a place
	// unless all do. Empty: it counts alone.
	Group string
	// At are the places where it may stand: whence it came and where it goes.
	At []string
}

// Place is where secrets are looked for.
type Place struct {
	Name string
	Data []byte
}

// Hit is a secret that was found.
type Hit struct {
	Secret, Place, Form string
	Around              string // the bytes before and after
}

// String is one line for a test that fails.
func (h Hit) String() string {
	return fmt.Sprintf("the %s stands in %s (%s): …%q…", h.Secret, h.Place, h.Form, h.Around)
}

// needle is one form of one secret.
type needle struct {
	form
	of *Secret
}

// Sweeper looks for a set of secrets. Its methods may be called at once.
type Sweeper struct {
	secrets []*Secret
	by      map[[2]byte][]needle // the needles that begin with two bytes
}

// New prepares a search. A secret without a value, and a short one without a
// group, is refused: it would be found nowhere, or everywhere.
func New(secrets ...Secret) (*Sweeper, error) {
	s := &Sweeper{by: map[[2]byte][]needle{}}
	groups := map[string]int{}
	for _, one := range secrets {
		groups[one.Group]++
	}
	for _, one := range secrets {
		switch {
		case len(one.Value) < 4:
			return nil, fmt.Errorf("sweep: the %s was not planted", one.Name)
		case len(one.Value) < minForm && (one.Group == "" || groups[one.Group] < 3):
			return nil, fmt.Errorf("sweep: the %s is short: give it a group of three or more", one.Name)
		}
		kept := one
		s.secrets = append(s.secrets, &kept)
		for _, f := range forms(one.Value) {
			at := [2]byte(f.bytes)
			s.by[at] = append(s.by[at], needle{f, &kept})
		}
	}
	return s, nil
}

// Find returns the secrets that stand in a place and may not, each once.
func (s *Sweeper) Find(p Place) []Hit {
	found := map[*Secret]Hit{}
	for _, data := range layers(p.Data) {
		s.scan(p.Name, data, found)
	}
	var out []Hit
	for _, one := range s.secrets {
		if h, ok := found[one]; ok && s.whole(one.Group, found) {
			out = append(out, h)
		}
	}
	return out
}

// whole reports whether all of a group were found; a secret alone is whole.
func (s *Sweeper) whole(group string, found map[*Secret]Hit) bool {
	return group == "" || !slices.ContainsFunc(s.secrets, func(one *Secret) bool {
		_, ok := found[one]
		return one.Group == group && !ok
	})
}

func (s *Sweeper) scan(place string, data []byte, found map[*Secret]Hit) {
	for i := 0; i+1 < len(data); i++ {
		for _, n := range s.by[[2]byte(data[i:i+2])] {
			if !bytes.HasPrefix(data[i:], n.bytes) || n.digits && chance(data, i, i+len(n.bytes)) || slices.Contains(n.of.At, place) {
				continue
			}
			if _, twice := found[n.of]; !twice {
				found[n.of] = Hit{n.of.Name, place, n.name, string(data[max(0, i-60):min(len(data), i+len(n.bytes)+30)])}
			}
		}
	}
}

// maxToken is the longest run of letters and digits that a person reads as a
// word: longer ones are identifiers, hashes and base64, which hold any six
// digits by chance. Base64 and hex of a secret are needles of their own.
const maxToken = 20

// chance reports whether digits stand there as part of something else: of a
// longer number, of a fraction of a second, of a long token.
func chance(data []byte, from, to int) bool {
	digit := func(i int) bool { return i >= 0 && i < len(data) && data[i] >= '0' && data[i] <= '9' }
	if digit(from-1) || digit(to) || from > 0 && data[from-1] == '.' && digit(from-2) {
		return true
	}
	first, last := from, to
	for first > 0 && from-first <= maxToken && alnum(data[first-1]) {
		first--
	}
	for last < len(data) && last-to <= maxToken && alnum(data[last]) {
		last++
	}
	return last-first > max(maxToken, to-from)
}

func alnum(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' }

// layers are the data and what is packed in it.
func layers(data []byte) [][]byte {
	out := [][]byte{data}
	for at := 0; ; at++ {
		i := bytes.Index(data[at:], []byte{0x1f, 0x8b, 8})
		if i < 0 {
			return out
		}
		at += i
		z, err := gzip.NewReader(bytes.NewReader(data[at:]))
		if err != nil {
			continue
		}
		if inner, _ := io.ReadAll(io.LimitReader(z, 64<<20)); len(inner) > 0 { // what is cut short is read as far as it goes
			out = append(out, inner)
		}
	}
}

// Number is a telephone number: the digits without the country's prefix, in
// the ways that people group them.
func Number(name, national string, at ...string) []Secret {
	one := func(how, digits string) Secret { return Secret{Name: name + how, Value: []byte(digits), At: at} }
	out := []Secret{one("", national)}
	if len(national) == 10 {
		out = append(out, one(", grouped", national[:4]+" "+national[4:]), one(", grouped twice", strings.Join([]string{national[:4], national[4:7], national[7:]}, " ")))
	}
	return out
}
