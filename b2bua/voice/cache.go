package voice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ringfence/ringfence"
)

// cacheVersion is part of every key: raise it when the form of a cached clip
// changes.
const cacheVersion = "ringfence/voice/v1"

// maxCachedSamples bounds what the cache holds in memory: ten minutes.
const maxCachedSamples = 600 * Rate

// cache keeps what a TTS said of fixed text. Values are never put in: a name
// or a balance must not outlive its call on a disk, and the hash of a short
// text is the text.
type cache struct {
	dir string // empty = memory only

	mu      sync.Mutex // guards below
	clips   map[string]ringfence.Clip
	samples int
}

func newCache(dir string) (*cache, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("voice cache: %w", err)
		}
	}
	return &cache{dir: dir, clips: make(map[string]ringfence.Clip)}, nil
}

// cacheKey is the name of a cached file, without its ending.
func cacheKey(tts, voice, language, text string) string {
	h := sha256.New()
	for _, s := range []string{cacheVersion, tts, voice, language, text} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c *cache) get(key string) (ringfence.Clip, bool) {
	c.mu.Lock()
	clip, ok := c.clips[key]
	c.mu.Unlock()
	if ok || c.dir == "" {
		return clip, ok
	}
	f, err := os.Open(c.path(key))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b, err := readBounded(f, MaxWAVBytes)
	if err != nil {
		return nil, false
	}
	clip, err = ReadWAV(b)
	if err != nil { // damaged: rendered and written again
		return nil, false
	}
	c.remember(key, clip)
	return clip, true
}

func (c *cache) put(key string, clip ringfence.Clip) error {
	c.remember(key, clip)
	if c.dir == "" {
		return nil
	}
	tmp, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return fmt.Errorf("voice cache: %w", err)
	}
	_, err = tmp.Write(pcmWAV(clip))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), c.path(key))
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("voice cache: %w", err)
	}
	return nil
}

func (c *cache) remember(key string, clip ringfence.Clip) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, have := c.clips[key]; have {
		return
	}
	if c.samples+len(clip) > maxCachedSamples {
		clear(c.clips)
		c.samples = 0
	}
	c.clips[key] = clip
	c.samples += len(clip)
}

func (c *cache) path(key string) string { return filepath.Join(c.dir, key+".wav") }

// speak has the TTS say one stretch, from the cache if it is fixed text. A
// cache that cannot be written costs time, not the call.
func (v *Voice) speak(ctx context.Context, language string, st step) (ringfence.Clip, error) {
	key := ""
	if st.fixed {
		key = cacheKey(v.tts.Name(), v.voice, language, st.say)
		if clip, ok := v.cache.get(key); ok {
			return clip, nil
		}
	}
	clip, err := v.tts.Speak(ctx, language, v.voice, st.say)
	if err != nil {
		return nil, err
	}
	if len(clip) == 0 {
		return nil, errors.New("tts: empty answer")
	}
	if key != "" {
		if err := v.cache.put(key, clip); err != nil && v.warn != nil {
			v.warn(err)
		}
	}
	return clip, nil
}
