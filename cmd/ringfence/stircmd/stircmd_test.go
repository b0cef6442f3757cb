package stircmd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "rewrite testdata")

// cli is the command line as `ringfence stir` sees it.
type cli struct {
	Verify  Verify  `cmd:""`
	Sign    Sign    `cmd:""`
	Inspect Inspect `cmd:""`
	CA      CA      `cmd:""`
}

// stir runs one command line and returns what it said.
func stir(t testing.TB, args ...string) (out string, done bool, err error) {
	t.Helper()
	var c cli
	p, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	call, err := p.Parse(args)
	if err != nil {
		return "", false, Misuse(err.Error())
	}
	var b bytes.Buffer
	switch cmd := call.Selected().Target.Addr().Interface().(type) {
	case *Verify:
		done, err = cmd.Do(context.Background(), &b)
	case *Sign:
		done, err = cmd.Do(context.Background(), &b)
	case *Inspect:
		done, err = cmd.Do(context.Background(), &b)
	case *CAInit:
		done, err = cmd.Do(context.Background(), &b)
	case *CALeaf:
		done, err = cmd.Do(context.Background(), &b)
	case *CACRL:
		done, err = cmd.Do(context.Background(), &b)
	default:
		t.Fatalf("%T", cmd)
	}
	return b.String(), done, err
}

func must(t testing.TB, args ...string) string {
	t.Helper()
	out, done, err := stir(t, args...)
	if err != nil || !done {
		t.Fatalf("%v: %v %v\n%s", args, done, err, out)
	}
	return out
}

