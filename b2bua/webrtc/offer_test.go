package webrtc

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/b2bua/sdp"
)

// chromium is an audio offer of Chromium 143, its candidates left out.
const chromium = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS mic\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
	"a=ice-options:trickle\r\na=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n" +
	"a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:mic track\r\na=rtcp-mux\r\na=rtcp-rsize\r\n" +
	"a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" +
	"a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n" +
	"a=ssrc:3735928559 cname:x\r\n"

// swap replaces a part of Chromium's offer that must be there.
func swap(t testing.TB, old, new string) string {
	t.Helper()
	if !strings.Contains(chromium, old) {
		t.Fatalf("the offer has no %q", old)
	}
	return strings.ReplaceAll(chromium, old, new)
}

func TestParseOfferRefuses(t *testing.T) {
	const print = "a=fingerprint:sha-256 D2:"
	for name, have := range map[string]string{
		"nothing":             "",
		"no description":      "hello",
		"plain RTP":           swap(t, "UDP/TLS/RTP/SAVPF", "RTP/AVP"),
		"SDES":                swap(t, "UDP/TLS/RTP/SAVPF", "RTP/SAVP"),
		"no audio":            swap(t, "m=audio", "m=video"),
		"a second line":       chromium + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
		"refused line":        swap(t, "m=audio 9", "m=audio 0"),
		"one way":             swap(t, "a=sendrecv", "a=recvonly"),
		"no rtcp-mux":         swap(t, "a=rtcp-mux\r\n", ""),
		"Opus only":           swap(t, " 0 8 ", " "),
		"no fingerprint":      swap(t, print, "a=other:"),
		"SHA-1 only":          swap(t, "a=fingerprint:sha-256", "a=fingerprint:sha-1"),
		"short fingerprint":   swap(t, print, "a=fingerprint:sha-256 "),
		"colons elsewhere":    swap(t, "D2:FA:0E", "D:2FA:0E"),
		"two fingerprints":    swap(t, "a=setup", "a=fingerprint:sha-256 "+strings.Repeat("00:", 31)+"00\r\na=setup"),
		"no ufrag":            swap(t, "a=ice-ufrag:EsAw\r\n", ""),
		"short ufrag":         swap(t, "EsAw", "EsA"),
		"ufrag with a colon":  swap(t, "EsAw", "Es:w"),
		"long ufrag":          swap(t, "EsAw", strings.Repeat("a", 257)),
		"short password":      swap(t, "P2uYro0UCOQ4zxjKXaWCBui1", "P2uYro"),
		"two passwords":       swap(t, "a=mid", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui2\r\na=mid"),
		"waits for DTLS":      swap(t, "a=setup:actpass", "a=setup:passive"),
		"no setup":            swap(t, "a=setup:actpass\r\n", ""),
		"lite as well":        swap(t, "t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
		"no mid":              swap(t, "a=mid:0\r\n", ""),
		"mid with a blank":    swap(t, "a=mid:0", "a=mid:0 1"),
		"mid without an end":  swap(t, "a=mid:0", "a=mid:"+strings.Repeat("0", 33)),
		"more than it may be": chromium + strings.Repeat("a=x\r\n", 4000),
		"G.711 on RTCP's":     swap(t, " 0 8 ", " 72 ") + "a=rtpmap:72 PCMU/8000\r\n",
	} {
		if o, err := ParseOffer(have); !errors.Is(err, ErrOffer) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
}

func TestParseOffer(t *testing.T) {
	o, err := ParseOffer(chromium)
	if err != nil {
		t.Fatal(err)
	}
	if o.Ufrag != "EsAw" || o.Mid != "0" || o.Event != 126 || o.Opus != 111 || o.Fingerprint[0] != 0xd2 || o.Fingerprint[31] != 0x0f {
		t.Errorf("%+v", o)
	}
	if len(o.Codecs) != 2 || o.Codecs[0] != (Codec{0, "PCMU"}) || o.Codecs[1] != (Codec{8, "PCMA"}) {
		t.Errorf("codecs %v", o.Codecs)
	}
	// Firefox writes fingerprint and ICE at the top.
	print := "a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n"
	moved := strings.Replace(strings.Replace(chromium, print, "", 1), "t=0 0\r\n", "t=0 0\r\n"+print, 1)
	if same, err := ParseOffer(moved); err != nil || same.Fingerprint != o.Fingerprint {
		t.Errorf("fingerprint of the session: %v", err)
	}
}

// FuzzParseOffer: an offer that is taken names nothing that could break our
// answer, and the answer is a description of one reading.
func FuzzParseOffer(f *testing.F) {
	f.Add(chromium)
	f.Add(strings.ReplaceAll(chromium, "\r\n", "\n"))
	f.Add(swap(f, "a=mid:0", "a=mid:audio-1"))
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOffer(text)
		if err != nil {
			if !errors.Is(err, ErrOffer) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		a := answer{offer: o, ufrag: "abcdefgh", pwd: "abcdefghijklmnopqrstuvwx", addrs: somewhere, ssrc: 7, session: 9}
		text = a.text()
		d, err := sdp.Parse([]byte(text))
		if err != nil || len(d.Media) != 1 || d.Media[0].Addr != somewhere[0].Addr() || d.Media[0].Port != somewhere[0].Port() {
			t.Fatalf("%v in\n%s", err, text)
		}
		if n := bytes.Count([]byte(text), []byte("a=fingerprint:")); n != 1 {
			t.Fatalf("%d fingerprints in\n%s", n, text)
		}
	})
}
