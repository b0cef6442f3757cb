// Package config reads ringfence.yaml and judges it.
//
// Order of precedence: flags, then environment (RINGFENCE_A_B for a.b), then
// the file, then defaults. Unknown keys are errors, secrets stand only as
// file: or env: references, and every zero value is the safe one. It knows no
// room: cmd turns its parts into the rooms' own configurations.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole file.
type Config struct {
	// Data is the data folder. Default ./data.
	Data    string   `koanf:"data"`
	Tenants []Tenant `koanf:"tenants"`
	SIP     SIP      `koanf:"sip"`
	Media   Media    `koanf:"media"`
	Web     Web      `koanf:"web"`
	STIR    STIR     `koanf:"stirshaken"`
	Verify  Verify   `koanf:"verify"`
	Deliver Deliver  `koanf:"deliver"`
	// Executors are the systems that redeem permits.
	Executors []Executor `koanf:"executors"`
	Ledger    Ledger     `koanf:"ledger"`
	Store     Store      `koanf:"store"`
	TTS       TTS        `koanf:"tts"`
	Lines     []Line     `koanf:"lines"`
	Queues    []Queue    `koanf:"queues"`
	Telemetry Telemetry  `koanf:"telemetry"`
	// Scripts is a folder of flows, policy, prompts and audio; empty = the
	// shipped ones.
	Scripts string `koanf:"scripts"`
	// SingleOperator waives the second person for people and bundles, never
	// for imports and approvals (invariant 20). Shown on every page.
	SingleOperator bool `koanf:"single_operator"`
}

// Tenant is an isolation boundary. A fresh data folder has one, "default".
type Tenant struct {
	ID       string `koanf:"id"`
	Name     string `koanf:"name"` // how callers know the firm
	Language string `koanf:"language"`
	Host     string `koanf:"host"` // of its web pages, when there are several tenants
	// Calls is how many of its callers there may be at once. 0 = all of
	// sip.limits.calls for the only tenant, half of it where there are several.
	Calls int `koanf:"calls"`
}

// SIP is the signalling edge.
type SIP struct {
	Listeners []Listener `koanf:"listeners"`
	Trunks    []Trunk    `koanf:"trunks"`
	Limits    SIPLimits  `koanf:"limits"`
	Emergency Emergency  `koanf:"emergency"`
	CDR       string     `koanf:"cdr"` // folder of call records, one line a leg; empty = none
}

// Listener is one address on which SIP is taken.
type Listener struct {
	Name      string   `koanf:"name"`
	Transport string   `koanf:"transport"` // udp, tcp, tls
	Addr      string   `koanf:"addr"`      // host:port
	External  string   `koanf:"external"`  // address that peers see, behind NAT
	TLS       TLS      `koanf:"tls"`
	Trunks    []string `koanf:"trunks"`    // peers taken here; empty = all
	Plaintext string   `koanf:"plaintext"` // "allowed": UDP or TCP off loopback
}

// TLS names certificate files. Client asks for a certificate signed by CA.
type TLS struct {
	Cert   string `koanf:"cert"`
	Key    string `koanf:"key"`
	CA     string `koanf:"ca"`
	Client bool   `koanf:"client"`
}

// Trunk is a peer: a carrier, a PBX, a phone.
type Trunk struct {
	Name      string         `koanf:"name"`
	Addrs     []string       `koanf:"addrs"` // host:port, tried in order
	Transport string         `koanf:"transport"`
	Sources   []netip.Prefix `koanf:"sources"` // whence its requests are taken
	TrunkPeer `koanf:",squash"`
	Trusted   bool     `koanf:"trust_identity"` // may assert PAI and verstat
	SRTP      string   `koanf:"srtp"`           // required, optional, off; empty = required with TLS
	Codecs    []string `koanf:"codecs"`
	From      string   `koanf:"from"` // number shown on calls we place
	// ConnectedAs are numbers that it writes into answers whoever answers.
	ConnectedAs []string `koanf:"connected_as"`
	CA          string   `koanf:"ca"` // roots for its TLS certificate
	Outbound    bool     `koanf:"outbound"`
	Agents      bool     `koanf:"agents"` // agents' places may be there
	// Transfer is where phones there may have a call go on (REFER): "agents" for
	// every agent with a place, and names of queues. Empty = nowhere.
	Transfer []string `koanf:"transfer"`
	Sign     bool     `koanf:"sign"` // sign callers' calls that go on to agents there
}

