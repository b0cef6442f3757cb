package siprec

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"time"
)

// The labels of the two streams (RFC 4574), as the description has them.
const (
	CallerLabel = "1" // what the caller says
	AgentLabel  = "2" // what the caller hears: the agent, and our announcements
)

// Metadata tells a recorder whose audio it gets. Make it with NewMetadata; it is
// not safe for concurrent use.
type Metadata struct {
	session, caller, agent  string // unique ids (RFC 7865, section 6.10)
	streams                 [2]string
	reference, person       string
	began, joined           time.Time
	callerHolds, agentHolds bool
}

// NewMetadata describes a call by its reference. No number stands in it.
func NewMetadata(reference string, began time.Time) *Metadata {
	return &Metadata{session: unique(), caller: unique(), streams: [2]string{unique(), unique()}, reference: reference, began: began}
}

// Agent names who speaks with the caller from now on; empty is somebody of a
// queue. It reports whether that is a change.
func (m *Metadata) Agent(person string, at time.Time) bool {
	if m.agent != "" && m.person == person {
		return false
	}
	m.agent, m.person, m.joined = unique(), person, at
	return true
}

// Hold notes who has the other on media hold: who holds does not hear what the
// other says (RFC 7865, section 6.8). It reports whether that is a change.
func (m *Metadata) Hold(caller, agent bool) bool {
	if m.callerHolds == caller && m.agentHolds == agent {
		return false
	}
	m.callerHolds, m.agentHolds = caller, agent
	return true
}

// flow joins a participant to the streams: it says one, and hears the other
// unless it holds.
func (m *Metadata) flow(participant, says, hears string, holds bool) flow {
	if holds {
		hears = ""
	}
	return flow{Participant: participant, Send: says, Receive: hears}
}

// unique is a random id of 16 octets.
func unique() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.StdEncoding.EncodeToString(b[:])
}

type (
	recording struct {
		XMLName      xml.Name      `xml:"urn:ietf:params:xml:ns:recording:1 recording"`
		Mode         string        `xml:"datamode"`
		Session      session       `xml:"session"`
		Participants []participant `xml:"participant"`
		Streams      []stream      `xml:"stream"`
		Recorded     assoc         `xml:"sessionrecordingassoc"`
		Members      []assoc       `xml:"participantsessionassoc"`
		Flows        []flow        `xml:"participantstreamassoc"`
	}
	session struct {
		ID    string `xml:"session_id,attr"`
		SIPID string `xml:"sipSessionID"`
		Start string `xml:"start-time"`
	}
	participant struct {
		ID   string `xml:"participant_id,attr"`
		Name nameID `xml:"nameID"`
	}
	nameID struct {
		AOR  string `xml:"aor,attr"`
		Name string `xml:"name"`
	}
	stream struct {
		ID      string `xml:"stream_id,attr"`
		Session string `xml:"session_id,attr"`
		Label   string `xml:"label"`
	}
	assoc struct {
		Participant string `xml:"participant_id,attr,omitempty"`
		Session     string `xml:"session_id,attr"`
		At          string `xml:"associate-time"`
	}
	flow struct {
		Participant string `xml:"participant_id,attr"`
		Send        string `xml:"send"`
		Receive     string `xml:"recv,omitempty"`
	}
)

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// XML writes the metadata, complete each time (RFC 7865, section 6.1).
func (m *Metadata) XML() ([]byte, error) {
	r := recording{Mode: "complete", Session: session{ID: m.session, SIPID: m.reference, Start: stamp(m.began)},
		Participants: []participant{{ID: m.caller, Name: nameID{AOR: "sip:caller@anonymous.invalid", Name: "caller"}}},
		Streams:      []stream{{ID: m.streams[0], Session: m.session, Label: CallerLabel}, {ID: m.streams[1], Session: m.session, Label: AgentLabel}},
		Recorded:     assoc{Session: m.session, At: stamp(m.began)},
		Members:      []assoc{{Participant: m.caller, Session: m.session, At: stamp(m.began)}},
		Flows:        []flow{m.flow(m.caller, m.streams[0], m.streams[1], m.callerHolds)}}
	if m.agent != "" {
		user := "agent"
		if m.person != "" {
			user = m.person
		}
		r.Participants = append(r.Participants, participant{ID: m.agent, Name: nameID{AOR: "sip:" + user + "@anonymous.invalid", Name: "agent"}})
		r.Members = append(r.Members, assoc{Participant: m.agent, Session: m.session, At: stamp(m.joined)})
		r.Flows = append(r.Flows, m.flow(m.agent, m.streams[1], m.streams[0], m.agentHolds))
	}
	body, err := xml.Marshal(r)
	return append([]byte(xml.Header), body...), err
}
