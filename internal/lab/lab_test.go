package lab

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/stirshaken"
)

func library(t testing.TB) *voice.Library {
	t.Helper()
	lib, err := voice.Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// journal keeps what a Log was told.
type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) log(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	for _, e := range j.events {
		b.WriteString(e.Who + " " + e.What + " " + e.Text + "\n")
	}
	return b.String()
}

// exchange opens an exchange of its own that reaches itself as its gateway.
func exchange(t testing.TB, cfg ExchangeConfig) *Exchange {
	t.Helper()
	cfg.Library = library(t)
	x, err := NewExchange(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	x.Connect(x.Addr())
	return x
}

func TestPeopleHearWhatIsSpokenAndKeyIt(t *testing.T) {
	ctx, j := deadline(t), &journal{}
	x := exchange(t, ExchangeConfig{Log: j.log})
	ada, bob := x.Person("Ada", "447700900001"), x.Person("Bob", "447700900002")
	got := make(chan error, 1)
	go func() {
		got <- func() error {
			line, err := bob.Rings(ctx)
			if err != nil {
				return err
			}
			if err := line.Answer(ctx); err != nil {
				return err
			}
			if err := line.Say(ctx, "Please note this code."); err != nil {
				return err
			}
			clip := code(t, x.lib, "4827")
			if err := line.call.Say(ctx, clip); err != nil {
				return err
			}
			for i, want := range []byte("4827") {
				select {
				case d := <-line.call.Digits():
					if d != want {
						t.Errorf("key %d is %c, want %c", i, d, want)
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			line.Hangup()
			return nil
		}()
	}()
	line, err := ada.Call(ctx, Dial{To: bob.Number})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := line.Hear(ctx, "Please note this code"); err != nil {
		t.Fatal(err)
	}
	digits, err := line.HearDigits(ctx, 4)
	if err != nil || digits != "4827" {
		t.Fatalf("heard %q, %v, want 4827", digits, err)
	}
	if err := line.Key(ctx, digits, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := line.HearOut(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Ada calls +447700900002", "Bob telephone rings", "Bob answers",
		"Ada hears Please note this code 4 8 2 7", "Ada keys 4 8 2 7", "Bob hangs up", "Ada is hung up on"} {
		if !strings.Contains(j.text(), want+"\n") && !strings.Contains(j.text(), want+" \n") {
			t.Errorf("the log does not say %q:\n%s", want, j.text())
		}
	}
}

func code(t testing.TB, lib *voice.Library, digits string) ringfence.Clip {
	t.Helper()
	v, err := voice.New(voice.Config{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Render(t.Context(), ringfence.Speech{Language: "en", Parts: []ringfence.SpeechPart{{As: ringfence.SayDigits, Text: digits, Slow: true, Secret: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

func TestPersonDeclines(t *testing.T) {
	ctx := deadline(t)
	x := exchange(t, ExchangeConfig{})
	ada, bob := x.Person("Ada", "447700900001"), x.Person("Bob", "447700900002")
	declined := make(chan error, 1)
	go func() {
		line, err := bob.Rings(ctx)
		if err == nil {
			err = line.Decline(ctx)
		}
		declined <- err
	}()
	_, err := ada.Call(ctx, Dial{To: bob.Number})
	var refused *peer.Refused
	if !errors.As(err, &refused) || refused.Code != 603 {
		t.Errorf("call that is declined: %v, want 603", err)
	}
	if err := <-declined; err != nil {
		t.Error(err)
	}
}

func TestNobodyBehindTheNumber(t *testing.T) {
	ctx := deadline(t)
	x := exchange(t, ExchangeConfig{})
	ada := x.Person("Ada", "447700900001")
	var refused *peer.Refused
	if _, err := ada.Call(ctx, Dial{To: "447700900009"}); !errors.As(err, &refused) {
		t.Errorf("call to nobody: %v, want a refusal", err)
	}
}

func TestWaitingEndsWithTheCall(t *testing.T) {
	ctx := deadline(t)
	x := exchange(t, ExchangeConfig{})
	ada, bob := x.Person("Ada", "447700900001"), x.Person("Bob", "447700900002")
	go func() {
		line, err := bob.Rings(ctx)
		if err == nil && line.Answer(ctx) == nil {
			line.Hangup()
		}
	}()
	line, err := ada.Call(ctx, Dial{To: bob.Number})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := line.HearDigits(ctx, 4); !errors.Is(err, ErrOver) {
		t.Errorf("waiting for digits on a call that ended: %v, want ErrOver", err)
	}
}

func TestAuthoritySignsWhatAVerifierFetches(t *testing.T) {
	a, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	trust := a.ca.Trust()
	v, err := stirshaken.NewVerifier(stirshaken.Config{Trust: trust, Fetch: stirshaken.FetchConfig{LabCertificateHosts: []string{a.Host()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for attest, want := range map[ringfence.Attest]ringfence.Tri{ringfence.AttestFull: ringfence.Yes,
		ringfence.AttestPartial: ringfence.Unknown, ringfence.AttestGateway: ringfence.Unknown} {
		identity, err := a.Sign(attest, "447700900001", "442079460990")
		if err != nil {
			t.Fatal(err)
		}
		got := v.Verify(t.Context(), stirshaken.Request{Identity: identity, From: "<sip:+447700900001@127.0.0.1>", To: "<sip:+442079460990@127.0.0.1>"}, stirshaken.Peer{Name: "carrier"}, time.Now())
		if got.Tri() != want || got.Attest != attest {
			t.Errorf("signed with %s: %v with %q (%s), want %v", attest, got.Tri(), got.Attest, got.Sentence(), want)
		}
	}
	if a.Fetched() == 0 {
		t.Error("nobody fetched a certificate")
	}
	if identity, err := a.Sign(ringfence.AttestNone, "1", "2"); err != nil || identity != nil {
		t.Errorf("no attestation signs %v, %v", identity, err)
	}
	if _, err := a.Sign("Z", "447700900001", "442079460990"); err == nil {
		t.Error("attestation Z was signed")
	}
}

func TestHandsetsKeepMessagesApart(t *testing.T) {
	ctx := deadline(t)
	var h Handsets
	h.Deliver("+447700900001", "a notice: http://localhost:1/stop#abc")
	h.Deliver("+447700900001", "open http://localhost:1/l#abc now")
	h.Deliver("447700900002", "other")
	link, err := h.NextLink(ctx, "447700900001", "http://localhost:1/l")
	if err != nil || link != "http://localhost:1/l#abc" {
		t.Errorf("link is %q, %v", link, err)
	}
	if text, err := h.Next(ctx, "447700900002"); err != nil || text != "other" {
		t.Errorf("the other handset holds %q, %v", text, err)
	}
	none, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("gave up"))
	if _, err := h.Next(none, "447700900001"); err == nil {
		t.Error("a message was read twice")
	}
}

func TestBankDoesEachReleaseOnce(t *testing.T) {
	var b Bank
	r := Redeemed{Release: "rel_1", Type: "bank_change", Canonical: `{"type":"bank_change","fields":{"new_account":"12345678"}}`}
	if err := b.book(r); err != nil {
		t.Fatal(err)
	}
	if b.book(r) == nil {
		t.Error("the same release was booked twice")
	}
	if b.book(Redeemed{Release: "rel_2", Type: "payment", Canonical: r.Canonical}) == nil {
		t.Error("an action of another type was booked")
	}
	if got := b.Journal(); len(got) != 1 || got[0].Fields["new_account"] != "12345678" {
		t.Errorf("journal is %v", got)
	}
}

func TestFragment(t *testing.T) {
	base, path, token, err := fragment("http://localhost:8443/invite#s3cret")
	if err != nil || !slices.Equal([]string{base, path, token}, []string{"http://localhost:8443", "/invite", "s3cret"}) {
		t.Errorf("fragment is %q %q %q, %v", base, path, token, err)
	}
	for _, bad := range []string{"", "http://localhost/x", "localhost#x", "http://#x", "http://localhost/x#"} {
		if _, _, _, err := fragment(bad); err == nil {
			t.Errorf("%q was taken for a link", bad)
		}
	}
}

func BenchmarkEar(b *testing.B) {
	lib := library(b)
	for b.Loop() {
		if _, err := voice.NewRecogniser(lib, "en"); err != nil {
			b.Fatal(err)
		}
	}
}

// The SHA-1 rows of RFC 6238, appendix B, shortened to six digits.
func TestTOTP(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		if got := TOTP([]byte("12345678901234567890"), time.Unix(at, 0)); got != want {
			t.Errorf("code at %d is %s, want %s", at, got, want)
		}
	}
}