// SIPLimits bounds what strangers may ask. Zero means the default named.
type SIPLimits struct {
	Calls          int           `koanf:"calls"`            // calls in progress; 1,000
	Reserve        int           `koanf:"reserve"`          // past them, for call-backs and recorders of calls in progress; a tenth, at least 8
	PerAddress     int           `koanf:"calls_per_source"` // calls in progress from one address of a trunk; no cap of its own
	PerSecond      int           `koanf:"per_second"`       // new calls a second; 100
	Setups         int           `koanf:"setups"`           // calls being set up at once, fewer while the process is late; 400
	PerSource      int           `koanf:"per_source"`       // messages a second from one address that is no trunk; 20
	MaxDuration    time.Duration `koanf:"max_duration"`     // of a call; 4h
	SilentAfter    time.Duration `koanf:"dead_media"`       // no packets; 30s
	AnswerStranger bool          `koanf:"answer_strangers"` // 403 instead of silence for sources that are no trunk
}

// Emergency routes emergency numbers of our own phones.
type Emergency struct {
	Numbers []string `koanf:"numbers"`
	Trunk   string   `koanf:"trunk"`
	Notify  []string `koanf:"notify"`
}

// Media is the RTP side.
type Media struct {
	Bind string `koanf:"bind"`
	// External are the addresses under which browsers reach the media ports when
	// they differ from Bind, as behind NAT.
	External []string `koanf:"external"`
	PortMin  uint16   `koanf:"port_min"`
	PortMax  uint16   `koanf:"port_max"`
	// SilentSupervision keeps it from agents that a supervisor is in their call.
	SilentSupervision bool `koanf:"silent_supervision"`
	// Recording is where recorded calls lie.
	Recording Recording `koanf:"recording"`
	// Forks are services that listen.
	Forks []Fork `koanf:"forks"`
	// Recorders are session recording servers (SIPREC).
	Recorders []Recorder `koanf:"recorders"`
}

// Web is the two listeners and the metrics.
type Web struct {
	Staff   WebListener `koanf:"staff"`
	Public  WebListener `koanf:"public"`
	Metrics string      `koanf:"metrics"` // host:port; empty = none
	OIDC    OIDC        `koanf:"oidc"`
}

// WebListener is one origin. Off localhost it needs TLS.
type WebListener struct {
	Listen   string         `koanf:"listen"`
	URL      string         `koanf:"url"`
	TLS      TLS            `koanf:"tls"`
	Networks []netip.Prefix `koanf:"networks"`
}

// STIR is the trust in callers' signatures.
type STIR struct {
	Roots    string        `koanf:"roots"`  // PEM file of the STI-PA's roots; empty = nothing verifies
	Mode     string        `koanf:"mode"`   // mark (default) or reject
	Reason   string        `koanf:"reason"` // in the answer to a call that goes on in spite of a failed check: off (default), stir or sip
	MaxAge   time.Duration `koanf:"max_age"`
	LabHosts []string      `koanf:"lab_certificate_hosts"`
	Home     string        `koanf:"home_country"` // E.164 country code of national numbers
	Sign     STIRSign      `koanf:"sign"`
	Numbers  []string      `koanf:"numbers"` // our own numbers, as E.164
}

// STIRSign signs our outbound calls, with A for numbers only.
type STIRSign struct {
	Key    string `koanf:"key"`      // PEM, PKCS #8 or SEC 1
	Cert   string `koanf:"cert"`     // PEM, the chain that is published
	URL    string `koanf:"cert_url"` // where it is published: x5u
	OrigID string `koanf:"origid"`
}

