// Command ringfence answers the telephone before an agent does, has callers
// prove what they ask for, and releases a risky action only when policy is
// satisfied for that very action. It is the only place where the rooms of the
// project meet.
//
// Exit status: 0 done, 1 refused or failed, 2 misused.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Demo      demoCmd      `cmd:"" help:"Show three calls, with nothing to configure."`
	Drill     drillCmd     `cmd:"" help:"Attack a second ringfence of your own configuration."`
	Serve     serveCmd     `cmd:"" help:"Answer calls, serve the console and the API."`
	Config    configCmd    `cmd:"" help:"Write or judge a configuration."`
	User      userCmd      `cmd:"" help:"Invite members of staff."`
	Import    importCmd    `cmd:"" help:"Judge a file of subjects, offline."`
	Ledger    ledgerCmd    `cmd:"" help:"Verify the audit record, offline."`
	Executor  executorCmd  `cmd:"" help:"Integrate and test the system that does what was released."`
	Reconcile reconcileCmd `cmd:"" help:"Hold an executor's journal against what was redeemed, offline."`
	Backup    backupCmd    `cmd:"" help:"Copy the store while it is in use, and verify the copy."`
	Restore   restoreCmd   `cmd:"" help:"Verify a copy of the store, and bring it back."`
	Epoch     epochCmd     `cmd:"" help:"Let a restored store go on, signed by two persons."`
	Erase     eraseCmd     `cmd:"" help:"Erase a subject, signed by two persons; the log still verifies."`
	Keys      keysCmd      `cmd:"" help:"Rotate the keys of the store."`
	Bans      bansCmd      `cmd:"" help:"Whom the telephone edge of a ringfence that runs ignores."`
	Capture   captureCmd   `cmd:"" help:"Take the packets of a live call, without its secrets."`
	Call      callCmd      `cmd:"" help:"Place a test call and say how it went, once or again and again."`
	Flow      flowCmd      `cmd:"" help:"Judge, test, play, read and draw the scripts."`
	Stir      stirCmd      `cmd:"" help:"Verify, sign and explain call signatures (STIR/SHAKEN)."`
}

// exitError is an error that decides its exit status. An empty text prints
// nothing: the command has said what there is to say.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func main() { os.Exit(run(os.Args[1:])) }

// run parses and runs one command line and returns the exit status.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	parser, err := kong.New(&c, kong.Name("ringfence"), kong.Description("No release by telephone without the person's own approval of that very action."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		panic(err) // a fault in the tags above, which no input can reach
	}
	call, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ringfence: "+err.Error()+" (see ringfence --help)")
		return 2
	}
	if err := call.Run(); err != nil {
		var exit *exitError
		if errors.As(err, &exit) {
			if exit.text != "" {
				fmt.Fprintln(os.Stderr, "ringfence: "+exit.text)
			}
			return exit.code
		}
		fmt.Fprintln(os.Stderr, "ringfence: "+err.Error())
		return 1
	}
	return 0
}
