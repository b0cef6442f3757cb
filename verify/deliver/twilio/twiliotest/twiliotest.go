// Package twiliotest is a small real server that speaks as much of Twilio's
// published contract as we use (Messages of 2010-04-01, Lookup v2), on
// loopback. It checks what it is asked: a request that the contract does not
// allow is answered as Twilio would and kept among the complaints. Tests, the
// demo and the lab point a client at it with Config.Base.
package twiliotest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The credentials that the server takes: the API key, or the account with its
// auth token, which is the same secret.
const (
	Account = "AC00000000000000000000000000000001"
	Key     = "SK00000000000000000000000000000001"
	Secret  = "secret0of0the0test0account"
	From    = "+447700900000"
)

// Message is one that was accepted.
type Message struct {
	SID, To, From, Body, Status string
	ValidityPeriod              int // seconds; 0 = not given
	At                          time.Time
}

// Fault is how the server misbehaves.
type Fault string

// The faults.
const (
	FaultNone     Fault = ""
	FaultServer   Fault = "500"      // takes the message, answers 500
	FaultReject   Fault = "reject"   // 400 with Twilio's error 21610
	FaultBusy     Fault = "busy"     // 429
	FaultRedirect Fault = "redirect" // 307 to elsewhere
	FaultCut      Fault = "cut"      // takes the message, cuts the connection
	FaultSilent   Fault = "silent"   // takes the message, answers when Release is called
	FaultJunk     Fault = "junk"     // 201 with something that is no JSON
	FaultSID      Fault = "sid"      // 201 with a SID that is none
	FaultHuge     Fault = "huge"     // Lookup: 200 with more than anybody should read
)

// Server is the fake. Make it with Start.
type Server struct {
	URL string
	// Lookups maps numbers (with plus) to the JSON of their Lookup answer, of
	// which each request gets the packages that it asks for; a number that is not
	// there gets nulls.
	Lookups map[string]string

	http    *http.Server
	done    chan struct{}
	release chan struct{}

	mu         sync.Mutex
	fault      Fault          // guarded by mu
	messages   []Message      // guarded by mu
	complaints []string       // guarded by mu
	asked      []url.Values   // queries of Lookup; guarded by mu
	hear       chan<- Message // guarded by mu
}

// Start listens on addr, "127.0.0.1:0" when empty; any address off loopback is
// refused.
func Start(addr string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		return nil, errors.Join(errors.New("twiliotest: listens on loopback only"), l.Close())
	}
	s := &Server{URL: "http://" + l.Addr().String(), Lookups: map[string]string{}, done: make(chan struct{}), release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2010-04-01/Accounts/{account}/Messages.json", s.create)
	mux.HandleFunc("GET /2010-04-01/Accounts/{account}/Messages/{sid}", s.fetch)
	mux.HandleFunc("GET /v2/PhoneNumbers/{number}", s.lookup)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.complain("%s %s is not in the contract", r.Method, r.URL.Path)
		fail(w, 404, 20404, "The requested resource was not found")
	})
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { // ends with Close, which waits for it
		defer close(s.done)
		_ = s.http.Serve(l) // always ErrServerClosed
	}()
	return s, nil
}

// Close stops the server and waits for it.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Fail makes the server misbehave from now on.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Release lets the requests go that FaultSilent holds. Call it once.
func (s *Server) Release() { close(s.release) }

// Hear sends every accepted message to ch, as a handset that receives it; a
// full channel loses it.
func (s *Server) Hear(ch chan<- Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hear = ch
}

// Messages returns what was accepted so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Complaints returns every request that broke the contract.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.complaints)
}

// SetStatus changes what a fetch of the message says.
func (s *Server) SetStatus(sid, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.messages {
		if s.messages[i].SID == sid {
			s.messages[i].Status = status
		}
	}
}

func (s *Server) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
}

func (s *Server) faulty() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// allowed checks host, account and credentials.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, host string) bool {
	user, password, ok := r.BasicAuth()
	switch {
	case !ok || user != Key && user != Account || password != Secret:
		s.complain("%s: wrong credentials", r.URL.Path)
		fail(w, 401, 20003, "Authenticate")
		return false
	case r.Host != host:
		s.complain("%s: Host is %q, want %q", r.URL.Path, r.Host, host)
		fail(w, 400, 20001, "Host")
		return false
	}
	return true
}