// Verify is how people prove things.
type Verify struct {
	Firm     string   `koanf:"firm"`
	Prefixes []string `koanf:"prefixes"` // E.164 prefixes that may be rung or written to
	RPID     string   `koanf:"passkey_rp_id"`
	Pepper   Secret   `koanf:"pepper"` // empty = kept in the data folder
	// Limits are the caps on messages and calls.
	Limits VerifyLimits `koanf:"limits"`
	// Proofing is the identity-proofing provider.
	Proofing Proofing `koanf:"proofing"`
	// Signals are who is asked about numbers and accounts.
	Signals Signals `koanf:"signals"`
}

// Deliver is how messages travel.
type Deliver struct {
	Twilio  Twilio  `koanf:"twilio"`
	SMTP    SMTP    `koanf:"smtp"`
	Webhook Webhook `koanf:"webhook"`
	Outbox  bool    `koanf:"outbox"` // lab only: messages as files in the data folder
}

// Twilio carries SMS.
type Twilio struct {
	AccountSID string `koanf:"account_sid"`
	AuthToken  Secret `koanf:"auth_token"`
	From       string `koanf:"from"`
	Service    string `koanf:"messaging_service"`
	BaseURL    string `koanf:"base_url"` // another host for tests
}

// SMTP carries links and notices.
type SMTP struct {
	Addr     string `koanf:"addr"`
	From     string `koanf:"from"`
	Username string `koanf:"username"`
	Password Secret `koanf:"password"`
	Insecure bool   `koanf:"insecure_loopback"`
}

// Webhook carries messages to a system of one's own.
type Webhook struct {
	URL    string `koanf:"url"`
	Secret Secret `koanf:"secret"`
}

// Executor is a system that performs actions.
type Executor struct {
	Name       string   `koanf:"name"`
	Actions    []string `koanf:"actions"` // action types it performs
	Credential Secret   `koanf:"credential"`
	// Key is the RFC 7638 thumbprint of the key with which it signs DPoP
	// proofs (RFC 9449); Certificate that of its client certificate
	// (x5t#S256, base64url). One of them is required off loopback.
	Key         string         `koanf:"key"`
	Certificate string         `koanf:"certificate"`
	Networks    []netip.Prefix `koanf:"networks"`
	// Webhook is told that a release is ready; WebhookNetworks are addresses
	// that are not public and may be dialled for it.
	Webhook         string         `koanf:"webhook"`
	Secret          Secret         `koanf:"webhook_secret"`
	WebhookNetworks []netip.Prefix `koanf:"webhook_networks"`
}

// Ledger is the audit record.
type Ledger struct {
	Name        string      `koanf:"name"` // stands in the origin of checkpoints; default ringfence
	Checkpoints Checkpoints `koanf:"checkpoints"`
}

// Checkpoints go outside, so that a cut tail shows.
type Checkpoints struct {
	Every  time.Duration `koanf:"every"`   // 60s; at most 5m
	CopyTo string        `koanf:"copy_to"` // a folder or an https address
}

// TTS speaks what has no recording.
type TTS struct {
	Command []string      `koanf:"command"`
	URL     string        `koanf:"url"`
	Voice   string        `koanf:"voice"`
	Timeout time.Duration `koanf:"timeout"`
}

// Line is an entry point: called numbers to a flow.
type Line struct {
	Name     string   `koanf:"name"`
	Tenant   string   `koanf:"tenant"`
	Kind     string   `koanf:"kind"`    // empty = a flow leads its calls; else LineMutualCheck
	Numbers  []string `koanf:"numbers"` // E.164 or the user part that is called
	Trunks   []string `koanf:"trunks"`  // empty = any trunk that is not for agents
	Flow     string   `koanf:"flow"`
	Fallback string   `koanf:"fallback"` // queue when the flow cannot start
	Zone     string   `koanf:"timezone"`
	Hours    []string `koanf:"hours"` // "mon-fri 09:00-17:00"; none = always open
	Language string   `koanf:"language"`
	// Record says whether its calls are recorded.
	Record LineRecord `koanf:"record"`
}

// Telemetry is what leaves for monitoring.
type Telemetry struct {
	LogLevel  string `koanf:"log_level"`
	LogFormat string `koanf:"log_format"` // text or json
	HEP       HEP    `koanf:"hep"`
	SIEM      []SIEM `koanf:"siem"`
}
