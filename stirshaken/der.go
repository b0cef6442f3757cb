package stirshaken

// der reads DER (X.690) one element at a time: definite lengths in their
// shortest form, one-byte tags. It is all the ASN.1 that TNAuthList and claim
// constraints need, and stricter than encoding/asn1.
type der []byte

// next cuts one element. ok is false at the end, for BER lengths and for
// elements longer than what is left.
func (d *der) next() (tag byte, body der, ok bool) {
	b := *d
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, false
	}
	n, head := int(b[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 3 || len(b) < 2+k || b[2] == 0 {
			return 0, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
		if n < 0x80 {
			return 0, nil, false
		}
		head += k
	}
	if len(b)-head < n {
		return 0, nil, false
	}
	*d = b[head+n:]
	return b[0], b[head : head+n], true
}

// only reads one element of this tag with nothing after it.
func (d der) only(tag byte) (body der, ok bool) {
	t, body, ok := d.next()
	return body, ok && t == tag && len(d) == 0
}

// Tags of the universal and context classes that are used.
const (
	tagInteger  = 0x02
	tagUTF8     = 0x0c
	tagIA5      = 0x16
	tagSequence = 0x30
	tagContext0 = 0xa0
	tagContext1 = 0xa1
	tagContext2 = 0xa2
)

// appendDER writes one element.
func appendDER(dst []byte, tag byte, body []byte) []byte {
	dst = append(dst, tag)
	switch n := len(body); {
	case n < 0x80:
		dst = append(dst, byte(n))
	case n < 0x100:
		dst = append(dst, 0x81, byte(n))
	case n < 0x10000:
		dst = append(dst, 0x82, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, body...)
}
