package lab

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Handsets hold the text messages that a provider delivered, by number. The
// zero value is ready for use.
type Handsets struct {
	mu      sync.Mutex // guards inboxes
	inboxes map[string]chan string
}

// maxTexts is how many messages a handset holds; more are lost.
const maxTexts = 100

// Deliver puts a message into the handset of a number.
func (h *Handsets) Deliver(number, text string) {
	select {
	case h.inbox(number) <- text:
	default:
	}
}

// Next returns the oldest message to a number that nobody read, waiting for it.
func (h *Handsets) Next(ctx context.Context, number string) (string, error) {
	select {
	case text := <-h.inbox(number):
		return text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("lab: no text message came to +%s: %w", number, context.Cause(ctx))
	}
}

func (h *Handsets) inbox(number string) chan string {
	number = strings.TrimPrefix(number, "+")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inboxes == nil {
		h.inboxes = map[string]chan string{}
	}
	if h.inboxes[number] == nil {
		h.inboxes[number] = make(chan string, maxTexts)
	}
	return h.inboxes[number]
}

// NextLink returns the link to a page, such as http://localhost:8444/l, of the
// next message to a number that holds one. Other messages are read over.
func (h *Handsets) NextLink(ctx context.Context, number, page string) (string, error) {
	for {
		text, err := h.Next(ctx, number)
		if err != nil {
			return "", err
		}
		for word := range strings.FieldsSeq(text) {
			if strings.HasPrefix(word, page+"#") {
				return word, nil
			}
		}
	}
}
