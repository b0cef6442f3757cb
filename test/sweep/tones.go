package sweep

import "math"

// The frequencies of ITU-T Q.23, in hertz.
var (
	rows    = [4]float64{697, 770, 852, 941}
	columns = [4]float64{1209, 1336, 1477, 1633}
	keys    = [4]string{"123A", "456B", "789C", "*0#D"}
)

// rate is of all audio here, in hertz.
const rate = 8000

// Tones writes keys as a telephone plays them: 80 ms a key, 60 ms apart.
func Tones(pressed string) (pcm []int16) {
	for _, key := range []byte(pressed) {
		r, c, ok := find(key)
		for i := range 640 {
			at := 2 * math.Pi * float64(i) / rate
			v := 0.0
			if ok {
				v = 7000 * (math.Sin(rows[r]*at) + math.Sin(columns[c]*at))
			}
			pcm = append(pcm, int16(v))
		}
		pcm = append(pcm, make([]int16, 480)...)
	}
	return pcm
}

func find(key byte) (row, column int, ok bool) {
	for r := range keys {
		for c := range keys[r] {
			if keys[r][c] == key {
				return r, c, true
			}
		}
	}
	return 0, 0, false
}

// The judgement of one stretch. It is looser than a receiver's (ITU-T Q.24): a
// key that somebody could guess from a recording counts, faint or short as it is.
const (
	stretch = 160 // samples: 20 ms, one packet
	step    = 40
	steady  = 3   // steps in a row: the edge of a tone looks like another key
	shared  = 0.6 // of the energy is the two tones'
	faint   = 60  // root mean square below which nothing is heard
)

// Keys returns the keys whose tones stand in audio, in order.
func Keys(pcm []int16) string {
	var out []byte
	var last, told byte
	for i, n := 0, 0; i+stretch <= len(pcm); i += step {
		key := heard(pcm[i : i+stretch])
		if key != last {
			n = 0
		}
		n, last = n+1, key
		if n == steady {
			if key != 0 && key != told {
				out = append(out, key)
			}
			told = key
		}
	}
	return string(out)
}

// heard is the key whose tones make up a stretch; 0 is none.
func heard(pcm []int16) byte {
	var all float64
	for _, v := range pcm {
		all += float64(v) * float64(v)
	}
	if all < faint*faint*float64(len(pcm)) {
		return 0
	}
	r, low := loudest(pcm, rows)
	c, high := loudest(pcm, columns)
	if low+high < shared*all || low < 0.1*all || high < 0.1*all {
		return 0
	}
	return keys[r][c]
}

func loudest(pcm []int16, of [4]float64) (at int, most float64) {
	for i, hz := range of {
		if e := energy(pcm, hz); e > most {
			at, most = i, e
		}
	}
	return at, most
}

// energy is what of a stretch's energy is at a frequency, by Goertzel.
func energy(pcm []int16, hz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hz/rate)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
	}
	return (s1*s1 + s2*s2 - k*s1*s2) * 2 / float64(len(pcm))
}
