package web

import (
	"strings"
	"testing"
)

// What was sent in a field of another kind is named by its place: an answer
// that repeats it carries a code to wherever answers are kept.
func TestABodyThatIsRefusedIsNotRepeated(t *testing.T) {
	for _, body := range []string{`{"code":739261}`, `{"code":["739261"]}`, `{"code":{"739261":1}}`, `{"n":"739261"}`, `{"n":73926.1}`, `{"n":7392610000000000000000}`, `{"code":"739261"`} {
		var in struct {
			Code string `json:"code"`
			N    int    `json:"n"`
		}
		err := strictJSON([]byte(body), &in)
		if err == nil {
			t.Errorf("%s is taken", body)
			continue
		}
		if strings.Contains(err.Error(), "7392") {
			t.Errorf("%s is answered %v", body, err)
		}
	}
}
