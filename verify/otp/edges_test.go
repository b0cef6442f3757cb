package otp_test

import (
	"bytes"
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/otp"
)

// A seed has sixteen bytes at least, a pepper thirty-two.
func TestLengths(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for n, ok := range map[int]bool{15: false, 16: true, 20: true} {
		text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bytes.Repeat([]byte{7}, n))
		secret, err := otp.ImportSeed(ringfence.Secret(text))
		if (err == nil) != ok {
			t.Errorf("a seed of %d bytes: %v", n, err)
		}
		if !ok {
			_, err := otp.Code(ringfence.Secret(`{"v":1,"seed":"`+text+`","algorithm":"SHA1","digits":6}`), now)
			if err == nil {
				t.Errorf("a stored seed of %d bytes is used", n)
			}
			continue
		}
		code, err := otp.Code(secret, now)
		if err != nil {
			t.Fatal(err)
		}
		if step, ok := otp.Confirm(secret, code, now); !ok || step != now.Unix()/30 {
			t.Errorf("confirmed %v at step %d", ok, step)
		}
		if _, ok := otp.Confirm(secret, code, now.Add(time.Hour)); ok {
			t.Error("a code of an hour ago is confirmed")
		}
		if _, ok := otp.Confirm(ringfence.Secret("{}"), code, now); ok {
			t.Error("a code of no seed is confirmed")
		}
	}
	for n, ok := range map[int]bool{31: false, 32: true} {
		if _, err := otp.NewSMS(ringfence.Secret(strings.Repeat("p", n)), "Acme"); (err == nil) != ok {
			t.Errorf("a pepper of %d bytes: %v", n, err)
		}
	}
}

// The message is German for de and its kin, and English else.
func TestLanguages(t *testing.T) {
	m, err := otp.NewSMS(ringfence.Secret(strings.Repeat("p", 32)), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, language := range []string{"de", "de-AT", "en", "den", ""} {
		out, err := m.Prepare(&verify.Draft{Challenge: verify.Challenge{ID: "chl_1", Language: language}})
		if err != nil {
			t.Fatal(err)
		}
		texts[language] = strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '0'
			}
			return r
		}, string(out.Message.Text))
	}
	if texts["de"] != texts["de-AT"] || texts["en"] != texts["den"] || texts["en"] != texts[""] || texts["de"] == texts["en"] {
		t.Errorf("have %q", texts)
	}
}
