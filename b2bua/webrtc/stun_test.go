package webrtc

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/stun/v3"
)

var (
	somewhere = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:20000"), netip.MustParseAddrPort("198.51.100.1:20000")}
	theirs    = netip.MustParseAddrPort("203.0.113.7:4000")
	stranger  = netip.MustParseAddrPort("203.0.113.8:4000")
)

const (
	ourPwd   = "abcdefghijklmnopqrstuvwx"
	theName  = "ours:theirs"
	otherPwd = "xxxxxxxxxxxxxxxxxxxxxxxx"
)

func lite() *agent { return &agent{ufrag: "ours", pwd: ourPwd, theirs: "theirs"} }

// ask builds a check.
func ask(t testing.TB, name, pwd string, more ...stun.Setter) []byte {
	t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(name)}, more...)
	m, err := stun.Build(append(all, stun.NewShortTermIntegrity(pwd), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// flag is an attribute without a value, or with eight octets.
func flag(a stun.AttrType, value ...byte) stun.Setter {
	return stun.RawAttribute{Type: a, Value: value}
}

// of is a check of another type, with all else right.
func of(t testing.TB, kind stun.MessageType) []byte {
	t.Helper()
	m, err := stun.Build(stun.TransactionID, kind, stun.NewUsername(theName), stun.NewShortTermIntegrity(ourPwd), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// poke changes one octet.
func poke(b []byte, at int, v byte) []byte {
	b = slices.Clone(b)
	b[at] = v
	return b
}

func TestCheckRefuses(t *testing.T) {
	good := ask(t, theName, ourPwd)
	broken := slices.Clone(good)
	broken[len(broken)-10] ^= 1
	bare, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		t.Fatal(err)
	}
	noPrint, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(theName), stun.NewShortTermIntegrity(ourPwd))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stun.Build(stun.TransactionID, stun.BindingSuccess, stun.NewUsername(theName), stun.NewShortTermIntegrity(ourPwd), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	for name, have := range map[string][]byte{
		"nothing":                   {},
		"one byte":                  {0},
		"no user":                   bare.Raw,
		"another user":              ask(t, "ours:others", ourPwd),
		"another password":          ask(t, theName, otherPwd),
		"one bit wrong":             broken,
		"no fingerprint":            noPrint.Raw,
		"a response":                reply.Raw,
		"cut short":                 good[:len(good)-4],
		"too long":                  ask(t, theName, ourPwd, flag(stun.AttrSoftware, make([]byte, 500)...)),
		"user turned round":         ask(t, "theirs:ours", ourPwd),
		"empty user":                ask(t, "", ourPwd),
		"user and more":             ask(t, theName+":x", ourPwd),
		"an indication":             of(t, stun.NewType(stun.MethodBinding, stun.ClassIndication)),
		"a TURN allocation":         of(t, stun.NewType(stun.MethodAllocate, stun.ClassRequest)),
		"an error response":         of(t, stun.BindingError),
		"RFC 3489 cookie":           poke(good, 4, 0),
		"a length that lies":        poke(good, 3, good[3]+4),
		"a length of no words":      poke(good, 3, good[3]+1),
		"an attribute past the end": poke(good, 22, 0xff),
		"two messages":              append(slices.Clone(good), good...),
		"channel data":              {0x40, 0, 0, 4, 1, 2, 3, 4},
		"a ClientHello":             {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1},
	} {
		a := lite()
		if response, chosen := a.check(have, theirs); response != nil || chosen || len(a.valid) != 0 {
			t.Errorf("%s: answered", name)
		}
	}
}

func TestCheckAnswers(t *testing.T) {
	a := lite()
	response, chosen := a.check(ask(t, theName, ourPwd), theirs)
	if response == nil || chosen {
		t.Fatalf("answer %x, chosen %v", response, chosen)
	}
	m := &stun.Message{Raw: response}
	if err := m.Decode(); err != nil || m.Type != stun.BindingSuccess {
		t.Fatalf("%v, %v", m.Type, err)
	}
	if err := stun.NewShortTermIntegrity(ourPwd).Check(m); err != nil {
		t.Error(err)
	}
	var mapped stun.XORMappedAddress
	if err := mapped.GetFrom(m); err != nil || mapped.String() != theirs.String() {
		t.Errorf("mapped %v, %v", mapped, err)
	}
	if _, chosen = a.check(ask(t, theName, ourPwd, flag(stun.AttrUseCandidate)), theirs); !chosen {
		t.Error("not chosen")
	}
}

// RFC 8445, section 7.3.1.1: the lite side is the controlled one.
func TestCheckRoleConflict(t *testing.T) {
	a := lite()
	response, _ := a.check(ask(t, theName, ourPwd, flag(stun.AttrICEControlled, 1, 2, 3, 4, 5, 6, 7, 8)), theirs)
	m := &stun.Message{Raw: response}
	var code stun.ErrorCodeAttribute
	if err := m.Decode(); err != nil || code.GetFrom(m) != nil || code.Code != stun.CodeRoleConflict || len(a.valid) != 0 {
		t.Errorf("%v, %v", code, err)
	}
}

// Whoever overhears a check and sends it again from elsewhere moves nothing.
func TestCheckSentAgainFromElsewhere(t *testing.T) {
	a := lite()
	overheard := ask(t, theName, ourPwd, flag(stun.AttrUseCandidate))
	if _, chosen := a.check(overheard, theirs); !chosen {
		t.Fatal("not chosen")
	}
	if response, chosen := a.check(overheard, stranger); response != nil || chosen {
		t.Error("a stranger's copy was taken")
	}
	if response, _ := a.check(overheard, theirs); response == nil {
		t.Error("a retransmission got no answer")
	}
}

// One browser has a few addresses; who knows the password cannot fill memory.
func TestCheckBoundsAddresses(t *testing.T) {
	a := lite()
	for i := range maxValid + 8 {
		a.check(ask(t, theName, ourPwd), netip.AddrPortFrom(theirs.Addr(), uint16(5000+i)))
	}
	if len(a.valid) != maxValid {
		t.Errorf("%d addresses", len(a.valid))
	}
}

// FuzzCheck: only what was made with the password gets an answer.
func FuzzCheck(f *testing.F) {
	f.Add(ask(f, theName, ourPwd))
	f.Add(ask(f, theName, otherPwd))
	f.Add(ask(f, theName, ourPwd, flag(stun.AttrUseCandidate)))
	f.Fuzz(func(t *testing.T, b []byte) {
		response, chosen := lite().check(b, theirs)
		if response == nil && !chosen {
			return
		}
		m := &stun.Message{Raw: slices.Clone(b)}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		if err := stun.NewShortTermIntegrity(ourPwd).Check(m); err != nil {
			t.Fatalf("answered without the password: %v", err)
		}
	})
}

// What it costs to answer a browser's check, which comes every few seconds
// (RFC 7675, section 5.1).
func BenchmarkCheck(b *testing.B) {
	a, from := lite(), netip.MustParseAddrPort("192.0.2.1:40000")
	msg := ask(b, "ours:theirs", ourPwd)
	b.ReportAllocs()
	for b.Loop() {
		if out, _ := a.check(msg, from); out == nil {
			b.Fatal("a check was not answered")
		}
	}
}
