package signals

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// bank is a service that checks our questions against the contract and answers
// as it is told.
type bank struct {
	t    *testing.T
	mu   sync.Mutex
	body func(id string) string // guarded by mu
	with func(w http.ResponseWriter, id string, body []byte) bool
	seen []asked // guarded by mu
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sign, _ := standardwebhooks.NewWebhook(secret)
	var q asked
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || sign.Verify(body, r.Header) != nil ||
		d.Decode(&q) != nil || q.Type != "signals.ask" || len(q.Data.Ask) == 0 || (q.Data.Number == "") == (q.Data.Account == "") {
		b.t.Errorf("broke the contract: %s %v %s", r.Method, r.Header, body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, q)
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	answer := []byte(b.body(id))
	if b.with == nil || b.with(w, id, answer) {
		signed(w, secret, id, answer)
	}
}

func (b *bank) asked() []asked {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

func signed(w http.ResponseWriter, secret, id string, body []byte) {
	sign, _ := standardwebhooks.NewWebhook(secret)
	now := time.Now()
	signature, _ := sign.Sign(id, now, body)
	w.Header().Set(standardwebhooks.HeaderWebhookID, id)
	w.Header().Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	w.Header().Set(standardwebhooks.HeaderWebhookSignature, signature)
	_, _ = w.Write(body)
}

func service(t *testing.T, answers ...string) (*bank, *HTTP) {
	t.Helper()
	b := &bank{t: t}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	h, err := NewHTTP(HTTPConfig{Name: "bank", URL: srv.URL, Secret: ringfence.Secret(secret), Answers: answers})
	if err != nil {
		t.Fatal(err)
	}
	return b, h
}

func answer(name, value string) func(string) string {
	return func(id string) string {
		return fmt.Sprintf(`{"id":%q,"signals":[{"name":%q,"answer":%q}]}`, id, name, value)
	}
}

func TestNewHTTPRefuses(t *testing.T) {
	for name, change := range map[string]func(*HTTPConfig){
		"nobody": func(c *HTTPConfig) { c.Name = "" }, "in clear": func(c *HTTPConfig) { c.URL = "http://bank.example/check" },
		"a login in the address": func(c *HTTPConfig) { c.URL = "https://a:b@bank.example" }, "no secret": func(c *HTTPConfig) { c.Secret = nil },
		"a short secret": func(c *HTTPConfig) { c.Secret = ringfence.Secret("whsec_YWJj") }, "no answers": func(c *HTTPConfig) { c.Answers = nil },
		"a proof as answer": func(c *HTTPConfig) { c.Answers = []string{"pin"} },
	} {
		c := HTTPConfig{Name: "bank", URL: "https://bank.example/check", Secret: ringfence.Secret(secret), Answers: []string{NameCheck}}
		change(&c)
		if _, err := NewHTTP(c); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

// A name check says yes or no; close is not yes, and neither is anything else.
func TestNameCheck(t *testing.T) {
	q := Question{Account: "/GB82WEST12345698765432", Payee: "Bram & Co \"Ltd\" é"}
	for word, want := range map[string]ringfence.Tri{"yes": yes, "no": no, "close": unknown, "unknown": unknown, "": unknown, "YES": unknown, "true": unknown} {
		b, h := service(t, NameCheck)
		b.body = answer(NameCheck, word)
		got := desk(t, Config{Sources: []Source{h}}).Ask(t.Context(), []Question{q})
		if len(got) != 1 || got[0].Value != want || got[0].Source != "bank" || word == "close" && got[0].Detail != "close" {
			t.Errorf("%q: %+v, want %v", word, got, want)
		}
		if d := b.asked()[0].Data; d.Account != "GB82WEST12345698765432" || d.Payee != q.Payee || !slices.Equal(d.Ask, []string{NameCheck}) {
			t.Errorf("asked %+v", d)
		}
	}
}

// Only what the question is about is asked, and only it is told.
func TestHTTPAsksWhatItIsFor(t *testing.T) {
	b, h := service(t, Names...)
	b.body = answer(Prepaid, "no")
	d := desk(t, Config{Sources: []Source{h}})
	got := d.Ask(t.Context(), []Question{{Number: "447700900123", FirstName: "Ada"}})
	want := []string{SimSwap, Diversion, Forwarding, LineType, Prepaid, NumberMatch}
	if data := b.asked()[0].Data; !slices.Equal(data.Ask, want) || data.Number != "+447700900123" || data.FirstName != "Ada" || data.Account != "" {
		t.Errorf("asked %+v", data)
	}
	if len(got) != len(want) || got[4].Value != no || got[0].Value != unknown {
		t.Errorf("have %v", got)
	}
	d.Ask(t.Context(), []Question{{Number: "442079460000", Landline: true}})
	if data := b.asked()[1].Data; !slices.Equal(data.Ask, []string{Diversion, Forwarding, LineType}) || data.FirstName != "" {
		t.Errorf("asked %+v", data)
	}
	if len(h.Answers(Question{Account: "1"})) != 0 {
		t.Error("asks whose account it is without a name")
	}
}

// Whatever is wrong with an answer, nothing is known.
func TestHTTPBelievesOnlyWhatIsSigned(t *testing.T) {
	other := "whsec_" + strings.Repeat("QUFB", 8)
	for name, with := range map[string]func(w http.ResponseWriter, id string, body []byte) bool{
		"unsigned":          func(w http.ResponseWriter, _ string, body []byte) bool { _, _ = w.Write(body); return false },
		"signed by another": func(w http.ResponseWriter, id string, body []byte) bool { signed(w, other, id, body); return false },
		"to another question": func(w http.ResponseWriter, _ string, body []byte) bool {
			signed(w, secret, "evt_x", body)
			return false
		},
		"500": func(w http.ResponseWriter, _ string, _ []byte) bool { w.WriteHeader(500); return true },
		"429": func(w http.ResponseWriter, _ string, _ []byte) bool { w.WriteHeader(429); return true },
		"201": func(w http.ResponseWriter, _ string, _ []byte) bool { w.WriteHeader(201); return true },
		"elsewhere": func(w http.ResponseWriter, _ string, _ []byte) bool {
			w.Header().Set("Location", "/b")
			w.WriteHeader(307)
			return true
		},
		"cut": func(http.ResponseWriter, string, []byte) bool { panic(http.ErrAbortHandler) },
		"garbage": func(w http.ResponseWriter, id string, _ []byte) bool {
			signed(w, secret, id, []byte("<html>"))
			return false
		},
		"null": func(w http.ResponseWriter, id string, _ []byte) bool {
			signed(w, secret, id, []byte("null"))
			return false
		},
		"nothing": func(w http.ResponseWriter, id string, _ []byte) bool { signed(w, secret, id, nil); return false },
		"signed, of another one": func(w http.ResponseWriter, id string, _ []byte) bool {
			signed(w, secret, id, []byte(answer(NameCheck, "yes")("evt_old")))
			return false
		},
		"huge": func(w http.ResponseWriter, id string, _ []byte) bool {
			signed(w, secret, id, []byte(`{"id":"`+id+`","signals":[{"name":"name_check","answer":"yes","detail":"`+strings.Repeat("x", 64<<10)+`"}]}`))
			return false
		},
	} {
		b, h := service(t, NameCheck)
		b.body, b.with = answer(NameCheck, "yes"), with
		got := desk(t, Config{Sources: []Source{h}}).Ask(t.Context(), []Question{{Account: "/1", Payee: "Acme"}})
		if len(got) != 1 || got[0].Value != unknown {
			t.Errorf("%s: %+v", name, got)
		}
		if len(b.asked()) != 1 {
			t.Errorf("%s: asked %d times", name, len(b.asked()))
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","signals":[{"name":"name_check","answer":"yes"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var a answered
		if json.Unmarshal(body, &a) != nil {
			return
		}
		for _, s := range a.Signals {
			if v := answers[s.Answer]; v != unknown && s.Answer != "yes" && s.Answer != "no" {
				t.Errorf("%q reads %v", s.Answer, v)
			}
		}
	})
}