// TestLab walks a lab's day: an authority, a leaf, a signed call, a check by a
// fetched certificate and by one at hand, a revocation.
func TestLab(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	file := func(name string) string { return filepath.Join(dir, name) }
	must(t, "ca", "init", dir)
	if _, _, err := stir(t, "ca", "init", dir); !misuse(err) {
		t.Errorf("a second init: %v", err)
	}
	must(t, "ca", "leaf", dir, "1234", "--spc", "1234")
	must(t, "ca", "leaf", dir, "block", "--range", "441134960000+100")
	must(t, "ca", "leaf", dir, "old", "--spc", "1234", "--days=-3")
	srv := httptest.NewServer(Folder(dir))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	sign := func(leaf, orig string) string {
		out := must(t, "sign", "--lab", "--key", file(leaf+".key"), "--cert", file(leaf+".pem"), "--x5u", srv.URL+"/"+leaf+".pem",
			"--orig", orig, "--dest", "+44 20 7946 0000", "--attest", "A")
		return strings.TrimSpace(strings.TrimPrefix(out, "Identity: "))
	}
	verify := func(identity, from string, more ...string) (string, bool) {
		args := append([]string{"verify", "--roots", file("root.pem"), "--identity", identity, "--from", from, "--to", "tel:+442079460000"}, more...)
		out, done, err := stir(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out, done
	}
	good := sign("1234", "+441134960001")
	if out, done := verify(good, "tel:+441134960001", "--lab-host", host); !done || !strings.HasPrefix(out, "VERIFIED") {
		t.Error(out)
	}
	if out, done := verify(good, "tel:+441134960001", "--cert", file("1234.pem")); !done {
		t.Error(out)
	}
	if out, done := verify(good, "tel:+441134960001"); done || !strings.Contains(out, "436") {
		t.Errorf("loopback was fetched without leave:\n%s", out)
	}
	if out, done := verify(good, "tel:+441134960002", "--cert", file("1234.pem")); done || !strings.Contains(out, "orig-mismatch") {
		t.Error(out)
	}
	if _, _, err := stir(t, "sign", "--lab", "--key", file("block.key"), "--cert", file("block.pem"), "--x5u", srv.URL+"/b.pem",
		"--orig", "+441134960100", "--dest", "1", "--attest", "A"); err == nil || !strings.Contains(err.Error(), "does not cover") {
		t.Errorf("one past the block: %v", err)
	}
	if _, _, err := stir(t, "sign", "--lab", "--key", file("old.key"), "--cert", file("old.pem"), "--x5u", srv.URL+"/b.pem",
		"--orig", "1", "--dest", "1", "--attest", "A"); err == nil || !strings.Contains(err.Error(), "not valid now") {
		t.Errorf("expired: %v", err)
	}
	if _, _, err := stir(t, "sign", "--lab", "--key", file("block.key"), "--cert", file("1234.pem"), "--x5u", srv.URL+"/b.pem",
		"--orig", "1", "--dest", "1", "--attest", "A"); err == nil {
		t.Error("another certificate's key signs")
	}
	must(t, "ca", "crl", dir, "--revoke", "1234")
	out, done := verify(good, "tel:+441134960001", "--cert", file("1234.pem"), "--crl", file("ca.crl"), "--crl-signer", file("intermediate.pem"))
	if done || !strings.Contains(out, "revoked") {
		t.Error(out)
	}
	out, _, err := stir(t, "verify", "--json", "--roots", file("root.pem"), "--cert", file("1234.pem"), "--identity", good, "--from", "tel:+441134960001", "--to", "tel:+442079460000")
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil || v["verified"] != true || v["attest"] != "A" || v["orig"] != "+441134960001" {
		t.Errorf("%v: %s", err, out)
	}
	for _, name := range []string{"/1234.key", "/root.key", "/../ca/root.key", "/.pem", "/none.pem", "/"} {
		req := httptest.NewRequest("GET", "http://x/", nil)
		req.URL.Path = name
		rec := httptest.NewRecorder()
		if Folder(dir).ServeHTTP(rec, req); rec.Code != 404 {
			t.Errorf("%s served: %d", name, rec.Code)
		}
	}
}

func misuse(err error) bool { _, ok := err.(Misuse); return ok }

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"verify"},
		{"verify", "--roots", "x", "--identity", "x"},
		{"sign"},
		{"sign", "--attest", "D"},
		{"inspect"},
		{"inspect", "x", "--now", "yesterday"},
		{"ca", "leaf", "x", "y"},
		{"ca", "leaf", "x", "../y", "--spc", "1"},
		{"ca", "leaf", "x", "y", "--range", "1+1"},
		{"ca", "leaf", "x", "y", "--tn", "abc"},
	} {
		if _, _, err := stir(t, args...); !misuse(err) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

const (
	head  = `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/1234.pem"}`
	body  = `{"attest":"A","dest":{"tn":["442079460000"]},"iat":1772366400,"orig":{"tn":"441134960001"},"origid":"123e4567-e89b-12d3-a456-426655440000"}`
	tail  = `;info=<https://cert.example.org/1234.pem>;alg=ES256;ppt="shaken"`
	sigOK = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
	noon  = "2026-03-01T12:00:10Z"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// TestInspect compares the explanation of a good header and of more than
// twenty bad ones with testdata.
func TestInspect(t *testing.T) {
	with := func(h, c, sig, params string) string { return b64(h) + "." + b64(c) + "." + sig + params }
	r := strings.Replace
	for name, value := range map[string]string{
		"good":               with(head, body, sigOK, tail),
		"no-info":            with(head, body, sigOK, `;ppt="shaken"`),
		"no-params":          with(head, body, sigOK, ""),
		"alg-none":           with(r(head, "ES256", "none", 1), body, sigOK, tail),
		"alg-param":          with(head, body, sigOK, r(tail, "ES256", "RS256", 1)),
		"typ-jwt":            with(r(head, "passport", "JWT", 1), body, sigOK, tail),
		"ppt-differs":        with(r(head, "shaken", "div", 1), body, sigOK, tail),
		"ppt-unknown":        with(r(head, "shaken", "foo", 1), body, sigOK, r(tail, "shaken", "foo", 1)),
		"x5u-differs":        with(r(head, "1234.pem", "9.pem", 1), body, sigOK, tail),
		"x5u-http":           with(r(head, "https", "http", 1), body, sigOK, r(tail, "https", "http", 1)),
		"x5u-query":          with(r(head, ".pem", ".pem?a", 1), body, sigOK, r(tail, ".pem", ".pem?a", 1)),
		"crit":               with(r(head, "{", `{"crit":["x"],`, 1), body, sigOK, tail),
		"duplicate-claim":    with(head, r(body, "{", `{"attest":"C",`, 1), sigOK, tail),
		"case-of-claim":      with(head, r(body, `"attest"`, `"ATTEST"`, 1), sigOK, tail),
		"attest-d":           with(head, r(body, `"A"`, `"D"`, 1), sigOK, tail),
		"origid":             with(head, r(body, "123e4567-", "", 1), sigOK, tail),
		"orig-plus":          with(head, r(body, `"441134960001"`, `"+441134960001"`, 1), sigOK, tail),
		"dest-string":        with(head, r(body, `["442079460000"]`, `"442079460000"`, 1), sigOK, tail),
		"iat-string":         with(head, r(body, `1772366400`, `"1772366400"`, 1), sigOK, tail),
		"stale":              with(head, r(body, `1772366400`, `1772360000`, 1), sigOK, tail),
		"future":             with(head, r(body, `1772366400`, `1772369999`, 1), sigOK, tail),
		"missing-claims":     with(head, `{}`, sigOK, tail),
		"trailing-bytes":     with(head, body+"x", sigOK, tail),
		"not-canonical":      with(head, r(body, ",", ", ", 1), sigOK, tail),
		"padding":            b64(head) + "=." + b64(body) + "." + sigOK + tail,
		"two-parts":          b64(head) + "." + b64(body) + tail,
		"signature-short":    with(head, body, "AAAA", tail),
		"signature-zero":     with(head, body, strings.Repeat("A", 86), tail),
		"compact":            ".." + sigOK + ";info=<https://cert.example.org/1234.pem>",
		"control-byte":       with(head, body, sigOK, tail+"\x01"),
		"escape-in-terminal": with(head, r(body, "{", `{"x":"\u001b[31m",`, 1), sigOK, tail),
	} {
		t.Run(name, func(t *testing.T) {
			out, done, err := stir(t, "inspect", "--now", noon, "Identity: "+value)
			if err != nil {
				t.Fatal(err)
			}
			if good := name == "good" || name == "not-canonical" || name == "compact" || name == "escape-in-terminal"; done && !good {
				t.Errorf("nothing wrong:\n%s", out)
			}
			if strings.ContainsAny(out, "\x1b\x01\r") {
				t.Errorf("control byte in %q", out)
			}
			path := filepath.Join("testdata", "inspect", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || string(want) != out {
				t.Errorf("%v: have\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}

const sipText = "INVITE sip:+442079460000@b.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nf: <sip:+441134960001@a.example>;tag=1\r\nTo: <sip:+442079460000@b.example>\r\n" +
	"i: 1@a\r\nP-Asserted-Identity: <tel:+441134960001>\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\ny: a.b.c;info=<https://x/>\r\n ;ppt=\"shaken\"\r\nIdentity: second\r\nContent-Length: 0\r\n\r\n"

func TestCaptures(t *testing.T) {
	udp := func(payload string) []byte {
		b := []byte{0x13, 0xc4, 0x13, 0xc4, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
		return append(b, payload...)
	}
	ip4 := func(proto byte, flags uint16, body []byte) []byte {
		b := make([]byte, 20)
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
		binary.BigEndian.PutUint16(b[4:], 77)
		binary.BigEndian.PutUint16(b[6:], flags)
		return append(b, body...)
	}
	ip6 := func(next byte, body []byte) []byte {
		b := make([]byte, 40)
		b[0], b[6] = 0x60, next
		binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
		return append(b, body...)
	}
	tcp := func(seq uint32, flags byte, payload string) []byte {
		b := make([]byte, 20)
		binary.BigEndian.PutUint32(b[4:], seq)
		b[12], b[13] = 0x50, flags
		return append(b, payload...)
	}
	ether := func(kind uint16, p []byte) []byte {
		return append(binary.BigEndian.AppendUint16(make([]byte, 12), kind), p...)
	}
	classic := func(order binary.AppendByteOrder, link uint32, packets ...[]byte) []byte {
		b := order.AppendUint32(nil, 0xa1b2c3d4)
		b = append(b, make([]byte, 16)...)
		b = order.AppendUint32(b, link)
		for _, p := range packets {
			b = order.AppendUint32(b, 1772366400)
			b = order.AppendUint32(b, 5)
			b = order.AppendUint32(b, uint32(len(p)))
			b = order.AppendUint32(b, uint32(len(p)))
			b = append(b, p...)
		}
		return b
	}
	ng := func(p []byte) []byte {
		le := binary.LittleEndian
		block := func(kind uint32, body []byte) []byte {
			for len(body)%4 != 0 {
				body = append(body, 0)
			}
			b := le.AppendUint32(nil, kind)
			b = le.AppendUint32(b, uint32(12+len(body)))
			b = append(b, body...)
			return le.AppendUint32(b, uint32(12+len(body)))
		}
		shb := append(le.AppendUint32(nil, 0x1a2b3c4d), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
		idb := []byte{101, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0} // milliseconds
		stamp := uint64(1772366400_000)
		epb := le.AppendUint32(nil, 0)
		epb = le.AppendUint32(epb, uint32(stamp>>32))
		epb = le.AppendUint32(epb, uint32(stamp&0xffffffff))
		epb = le.AppendUint32(epb, uint32(len(p)))
		epb = le.AppendUint32(epb, uint32(len(p)))
		return append(append(block(0x0a0d0d0a, shb), block(1, idb)...), block(6, append(epb, p...))...)
	}
	whole := udp(sipText)
	first, second := whole[:256], whole[256:]
	for _, k := range []struct {
		name string
		b    []byte
	}{
		{"text", []byte(sipText)},
		{"text with bare line ends", []byte(strings.ReplaceAll(sipText, "\r\n", "\n"))},
		{"pcap ethernet", classic(binary.LittleEndian, 1, ether(0x0800, ip4(17, 0, whole)))},
		{"pcap big-endian", classic(binary.BigEndian, 1, ether(0x0800, ip4(17, 0, whole)))},
		{"pcap vlan", classic(binary.LittleEndian, 1, ether(0x8100, append([]byte{0, 1, 8, 0}, ip4(17, 0, whole)...)))},
		{"pcap raw IPv6", classic(binary.LittleEndian, 101, ip6(17, whole))},
		{"pcap loopback", classic(binary.LittleEndian, 0, append([]byte{2, 0, 0, 0}, ip4(17, 0, whole)...))},
		{"pcap cooked", classic(binary.LittleEndian, 113, append(append(make([]byte, 14), 8, 0), ip4(17, 0, whole)...))},
		{"pcap fragments", classic(binary.LittleEndian, 101, ip4(17, 0x2000, first), ip4(17, 256/8, second))},
		{"pcap fragments out of order", classic(binary.LittleEndian, 101, ip4(17, 256/8, second), ip4(17, 0x2000, first))},
		{"pcap IPv6 fragments", classic(binary.LittleEndian, 101, ip6(44, append([]byte{17, 0, 0, 1, 0, 0, 0, 9}, first...)), ip6(44, append([]byte{17, 0, 1, 0, 0, 0, 0, 9}, second...)))},
		{"pcap TCP in two segments", classic(binary.LittleEndian, 101, ip4(6, 0, tcp(99, 2, "")), ip4(6, 0, tcp(100, 16, sipText[:90])), ip4(6, 0, tcp(190, 16, sipText[90:])))},
		{"pcapng", ng(ip4(17, 0, whole))},
	} {
		t.Run(k.name, func(t *testing.T) {
			got, err := readInvites(k.b)
			if err != nil || len(got) != 1 {
				t.Fatalf("%d invites, %v", len(got), err)
			}
			r := got[0].req
			if len(r.Identity) != 2 || r.From == "" || r.To == "" || r.CallID != "1@a" || len(r.PAI) != 1 || r.Date == "" || r.RequestURI != "sip:+442079460000@b.example" {
				t.Errorf("%+v", r)
			}
			if strings.HasPrefix(k.name, "pcap") && got[0].at.Truncate(time.Second).Unix() != 1772366400 {
				t.Errorf("at %s", got[0].at)
			}
		})
	}
	for _, k := range [][]byte{nil, []byte("hello"), []byte("SIP/2.0 200 OK\r\n\r\n"), classic(binary.LittleEndian, 1, nil)[:20], ng(nil)[:30]} {
		if got, err := readInvites(k); err == nil && len(got) > 0 {
			t.Errorf("%q: %v", k, got)
		}
	}
}

// FuzzCapture: no file makes the reader panic or take long.
func FuzzCapture(f *testing.F) {
	f.Add([]byte(sipText))
	f.Add([]byte("\xd4\xc3\xb2\xa1" + strings.Repeat("\x00", 60)))
	f.Add([]byte("\x0a\x0d\x0d\x0a" + strings.Repeat("\x00", 60)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := readInvites(b)
		if len(got) > len(b) {
			t.Error(fmt.Sprint(len(got), " from ", len(b)))
		}
	})
}
