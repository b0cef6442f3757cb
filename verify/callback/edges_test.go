package callback_test

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/callback"
)

// Thirty-two bytes of pepper are enough, one less is not.
func TestPepperLengths(t *testing.T) {
	for n, ok := range map[int]bool{31: false, 32: true} {
		pepper := ringfence.Secret(strings.Repeat("p", n))
		if _, err := callback.New(pepper); (err == nil) != ok {
			t.Errorf("call-back, %d bytes: %v", n, err)
		}
		if _, err := callback.NewConfirm(pepper); (err == nil) != ok {
			t.Errorf("read-back, %d bytes: %v", n, err)
		}
	}
}
