package sdp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// text joins lines with CRLF, as the wire has them.
func text(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// plain is an ordinary offer with extra attribute lines.
func plain(extra ...string) []byte {
	return text(append([]string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0",
		"m=audio 49170 RTP/AVP 8 0 97"}, extra...)...)
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		have []byte
	}{
		{"nothing", nil},
		{"connection of one token", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN", "t=0 0", "m=audio 4000 RTP/AVP 0")},
		{"connection without an address", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 ", "t=0 0", "m=audio 4000 RTP/AVP 0")},
		{"connection of another family", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 2001:db8::1", "t=0 0")},
		{"empty line", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "", "c=IN IP4 192.0.2.1", "t=0 0")},
		{"bare carriage return", []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\rs=-\r\n")},
		{"control character", plain("a=tool:\x01")},
		{"version first missing", text("o=- 1 1 IN IP4 192.0.2.1", "v=0")},
		{"another version", text("v=1", "o=- 1 1 IN IP4 192.0.2.1")},
		{"origin of five fields", text("v=0", "o=- 1 IN IP4 192.0.2.1", "s=-")},
		{"origin with a sign", text("v=0", "o=- -1 1 IN IP4 192.0.2.1", "s=-")},
		{"second origin", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "o=- 2 2 IN IP4 192.0.2.1")},
		{"second session name", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "s=x")},
		{"doubled rtpmap", plain("a=rtpmap:97 telephone-event/8000", "a=rtpmap:97 telephone-event/8000")},
		{"rtpmap that renames PCMU", plain("a=rtpmap:0 PCMA/8000")},
		{"rtpmap without a rate", plain("a=rtpmap:97 telephone-event")},
		{"rtpmap with rate zero", plain("a=rtpmap:97 telephone-event/0")},
		{"rtpmap of a huge type", plain("a=rtpmap:99999999999999999999 x/8000")},
		{"second ptime", plain("a=ptime:20", "a=ptime:30")},
		{"ptime zero", plain("a=ptime:0")},
		{"second direction", plain("a=sendonly", "a=recvonly")},
		{"port out of range", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 70000 RTP/AVP 0")},
		{"payload type out of range", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 128")},
		{"payload type twice", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 0 0")},
		{"media line cut short", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000")},
		{"no connection anywhere", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", "m=audio 4000 RTP/AVP 0")},
		{"second connection of a line", plain("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.2")},
		{"too long", plain("a=x:" + strings.Repeat("y", MaxBytes))},
		{"too many lines", plain(strings.Split(strings.Repeat("a=x\n", maxLines), "\n")[:maxLines]...)},
		{"crypto tag twice", plain("a=crypto:1 x inline:y", "a=crypto:1 x inline:y")},
		{"rtcp port zero", plain("a=rtcp:0")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.have); !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse = %v, want ErrMalformed", err)
			}
		})
	}
}

func TestParseAcceptsHugeOriginIDs(t *testing.T) {
	have := text("v=0", "o=- 99999999999999999999999999 18446744073709551616 IN IP4 host.example.com", "s=", "c=IN IP4 192.0.2.1", "t=0 0")
	if _, err := Parse(have); err != nil {
		t.Errorf("Parse = %v", err)
	}
}

// us is a side on an ordinary address that allows plain RTP.
func us() Local {
	return Local{Addr: netip.MustParseAddrPort("198.51.100.7:20000"), SRTP: SRTPOff, Session: 7, Version: 1}
}

// key is a deterministic key of suite, for tests only.
func key(suite string, fill byte) Crypto {
	return Crypto{Tag: 1, Suite: suite, Key: bytes.Repeat([]byte{fill}, Suites[suite])}
}

func inline(c Crypto) string { return "inline:" + base64.StdEncoding.EncodeToString(c.Key) }

func TestAnswerRefuses(t *testing.T) {
	at := func(addr string) []byte {
		fam := "IP4"
		if strings.Contains(addr, ":") {
			fam = "IP6"
		}
		return text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN "+fam+" "+addr, "t=0 0", "m=audio 49170 RTP/AVP 0")
	}
	secure := us()
	secure.SRTP, secure.Keys = SRTPRequired, []Crypto{key("AEAD_AES_256_GCM", 1)}
	var unset Local
	unset.Addr = us().Addr
	savp := func(lines ...string) []byte {
		return text(append([]string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 49170 RTP/SAVP 0"}, lines...)...)
	}
	tests := []struct {
		name  string
		have  []byte
		local Local
	}{
		{"no media line", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"), us()},
		{"video only", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=video 4000 RTP/AVP 31"), us()},
		{"audio with port 0", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 0 RTP/AVP 0"), us()},
		{"no codec in common", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 18"), us()},
		{"port below 1024", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 53 RTP/AVP 0"), us()},
		{"name instead of an address", at("host.example.com"), us()},
		{"multicast", at("224.2.36.42/127"), us()},
		{"broadcast", at("255.255.255.255"), us()},
		{"link-local", at("169.254.0.1"), us()},
		{"metadata service", at("169.254.169.254"), us()},
		{"metadata service over IPv6", at("fd00:ec2::254"), us()},
		{"loopback", at("127.0.0.1"), us()},
		{"this network", at("0.1.2.3"), us()},
		{"reserved", at("250.1.2.3"), us()},
		{"other family", at("2001:db8::1"), us()},
		{"plain where SRTP is required", plain(), secure},
		{"plain where nothing was configured", plain(), unset},
		{"SRTP where it is off", savp("a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + inline(key("AES_CM_128_HMAC_SHA1_80", 1))), us()},
		{"SRTP without a key", savp(), secure},
		{"SRTP with another suite", savp("a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + inline(key("AES_CM_128_HMAC_SHA1_80", 1))), secure},
		{"SRTP with a short key", savp("a=crypto:1 AEAD_AES_256_GCM inline:AAAA"), secure},
		{"SRTP with session parameters", savp("a=crypto:1 AEAD_AES_256_GCM " + inline(key("AEAD_AES_256_GCM", 2)) + " UNENCRYPTED_SRTP"), secure},
		{"SRTP with a master key identifier", savp("a=crypto:1 AEAD_AES_256_GCM " + inline(key("AEAD_AES_256_GCM", 2)) + "|2^20|1:4"), secure},
		{"DTLS", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 UDP/TLS/RTP/SAVPF 0"), us()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(tt.have)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if _, _, err := Answer(d, tt.local); !errors.Is(err, ErrUnacceptable) {
				t.Errorf("Answer = %v, want ErrUnacceptable", err)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	d, err := Parse(text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.9", "t=0 0",
		"m=video 5000 RTP/AVP 31 34", "m=audio 49170 RTP/AVP 18 8 0 97", "c=IN IP4 192.0.2.1",
		"a=rtpmap:97 Telephone-Event/8000", "a=ptime:30", "a=sendonly", "m=image 6000 udptl t38"))
	if err != nil {
		t.Fatal(err)
	}
	got, agreed, err := Answer(d, us())
	if err != nil {
		t.Fatal(err)
	}
	want := text("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
		"m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVP 8 97", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 telephone-event/8000",
		"a=fmtp:97 0-15", "a=ptime:30", "a=recvonly", "m=image 0 udptl t38")
	if !bytes.Equal(got, want) {
		t.Errorf("Answer =\n%s\nwant\n%s", got, want)
	}
	if agreed.Codec.Name != "PCMA" || !agreed.HasEvent || agreed.Event != 97 || agreed.PTime != 30 || !agreed.Held() ||
		agreed.Direction != RecvOnly || agreed.Remote != netip.MustParseAddrPort("192.0.2.1:49170") {
		t.Errorf("agreed = %+v", agreed)
	}
}

func TestMediaHold(t *testing.T) {
	for name, have := range map[string][]byte{
		"inactive": plain("a=inactive"), "sendonly": plain("a=sendonly"),
		"RFC 2543": text("v=0", "o=- 1 2 IN IP4 192.0.2.1", "s=-", "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 49170 RTP/AVP 0"),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(have)
			if err != nil {
				t.Fatal(err)
			}
			_, agreed, err := Answer(d, us())
			if err != nil {
				t.Fatal(err)
			}
			if !agreed.Held() {
				t.Errorf("direction %q is no media hold", agreed.Direction)
			}
		})
	}
}

func TestOfferAccept(t *testing.T) {
	for _, srtp := range []SRTP{SRTPOff, SRTPOptional, SRTPRequired} {
		t.Run(string(srtp), func(t *testing.T) {
			a, b := us(), us()
			a.SRTP, b.SRTP = srtp, srtp
			a.Keys = []Crypto{key("AEAD_AES_256_GCM", 1), key("AES_CM_128_HMAC_SHA1_80", 2)}
			b.Keys = []Crypto{key("AES_CM_128_HMAC_SHA1_80", 3)}
			offer, err := Parse(Offer(a))
			if err != nil {
				t.Fatal(err)
			}
			text, atB, err := Answer(offer, b)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			atA, err := Accept(answer, a)
			if err != nil {
				t.Fatal(err)
			}
			if atA.Codec.Name != "PCMU" || atA.Codec != atB.Codec || atA.Event != atB.Event || !atA.HasEvent {
				t.Errorf("offerer %+v, answerer %+v", atA, atB)
			}
			if (srtp == SRTPRequired) != (atA.Suite == "AES_CM_128_HMAC_SHA1_80") || !bytes.Equal(atA.LocalKey, atB.RemoteKey) ||
				!bytes.Equal(atB.LocalKey, atA.RemoteKey) {
				t.Errorf("keys do not cross: %+v and %+v", atA, atB)
			}
		})
	}
}

func TestAcceptRefuses(t *testing.T) {
	secure := us()
	secure.SRTP, secure.Keys = SRTPRequired, []Crypto{key("AEAD_AES_256_GCM", 1)}
	tests := []struct {
		name  string
		have  []byte
		local Local
	}{
		{"plain answer to SRTP", plain(), secure},
		{"SRTP answer to plain", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/SAVP 0",
			"a=crypto:1 AEAD_AES_256_GCM "+inline(key("AEAD_AES_256_GCM", 2))), us()},
		{"key that was not offered", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/SAVP 0",
			"a=crypto:2 AEAD_AES_256_GCM "+inline(key("AEAD_AES_256_GCM", 2))), secure},
		{"two lines", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"), us()},
		{"refused", text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 0 RTP/AVP 0"), us()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(tt.have)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Accept(d, tt.local); !errors.Is(err, ErrUnacceptable) {
				t.Errorf("Accept = %v, want ErrUnacceptable", err)
			}
		})
	}
}

// Opus is offered beside what we speak; an answer that takes it alone is told
// from others.
func TestOpusIsNeverAlone(t *testing.T) {
	l := us()
	l.Codecs = []string{"OPUS", "PCMU"}
	for _, offered := range []uint8{0, 96} {
		l.OpusType = offered
		offer, err := Parse(Offer(l))
		if err != nil {
			t.Fatal(err)
		}
		if c := offer.Media[0].Codecs; len(c) != 3 || c[0].Name != "OPUS" || c[0].PT != map[uint8]uint8{0: 111, 96: 96}[offered] || c[1].Name != "PCMU" {
			t.Fatalf("offered %+v", c)
		}
		reply, atB, err := Answer(offer, l)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := Parse(reply)
		if err != nil {
			t.Fatal(err)
		}
		atA, err := Accept(answer, l)
		if err != nil || atA.Opus != atB.Opus || atA.Opus == 0 || atA.Codec.Name != "PCMU" {
			t.Errorf("offerer %+v, answerer %+v, %v", atA, atB, err)
		}
	}
	alone, err := Parse(text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 111", "a=rtpmap:111 opus/48000/2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Accept(alone, l); !errors.Is(err, ErrOpusAlone) || !errors.Is(err, ErrUnacceptable) {
		t.Errorf("Accept = %v, want ErrOpusAlone", err)
	}
	if _, _, err := Answer(alone, l); !errors.Is(err, ErrUnacceptable) {
		t.Errorf("Answer = %v, want ErrUnacceptable", err)
	}
}

// FuzzParse: whatever Parse reads, our answer to it reads back as itself and
// goes to no dangerous address, and SRTP is never answered in plain.
func FuzzParse(f *testing.F) {
	f.Add(plain("a=rtpmap:97 telephone-event/8000"))
	f.Add(text("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 4000 RTP/SAVP 0 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "+inline(key("AES_CM_128_HMAC_SHA1_80", 1))))
	f.Add(text("v=0", "o=- 1 1 IN IP6 ::1", "s=-", "c=IN IP6 2001:db8::1", "t=0 0", "m=video 1 x y", "m=audio 4000 RTP/AVP 0", "a=rtcp:5000 IN IP6 ::1"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Parse(body)
		if err != nil {
			return
		}
		l := us()
		l.SRTP, l.Keys = SRTPOptional, []Crypto{key("AES_CM_128_HMAC_SHA1_80", 1)}
		l.Codecs = []string{"OPUS", "PCMU", "PCMA"}
		out, agreed, err := Answer(d, l)
		if err != nil {
			return
		}
		if agreed.Remote.IsValid() && Dangerous(agreed.Remote.Addr(), false) != nil {
			t.Errorf("would send to %v", agreed.Remote)
		}
		back, err := Parse(out)
		if err != nil {
			t.Fatalf("our answer does not parse: %v\n%s", err, out)
		}
		if len(back.Media) != len(d.Media) {
			t.Fatalf("%d lines answered with %d", len(d.Media), len(back.Media))
		}
		for i, m := range back.Media {
			if m.Port == 0 {
				continue
			}
			if strings.Contains(d.Media[i].Proto, "SAVP") != (agreed.Suite != "") || m.Proto != d.Media[i].Proto {
				t.Errorf("%s answered as %s, suite %q", d.Media[i].Proto, m.Proto, agreed.Suite)
			}
		}
	})
}

// TestAnswerKeepsTo: what an offer may ask for beside its codec, and what it gets.
func TestAnswerKeepsTo(t *testing.T) {
	offer := func(format string, extra ...string) []byte {
		return text(append([]string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 49170 RTP/AVP " + format}, extra...)...)
	}
	wide := us()
	wide.Codecs = []string{"PCMU", "PCMA", "G722"}
	full, last := us(), us()
	full.Codecs, last.Codecs = []string{"OPUS", "PCMU", "PCMA"}, []string{"PCMU", "PCMA", "OPUS"}
	for _, tt := range []struct {
		name      string
		have      []byte
		local     Local
		want, not string
	}{
		{"G.722 where it is allowed", offer("9 8 0"), wide, "m=audio 20000 RTP/AVP 9\r\na=rtpmap:9 G722/8000", ""},
		{"G.722 where it is not", offer("9 8 0"), us(), "RTP/AVP 8\r\n", "G722"},
		{"Opus where it is not allowed", offer("111 0", "a=rtpmap:111 opus/48000/2"), wide, "RTP/AVP 0\r\n", "opus"},
		{"Opus beside what we speak", offer("0 111", "a=rtpmap:111 opus/48000/2"), full, "RTP/AVP 111 0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n", ""},
		{"Opus as second choice", offer("98 0", "a=rtpmap:98 opus/48000/2"), last, "RTP/AVP 0 98\r\n", ""},
		{"Opus of one channel", offer("111 0", "a=rtpmap:111 opus/48000"), full, "RTP/AVP 0\r\n", "opus"},
		{"Opus at another rate", offer("111 0", "a=rtpmap:111 opus/8000/2"), full, "RTP/AVP 0\r\n", "opus"},
		{"comfort noise", offer("0 13"), us(), "RTP/AVP 0 13\r\n", ""},
		{"comfort noise at another rate", offer("0 98", "a=rtpmap:98 CN/16000"), us(), "RTP/AVP 0\r\n", "CN"},
		{"no comfort noise", offer("0"), us(), "RTP/AVP 0\r\n", " 13"},
		{"RTCP on the same port", offer("0", "a=rtcp-mux"), us(), "a=rtcp-mux\r\n", ""},
		{"RTCP on its own port", offer("0"), us(), "RTP/AVP 0", "rtcp"},
		{"packets of 10 ms", offer("0", "a=ptime:10"), us(), "a=ptime:10\r\n", ""},
		{"packets of 60 ms", offer("0", "a=ptime:60"), us(), "a=ptime:60\r\n", ""},
		{"packets of 200 ms", offer("0", "a=ptime:200"), us(), "a=ptime:20\r\n", ""},
		{"packets of 15 ms", offer("0", "a=ptime:15"), us(), "a=ptime:20\r\n", ""},
		{"packets of 40 ms, but at most 30", offer("0", "a=ptime:40", "a=maxptime:30"), us(), "a=ptime:30\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(tt.have)
			if err != nil {
				t.Fatal(err)
			}
			got, agreed, err := Answer(d, tt.local)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), tt.want) || tt.not != "" && strings.Contains(string(got), tt.not) {
				t.Errorf("answer\n%s\nwant %q, not %q", got, tt.want, tt.not)
			}
			if agreed.Noise != strings.Contains(string(got), " 13\r\n") {
				t.Errorf("agreed %+v for\n%s", agreed, got)
			}
		})
	}
	if d, err := Parse(offer("111", "a=rtpmap:111 opus/48000/2")); err != nil {
		t.Fatal(err)
	} else if _, _, err := Answer(d, wide); !errors.Is(err, ErrUnacceptable) {
		t.Errorf("opus alone: %v", err)
	}
}

// FuzzAcceptEach: whatever a recorder answers, both streams are agreed or none,
// nothing is taken from it, nothing goes to a dangerous address, and SRTP never
// becomes plain.
func FuzzAcceptEach(f *testing.F) {
	first, second := us(), us()
	first.Direction, second.Direction = SendOnly, SendOnly
	first.SRTP, first.Keys = SRTPRequired, []Crypto{key("AEAD_AES_256_GCM", 1)}
	second.SRTP, second.Keys = SRTPRequired, []Crypto{key("AEAD_AES_256_GCM", 2)}
	crypto := "a=crypto:1 AEAD_AES_256_GCM " + inline(key("AEAD_AES_256_GCM", 3))
	head := []string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"}
	good := text(append(head, "m=audio 4000 RTP/SAVP 0", crypto, "a=recvonly", "a=label:1", "m=audio 4002 RTP/SAVP 0", crypto, "a=recvonly")...)
	if d, err := Parse(good); err != nil {
		f.Fatal(err)
	} else if _, err := AcceptEach(d, first, second); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(text(append(head, "m=audio 4000 RTP/SAVP 0", crypto, "m=audio 0 RTP/SAVP 0")...))
	f.Add(text(append(head, "m=audio 4000 RTP/SAVP 0", crypto)...))
	f.Add(text(append(head, "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0")...))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Parse(body)
		if err != nil {
			return
		}
		got, err := AcceptEach(d, first, second)
		if err != nil {
			if got != nil || !errors.Is(err, ErrUnacceptable) {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		for _, a := range got {
			if a.Direction.Receives() || a.Suite == "" || a.Remote.IsValid() && Dangerous(a.Remote.Addr(), false) != nil {
				t.Fatalf("agreed %+v", a)
			}
		}
	})
}
