package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ringfence": func() { os.Exit(run(os.Args[1:])) }})
}

// Commands as people type them, in testdata/script. Each finds a configuration
// and the folders scripts, stricter and looser.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for name, edit := range map[string][2]string{"scripts": {}, "stricter": {"hold: 12h", "hold: 20h"}, "looser": {"fresh: 15m", "fresh: 18m"}} {
				if err := scriptsInto(filepath.Join(env.WorkDir, name), edit); err != nil {
					return err
				}
			}
			raw, err := os.ReadFile("ringfence.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "ringfence.yaml"), append(raw, "\nscripts: scripts\n"...), 0o600)
		},
		// keep NAME REGEXP puts what the first group found in the last standard
		// output into the environment.
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"keep": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) != 2 {
				ts.Fatalf("usage: keep NAME REGEXP")
			}
			found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
			if len(found) != 2 {
				ts.Fatalf("%s is not in the output", args[1])
			}
			ts.Setenv(args[0], found[1])
		}},
	})
}

// scriptsInto copies the shipped scripts, with one text of the policy changed.
func scriptsInto(dir string, edit [2]string) error {
	for _, pattern := range []string{"*.yaml", "prompts/*.yaml", "audio/*/*.wav"} {
		names, err := filepath.Glob(filepath.Join("../../scripts", pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			raw, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if filepath.Base(name) == "policy.yaml" {
				raw = bytes.Replace(raw, []byte(edit[0]), []byte(edit[1]), 1)
			}
			to := filepath.Join(dir, name[len("../../scripts/"):])
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(to, raw, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
