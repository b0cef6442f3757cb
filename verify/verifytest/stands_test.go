package verifytest

import "testing"

func TestStands(t *testing.T) {
	for text, want := range map[string]bool{
		`{"code":"125071"}`:                             true,
		`keyed 125071# on the leg`:                      true,
		`10002000125071`:                                true,
		`rel_4nmyyp5jct4fsxrw3z0d8f6jah125071`:          true,
		`{"release":"rel_4nmyyp5jct4f125071z0d8f6jah"}`: false,
		`{"digest":"a481291932e0f647a842125071ee48e1de055d30306c6e13cfb09cd3b5543c6e"}`: false,
		`{"at":"2026-11-22T01:02:03.125071Z"}`:                                          false,
		``:                                                                              false,
	} {
		if got := Stands([]byte(text), "125071"); got != want {
			t.Errorf("in %s: %v", text, got)
		}
	}
	if Stands([]byte("anything"), "") {
		t.Error("an empty secret stands somewhere")
	}
}
