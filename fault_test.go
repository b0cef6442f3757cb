package ringfence_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// What a panic was made of stays out of the log, and where it was stands there.
func TestAPanicIsToldWithoutItsValue(t *testing.T) {
	digits := []byte("739261")
	for name, cause := range map[string]any{"text": "cannot take 739261", "error": errors.New("bad code 739261"), "bytes": digits,
		"struct": struct{ Keyed []byte }{digits}, "secret": ringfence.Secret(digits)} {
		var text, lines bytes.Buffer
		func() {
			defer func() {
				told := ringfence.Panicked(recover())
				slog.New(slog.NewTextHandler(&text, nil)).Error("panic", told)
				slog.New(slog.NewJSONHandler(&lines, nil)).Error("panic", told)
			}()
			keyed(t, digits[0], cause)
		}()
		for _, log := range []string{text.String(), lines.String()} {
			if strings.Contains(log, "739261") || strings.Contains(log, "NzM5MjYx") || strings.Contains(log, "0x37") || strings.Contains(log, "55 51 57") {
				t.Errorf("%s: %s", name, log)
			}
			if !strings.Contains(log, "ringfence_test.keyed:") {
				t.Errorf("%s: where it was is not told: %s", name, log)
			}
		}
	}
	var lines bytes.Buffer
	func() {
		defer func() { slog.New(slog.NewJSONHandler(&lines, nil)).Error("panic", ringfence.Panicked(recover())) }()
		_ = digits[len(lines.String())+6]
	}()
	if !strings.Contains(lines.String(), "index out of range [6] with length 6") {
		t.Errorf("the runtime's own words are lost: %s", lines.String())
	}
}

//go:noinline
func keyed(t *testing.T, _ byte, cause any) {
	t.Helper()
	panic(cause)
}
