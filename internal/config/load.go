package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// maxFileBytes bounds a configuration and each secret file.
const maxFileBytes = 1 << 20

// Secret is a value that stands in the file only as "file:PATH" or "env:NAME"
// and prints as asterisks.
type Secret struct{ value string }

// NewSecret wraps a value made by a program, for tests and the demo.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value; "" when none was configured.
func (s Secret) Reveal() string { return s.value }

// Format prints asterisks whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "****") }

// Default returns what holds where the file says nothing.
func Default() Config {
	return Config{
		Data:    "data",
		Tenants: []Tenant{{ID: "default", Name: "Our firm", Language: "en"}},
		SIP:     SIP{Limits: SIPLimits{Calls: 1000, PerSecond: 100, PerSource: 20, MaxDuration: 4 * time.Hour, SilentAfter: 30 * time.Second}},
		Media:   Media{PortMin: 20000, PortMax: 29999},
		Web: Web{Staff: WebListener{Listen: "127.0.0.1:8443", URL: "http://localhost:8443"},
			Public: WebListener{Listen: "127.0.0.1:8444", URL: "http://localhost:8444"}},
		STIR:      STIR{Mode: "mark", MaxAge: time.Minute},
		Ledger:    Ledger{Name: "ringfence", Checkpoints: Checkpoints{Every: time.Minute}},
		Telemetry: Telemetry{LogLevel: "info", LogFormat: "text"},
	}
}

// Load reads the file at path, lets the environment win over it and judges
// the result. An error is one line that says what to change; errors.Join of
// several where several things are wrong.
func Load(path string, environ []string) (Config, error) {
	raw, err := readBounded(path)
	if err != nil {
		return Config{}, err
	}
	return Parse(raw, environ)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: write one with 'ringfence config init'", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1)) // a device has no size to ask for
	if err == nil && len(raw) > maxFileBytes {
		err = fmt.Errorf("%s has more than %d bytes, which are all that is read", path, maxFileBytes)
	}
	return raw, err
}

// Parse is Load for a text in memory.
func Parse(raw []byte, environ []string) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(rawbytes.Provider(raw), yaml.Parser()); err != nil {
		return Config{}, fmt.Errorf("configuration is no YAML: %s", oneLine(err))
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: "RINGFENCE_", EnvironFunc: func() []string { return environ },
		TransformFunc: func(key, value string) (string, any) { return envKey(key), value }})
	if err := k.Load(fromEnv, nil); err != nil {
		return Config{}, fmt.Errorf("environment: %s", oneLine(err))
	}
	cfg := Default()
	err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName: "koanf", ErrorUnused: true, WeaklyTypedInput: true, ZeroFields: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), secretHook, prefixHook, listHook),
	}})
	if err != nil {
		return Config{}, mended(err)
	}
	return cfg, cfg.Check()
}

// envKey turns RINGFENCE_WEB_STAFF_LISTEN into web.staff.listen. Keys with an
// underscore of their own are found by the longest known name.
func envKey(key string) string {
	words := strings.Split(strings.ToLower(strings.TrimPrefix(key, "RINGFENCE_")), "_")
	at := reflect.TypeFor[Config]()
	var path []string
	for len(words) > 0 {
		n, next := longestField(at, words)
		path = append(path, strings.Join(words[:n], "_"))
		words, at = words[n:], next
	}
	return strings.Join(path, ".")
}

func longestField(at reflect.Type, words []string) (int, reflect.Type) {
	for n := len(words); n > 0 && at.Kind() == reflect.Struct; n-- {
		name := strings.Join(words[:n], "_")
		for i := range at.NumField() {
			if f := at.Field(i); f.Tag.Get("koanf") == name {
				return n, f.Type
			}
		}
	}
	return len(words), at
}

func secretHook(_, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[Secret]() {
		return data, nil
	}
	text, ok := data.(string)
	if !ok {
		return nil, errors.New("a secret is written as file:PATH or env:NAME")
	}
	switch {
	case text == "":
		return Secret{}, nil
	case strings.HasPrefix(text, "env:"):
		value, ok := os.LookupEnv(text[4:])
		if !ok || value == "" {
			return nil, fmt.Errorf("environment variable %s is not set", text[4:])
		}
		return Secret{value}, nil
	case strings.HasPrefix(text, "file:"):
		raw, err := readBounded(text[5:])
		if err != nil {
			return nil, err
		}
		return Secret{strings.TrimRight(string(raw), "\r\n")}, nil
	default:
		return nil, errors.New("a secret never stands in the file itself: write file:PATH or env:NAME")
	}
}

func prefixHook(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if to != reflect.TypeFor[netip.Prefix]() || !ok {
		return data, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no address and no network such as 10.0.0.0/8", text)
	}
	return p.Masked(), nil
}

// listHook takes "a, b" for a list, as the environment writes it.
func listHook(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to.Kind() != reflect.Slice {
		return data, nil
	}
	var out []string
	for part := range strings.SplitSeq(data.(string), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out, nil
}

var (
	unusedKeys  = regexp.MustCompile(`'([^']*)' has invalid keys: (.+)`)
	wrongThing  = regexp.MustCompile(`'([^']*)' (.+)`)
	quotedLines = regexp.MustCompile(`\s*\n\s*\*?\s*`)
)

// mended rewords the decoder's errors: which key, and what it should be.
func mended(err error) error {
	text := oneLine(err)
	if m := unusedKeys.FindStringSubmatch(text); m != nil {
		where, keys := strings.TrimPrefix(m[1], "config.Config"), strings.Split(m[2], ", ")
		if where != "" {
			where += "."
		}
		hint := ""
		if near := nearest(keys[0]); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return fmt.Errorf("unknown key %s%s%s", where, keys[0], hint)
	}
	if m := wrongThing.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s: %s", m[1], m[2])
	}
	return errors.New(text)
}

func oneLine(err error) string { return quotedLines.ReplaceAllString(err.Error(), " ") }

// nearest returns the known key one or two typing errors away from key, or "".
func nearest(key string) string {
	best, found := 3, ""
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("koanf")
			if name == "" {
				continue
			}
			if d := distance(key, name); d < best {
				best, found = d, name
			}
			walk(t.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[Config]())
	return found
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