// parameters are those of the Messages resource's create that the contract
// names and we may use.
var parameters = map[string]bool{"To": true, "From": true, "MessagingServiceSid": true, "Body": true, "ValidityPeriod": true}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// check returns Twilio's error number for what is wrong with a create.
func check(r *http.Request) (code int, why string) {
	f := r.PostForm
	for name, values := range f {
		if !parameters[name] || len(values) != 1 {
			return 20001, "parameter " + name
		}
	}
	switch n, err := strconv.Atoi(f.Get("ValidityPeriod")); {
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		return 20001, "content type"
	case r.URL.RawQuery != "":
		return 20001, "a query on a POST"
	case !e164.MatchString(f.Get("To")):
		return 21211, "To"
	case (f.Get("From") == "") == (f.Get("MessagingServiceSid") == ""):
		return 21603, "one of From and MessagingServiceSid"
	case f.Get("From") != "" && !e164.MatchString(f.Get("From")):
		return 21212, "From"
	case f.Get("Body") == "":
		return 21602, "Body"
	case !utf8.ValidString(f.Get("Body")) || utf8.RuneCountInString(f.Get("Body")) > 1600:
		return 21617, "Body is longer than 1,600 characters"
	case f.Has("ValidityPeriod") && (err != nil || n < 1 || n > 36000):
		return 20001, "ValidityPeriod"
	}
	return 0, ""
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r, "api.twilio.com") {
		return
	}
	if r.PathValue("account") != Account {
		s.complain("account %q", r.PathValue("account"))
		fail(w, 404, 20404, "account")
		return
	}
	if err := r.ParseForm(); err != nil {
		s.complain("body: %v", err)
		fail(w, 400, 20001, "body")
		return
	}
	if code, why := check(r); code != 0 {
		s.complain("create: %s", why)
		fail(w, 400, code, why)
		return
	}
	switch s.faulty() {
	case FaultReject:
		fail(w, 400, 21610, "Attempt to send to unsubscribed recipient "+r.PostForm.Get("To"))
		return
	case FaultBusy:
		fail(w, 429, 20429, "Too Many Requests")
		return
	case FaultRedirect:
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		return
	}
	s.answer(w, r, s.keep(r.PostForm))
}

// keep accepts a message.
func (s *Server) keep(f url.Values) Message {
	validity, _ := strconv.Atoi(f.Get("ValidityPeriod")) // checked; absent is 0
	m := Message{SID: "SM" + randomHex(), To: f.Get("To"), From: f.Get("From") + f.Get("MessagingServiceSid"), Body: f.Get("Body"), Status: "queued", ValidityPeriod: validity, At: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	if s.hear != nil {
		select {
		case s.hear <- m:
		default:
		}
	}
	return m
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, m Message) {
	switch s.faulty() {
	case FaultServer:
		fail(w, 500, 20500, "An internal server error has occurred")
		return
	case FaultCut:
		panic(http.ErrAbortHandler) // cuts the connection, logs nothing
	case FaultSilent:
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
		return
	case FaultJunk:
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "<html>ok</html>")
		return
	case FaultSID:
		m.SID = "../" + m.SID
	}
	reply(w, http.StatusCreated, m)
}

func (s *Server) fetch(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r, "api.twilio.com") {
		return
	}
	sid, ok := strings.CutSuffix(r.PathValue("sid"), ".json")
	for _, m := range s.Messages() {
		if ok && m.SID == sid {
			reply(w, http.StatusOK, m)
			return
		}
	}
	fail(w, 404, 20404, "message")
}

// reply writes a Message resource with the members that Twilio documents.
func reply(w http.ResponseWriter, status int, m Message) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may be gone
		"sid": m.SID, "account_sid": Account, "api_version": "2010-04-01", "status": m.Status, "direction": "outbound-api",
		"to": m.To, "from": m.From, "body": m.Body, "num_segments": "1", "num_media": "0", "error_code": nil, "error_message": nil,
		"date_created": m.At.UTC().Format(time.RFC1123Z), "date_sent": nil, "date_updated": m.At.UTC().Format(time.RFC1123Z),
		"messaging_service_sid": nil, "price": nil, "price_unit": "USD",
		"uri": "/2010-04-01/Accounts/" + Account + "/Messages/" + m.SID + ".json", "subresource_uris": map[string]string{},
	})
}

func fail(w http.ResponseWriter, status, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": why, "more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code), "status": status})
}

func randomHex() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
