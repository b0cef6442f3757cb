package web

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
)

// Who takes away what was recorded, and who ends its keeping.
var (
	examiners = []ringfence.Role{ringfence.RoleRisk, ringfence.RoleAuditor}
	risks     = []ringfence.Role{ringfence.RoleRisk}

	supervisors = []ringfence.Role{ringfence.RoleSupervisor}
)

// mediaAPI registers what is done with the audio and the signalling of calls.
func (s *Server) mediaAPI(a huma.API, m *guardedMux) {
	s.superviseAPI(a)
	s.traceAPI(a)
	s.captureAPI(a, m)
	s.bansAPI(a)
	s.signalAPI(a)
	s.recordingAPI(a)
	m.HandleFunc("GET /v1/recordings/audio/{pass}", s.audio)
	describeAudio(a)
}
