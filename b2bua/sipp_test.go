package b2bua_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"

	"github.com/ringfence/ringfence/test/port"
)

// sipp runs a scenario of testdata/sipp and reports its output when it fails.
func sipp(t *testing.T, ctx context.Context, scenario string, args ...string) <-chan error {
	t.Helper()
	dir := t.TempDir()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-sf", wd + "/testdata/sipp/" + scenario, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-trace_err",
		"-timeout", "60s", "-timeout_error"}, args...)
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err != nil {
			t.Logf("sipp %s: %v\n%s", scenario, err, tail(out.Bytes()))
		}
		done <- err
	}()
	return done
}

func tail(b []byte) []byte { return b[max(0, len(b)-3000):] }

// TestSIPp is a foreign stack at both ends: SIPp calls, keys 12#9 by INFO and is
// connected to SIPp.
func TestSIPp(t *testing.T) {
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is missing: apt-get install sip-tester")
		}
		t.Skip("sipp is not installed")
	}
	for transport, mode := range map[string]string{"udp": "u1", "tcp": "t1"} {
		t.Run(transport, func(t *testing.T) {
			const calls = 20
			agentPort := port.Free(t)
			outcomes := make(chan string, 2*calls) // digits and how the agent's leg ended
			var ua *b2bua.UA
			started := make(chan struct{})
			ua = gateway(t, transport, func(ctx context.Context, leg *b2bua.Leg) {
				if leg.Ring(ctx) != nil || leg.Answer(ctx) != nil {
					return
				}
				digits := ""
				for len(digits) < 4 {
					e, ok := <-leg.Events()
					if !ok {
						return
					}
					if e.Kind == ringfence.LegDigit {
						digits += string(e.Digit)
					}
				}
				uri := "sip:agent@127.0.0.1:" + strconv.Itoa(agentPort)
				if transport != "udp" {
					uri += ";transport=" + transport
				}
				<-started
				out, err := ua.Place(ctx, ringfence.Placement{To: uri})
				if err != nil {
					t.Errorf("Place: %v", err)
					return
				}
				for e := range out.Events() {
					switch e.Kind {
					case ringfence.LegAnswered:
						if err := leg.Join(out.ID()); err != nil {
							t.Errorf("Join: %v", err)
						}
					case ringfence.LegEnded:
						outcomes <- digits + " " + string(e.Cause)
					}
				}
			})
			close(started)
			ctx := within(t)
			n := strconv.Itoa(calls)
			agent := sipp(t, ctx, "agent.xml", "-p", strconv.Itoa(agentPort), "-m", n, "-t", mode)
			caller := sipp(t, ctx, "caller.xml", "-p", strconv.Itoa(port.Free(t)), "-m", n, "-r", "20", "-s", "4400", "-t", mode,
				ua.Addrs()["main"].String())
			if err := <-caller; err != nil {
				t.Fatalf("caller: %v", err)
			}
			if err := <-agent; err != nil {
				t.Errorf("agent: %v", err)
			}
			for range calls {
				select {
				case got := <-outcomes:
					if got != "12#9 bye" {
						t.Errorf("a call went %q", got)
					}
				case <-ctx.Done():
					t.Fatal("not every call reached the agent")
				}
			}
		})
	}
}
