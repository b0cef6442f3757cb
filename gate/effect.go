package gate

import (
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Effect is what an action of the directory does to what is on file, in the
// words of the API.
type Effect string

// The effects.
const (
	AddsNumber           Effect = "adds_number"
	AddsEmail            Effect = "adds_email"
	AddsPIN              Effect = "adds_pin"
	AddsAuthenticator    Effect = "adds_authenticator"
	RemovesContact       Effect = "removes_contact"
	RemovesAuthenticator Effect = "removes_authenticator"
	Resumes              Effect = "resumes"
	GrantsMandate        Effect = "grants_mandate"
	EndsMandate          Effect = "ends_mandate"
	StartsAgain          Effect = "starts_again" // class C5, from a proofed identity
)

// Effects lists what an action does to what is on file; nothing for an action
// that an executor performs.
func Effects(a *policy.Action) (out []Effect) {
	if a == nil || !changesDirectory(a.Like) {
		return nil
	}
	if a.Class >= ringfence.C5 {
		out = append(out, StartsAgain)
	}
	for _, f := range a.Carries {
		e := effectOf(f)
		if e != "" && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

func effectOf(f policy.Field) Effect {
	switch f.Name {
	case "contact":
		return RemovesContact
	case "authenticator":
		return RemovesAuthenticator
	case "resume":
		return Resumes
	case "fingerprint":
		return AddsAuthenticator
	case "mandate":
		return EndsMandate
	case "representative":
		return GrantsMandate
	}
	switch {
	case kept(f):
		return AddsPIN
	case f.Type.Base == policy.BaseTN:
		return AddsNumber
	case f.Type.Base == policy.BaseEmail:
		return AddsEmail
	}
	return ""
}
