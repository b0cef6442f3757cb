package rtp

// G.722 at 64 kbit/s (ITU-T G.722), of which we use the lower sub-band: it is
// sampled at 8 kHz and holds what a telephone hears, so it decodes to the
// samples of the rest of this package without filters or resampling. What we
// encode has an idle upper sub-band. Two legs that both have G.722 are relayed
// octet for octet and keep both.
//
// The names are the recommendation's: block 1L (quantization), 2L (inverse),
// 3L (scale factor), 4L (prediction).

// Tables of G.722, clauses 6.2.1.1 to 6.2.1.3.
var (
	g722Q6 = [30]int32{0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650,
		714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919}
	g722QM4 = [16]int32{0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
		20456, 12896, 8968, 6288, 4240, 2584, 1200, 0}
	g722QM6 = [64]int32{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136}
	g722RL42 = [16]uint8{0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0}
	g722WL   = [8]int32{-60, -30, 58, 172, 334, 538, 1198, 3042}
	g722ILB  = [32]int32{2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008}
)

// idleUpper is the code of the upper sub-band that stands for its smallest
// step, so that its scale factor sinks and stays down.
const idleUpper = 0xc0

// lowBand is the adaptive state of the lower sub-band, the same in encoder
// and decoder.
type lowBand struct {
	det, nb int32    // scale factor, linear and logarithmic
	s, sz   int32    // predicted signal, and its zero section
	a1, a2  int32    // pole coefficients
	r1, r2  int32    // reconstructed signal
	p1, p2  int32    // partially reconstructed signal
	b, d    [6]int32 // zero coefficients and the differences they weigh
}

func newLowBand() lowBand { return lowBand{det: 32} }

func saturate(v int32) int32 { return max(-32768, min(32767, v)) }

// adapt runs blocks 2L to 4L for the four upper bits of a low code.
func (l *lowBand) adapt(code uint8) {
	d := l.det * g722QM4[code] >> 15
	// Block 3L.
	l.nb = max(0, min(18432, l.nb*127>>7+g722WL[g722RL42[code]]))
	step, shift := g722ILB[l.nb>>6&31], 8-l.nb>>11
	if shift < 0 {
		l.det = step << -shift << 2
	} else {
		l.det = step >> shift << 2
	}
	l.predict(d)
}

// predict is block 4L: it adapts both predictors to the difference d.
func (l *lowBand) predict(d int32) {
	r, p := saturate(l.s+d), saturate(l.sz+d)
	l.poles(p)
	l.zeros(d)
	copy(l.d[1:], l.d[:5])
	l.d[0] = d
	l.r1, l.r2, l.p1, l.p2 = r, l.r1, p, l.p1
	sp := saturate(l.a1*saturate(2*l.r1)>>15 + l.a2*saturate(2*l.r2)>>15)
	var sz int32
	for i, b := range l.b {
		sz += b * saturate(2*l.d[i]) >> 15
	}
	l.sz = saturate(sz)
	l.s = saturate(sp + l.sz)
}

// poles is UPPOL2 and UPPOL1.
func (l *lowBand) poles(p int32) {
	w := saturate(4 * l.a1)
	if p>>15 == l.p1>>15 {
		w = min(-w, 32767)
	}
	lead := int32(-128)
	if p>>15 == l.p2>>15 {
		lead = 128
	}
	a2 := max(-12288, min(12288, lead+w>>7+l.a2*32512>>15))
	lead = -192
	if p>>15 == l.p1>>15 {
		lead = 192
	}
	limit := saturate(15360 - a2)
	l.a1 = max(-limit, min(limit, saturate(lead+l.a1*32640>>15)))
	l.a2 = a2
}

// zeros is UPZERO.
func (l *lowBand) zeros(d int32) {
	var lead int32
	if d != 0 {
		lead = 128
	}
	for i := range l.b {
		w := -lead
		if l.d[i]>>15 == d>>15 {
			w = lead
		}
		l.b[i] = saturate(w + l.b[i]*32640>>15)
	}
}

// g722Decoder decodes one stream.
type g722Decoder struct{ low lowBand }

func newG722Decoder() *g722Decoder { return &g722Decoder{newLowBand()} }

// decode appends one 8 kHz sample for each octet.
func (g *g722Decoder) decode(dst []int16, src []byte) []int16 {
	for _, octet := range src {
		code := octet & 0x3f
		r := max(-16384, min(16383, g.low.s+g.low.det*g722QM6[code]>>15))
		g.low.adapt(code >> 2)
		dst = append(dst, int16(r<<1))
	}
	return dst
}

// g722Encoder encodes one stream.
type g722Encoder struct{ low lowBand }

func newG722Encoder() *g722Encoder { return &g722Encoder{newLowBand()} }

// encode appends one octet for each 8 kHz sample.
func (g *g722Encoder) encode(dst []byte, pcm []int16) []byte {
	for _, v := range pcm {
		code := g.quantize(saturate(int32(v)>>1 - g.low.s))
		g.low.adapt(code >> 2)
		dst = append(dst, idleUpper|code)
	}
	return dst
}

// quantize is block 1L: the low code of a difference.
func (g *g722Encoder) quantize(e int32) uint8 {
	size := e
	if e < 0 {
		size = -(e + 1)
	}
	i := 1
	for i < 30 && size >= g722Q6[i]*g.low.det>>12 {
		i++
	}
	switch {
	case e >= 0:
		return uint8(62 - i) // 61 for the smallest step, 32 for the greatest
	case i <= 2:
		return uint8(64 - i) // 63, 62
	default:
		return uint8(34 - i) // 31 to 4
	}
}
