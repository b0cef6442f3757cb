package script

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/test/binary"
)

// program is the path of ringfence.
var program string

func TestMain(m *testing.M) {
	path, remove, err := binary.Build("../..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = path
	code := m.Run()
	remove()
	os.Exit(code)
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status runs a command and wants this exit status: status 2 ringfence …
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	want, have := args[0], "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		have = "another"
		var code int
		if _, scanned := fmt.Sscanf(err.Error(), "exit status %d", &code); scanned == nil {
			have = fmt.Sprint(code)
		}
	}
	if have != want {
		ts.Fatalf("%v: exit status %s, want %s", args[1:], have, want)
	}
}
