package lab

import (
	"context"
	"encoding/json"
)

// ImportReport is what the dry run of an import found.
type ImportReport struct {
	Rows   int `json:"rows"`
	Faults []struct {
		Line   int    `json:"line"`
		Column string `json:"column"`
		Says   string `json:"says"`
	} `json:"faults"`
}

// Made is a first secret, as it is shown once to whoever signs last.
type Made struct {
	Subject string `json:"subject"`
	PIN     string `json:"pin"`
	URI     string `json:"uri"`
}

// Import tries a file of subjects. The id is that of the import that then
// waits for two signatures; none when the report has faults.
func (s *Staff) Import(ctx context.Context, format, source, data string) (id string, report ImportReport, err error) {
	var out struct {
		ID     string       `json:"id"`
		Report ImportReport `json:"report"`
	}
	err = s.c.do(ctx, "POST", "/v1/imports", map[string]any{"format": format, "source": source, "data": data}, &out)
	return out.ID, out.Report, err
}

// SignImport signs an import with the passkey. It reports whether everything
// is on file now, and then what was made.
func (s *Staff) SignImport(ctx context.Context, id string) (done bool, secrets []Made, err error) {
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if err := s.c.do(ctx, "POST", "/v1/imports/"+id+"/begin", map[string]any{}, &begun); err != nil {
		return false, nil, err
	}
	response, err := s.key.Assert(begun.Options)
	if err != nil {
		return false, nil, err
	}
	var out struct {
		Done    bool
		Secrets []Made
	}
	err = s.c.do(ctx, "POST", "/v1/imports/"+id+"/finish", map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}, &out)
	return out.Done, out.Secrets, err
}
