package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A configuration with the profile is good as written; nothing is overwritten,
// and a name that nobody knows writes nothing.
func TestConfigInitWithProfile(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "ringfence.yaml")
	for name, args := range map[string][]string{
		"an unknown profile": {conf, "--profile", "no-such"},
		"another folder":     {conf, "--profile", ".."},
		"standard output":    {"-", "--profile", "no-pstn"},
	} {
		if code := run(append([]string{"config", "init"}, args...)); code != 2 {
			t.Errorf("%s: exit %d, want 2", name, code)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("a refusal wrote %v, %v", left, err)
	}
	for want, args := range [][]string{
		{"config", "init", conf, "--profile", "no-pstn"},
		{"config", "init", conf, "--profile", "no-pstn"},
	} {
		if code := run(args); code != want {
			t.Fatalf("%v: exit %d, want %d", args, code, want)
		}
	}
	for _, args := range [][]string{
		{"config", "check", "--config", conf},
		{"flow", "prove", filepath.Join(dir, "no-pstn")},
		{"flow", "test", filepath.Join(dir, "no-pstn")},
	} {
		if code := run(args); code != 0 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if err := os.RemoveAll(conf); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"config", "init", conf, "--profile", "no-pstn"}); code != 1 {
		t.Errorf("over an own folder of scripts: exit %d, want 1", code)
	}
}
