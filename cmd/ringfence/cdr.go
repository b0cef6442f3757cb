package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/b2bua"
)

// cdrQueue is how many records wait for the disk. A disk that is slower than
// that loses records, and the log says so: no call waits for it.
const cdrQueue = 4096

// cdrs writes one line of JSON for each leg that is over, to a file a day.
type cdrs struct {
	dir   string
	log   *slog.Logger
	queue chan b2bua.CDR
}

// newCDRs makes the folder; nil means no records are kept.
func newCDRs(dir string, log *slog.Logger) (*cdrs, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sip.cdr: %w", err)
	}
	return &cdrs{dir: dir, log: log, queue: make(chan b2bua.CDR, cdrQueue)}, nil
}

// add queues a record.
func (c *cdrs) add(r b2bua.CDR) {
	select {
	case c.queue <- r:
	default:
		c.log.Error("call record lost: the disk is too slow", "leg", string(r.Leg))
	}
}

// run writes until ctx ends, and what is queued then.
func (c *cdrs) run(ctx context.Context) {
	for {
		select {
		case r := <-c.queue:
			c.write(r)
		case <-ctx.Done():
			for {
				select {
				case r := <-c.queue:
					c.write(r)
				default:
					return
				}
			}
		}
	}
}

// write appends one line with one write, so that a crash leaves whole lines.
func (c *cdrs) write(r b2bua.CDR) {
	line, err := json.Marshal(r)
	if err == nil {
		err = appendLine(filepath.Join(c.dir, r.Ended.UTC().Format(time.DateOnly)+".jsonl"), append(line, '\n'))
	}
	if err != nil {
		c.log.Error("call record lost", "leg", string(r.Leg), "err", err)
	}
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
