package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Command is a Wrapper that runs a program of the operator, which talks to the
// KMS: with "wrap" or "unwrap" behind its arguments, from standard input to
// standard output. What it writes to standard error is for the operator.
type Command []string

// commandTime bounds one run; maxWrapped what it may answer.
const (
	commandTime = 30 * time.Second
	maxWrapped  = 64 << 10
)

// Wrap implements Wrapper.
func (c Command) Wrap(plain []byte) ([]byte, error) { return c.run("wrap", plain) }

// Unwrap implements Wrapper.
func (c Command) Unwrap(wrapped []byte) ([]byte, error) { return c.run("unwrap", wrapped) }

func (c Command) run(what string, in []byte) ([]byte, error) {
	if len(c) == 0 {
		return nil, errors.New("store.key_command is empty")
	}
	cmd := exec.Command(c[0], append(c[1:len(c):len(c)], what)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("store.key_command: %w", err)
	}
	late := time.AfterFunc(commandTime, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	switch {
	case !late.Stop():
		return nil, fmt.Errorf("store.key_command %s: %w", what, context.DeadlineExceeded)
	case err != nil:
		return nil, fmt.Errorf("store.key_command %s: %w: %s", what, err, bytes.TrimSpace(said.Bytes()[:min(said.Len(), 500)]))
	case out.Len() == 0 || out.Len() > maxWrapped:
		return nil, fmt.Errorf("store.key_command %s answered %d bytes: want 1 to %d", what, out.Len(), maxWrapped)
	}
	return out.Bytes(), nil
}
