package config

import "testing"

func TestALineOfTheMutualCheckOnlyAnswers(t *testing.T) {
	good := Line{Name: "check", Kind: LineMutualCheck, Numbers: []string{"442079460005"}}
	for name, change := range map[string]func(*Line){
		"another kind": func(l *Line) { l.Kind = "check" },
		"no name":      func(l *Line) { l.Name = "" },
		"no number":    func(l *Line) { l.Numbers = nil },
		"a flow":       func(l *Line) { l.Flow = "customer-line" },
		"a fallback":   func(l *Line) { l.Fallback = "clerk" },
		"hours":        func(l *Line) { l.Hours = []string{"mon-fri 09:00-17:00"} },
		"recorded":     func(l *Line) { l.Record.On = true },
	} {
		l, p := good, &problems{}
		change(&l)
		if l.checkKind(p); len(p.all) == 0 {
			t.Errorf("%s: taken", name)
		}
	}
	p := &problems{}
	if good.checkKind(p); len(p.all) > 0 {
		t.Error(p.all)
	}
}
