package lab

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/voice"
)

// ear listens to what a call brings and keeps what it understood, in order.
type ear struct {
	over chan struct{} // closed when nothing more will be heard

	mu    sync.Mutex // guards everything below
	heard []voice.Heard
	wake  chan struct{} // closed and replaced when heard grows
}

// listen understands the call's audio until its media ends; one goroutine,
// which wait waits for.
func listen(c *peer.Call, lib *voice.Library) (*ear, error) {
	r, err := voice.NewRecogniser(lib, "en")
	if err != nil {
		return nil, fmt.Errorf("lab: %v", err)
	}
	e := &ear{over: make(chan struct{}), wake: make(chan struct{})}
	frames := c.Audio()
	go func() {
		defer close(e.over)
		for f := range frames {
			e.add(understand(r, f))
		}
		e.add(r.Flush())
	}()
	return e, nil
}

func understand(r *voice.Recogniser, f rtp.Frame) []voice.Heard {
	if f.Way != rtp.Received || f.PCM == nil {
		return nil
	}
	return r.Write(f.PCM)
}

func (e *ear) wait() { <-e.over }

func (e *ear) add(more []voice.Heard) {
	if len(more) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, more...)
	close(e.wake)
	e.wake = make(chan struct{})
}

// at returns the i-th thing that was heard, waiting for it. It returns io.EOF
// when the call ended before.
func (e *ear) at(ctx context.Context, i int) (voice.Heard, error) {
	ended := false
	for {
		e.mu.Lock()
		wake := e.wake
		if i < len(e.heard) {
			defer e.mu.Unlock()
			return e.heard[i], nil
		}
		e.mu.Unlock()
		if ended {
			return voice.Heard{}, io.EOF
		}
		select {
		case <-wake:
		case <-e.over:
			ended = true
		case <-ctx.Done():
			return voice.Heard{}, context.Cause(ctx)
		}
	}
}
