package main

import (
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"reflect"

	"github.com/ringfence/ringfence/internal/config"
)

// newLog is the process's log.
func newLog(t config.Telemetry, to io.Writer) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[t.LogLevel]
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return plain(a) }}
	if t.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, o))
	}
	return slog.New(slog.NewTextHandler(to, o))
}

// plain lets words, numbers and times into the log, and of everything else its
// type only. A secret redacts itself, but not inside of something: as JSON it
// is written out, for stores do that, and fmt reads fields that are not exported
// past their methods. Octets are never words.
func plain(a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case nil, *slog.Source, slog.Level:
		return a
	case error:
		a.Value = slog.StringValue(v.Error())
		return a
	case encoding.TextMarshaler:
		return a
	}
	if t := reflect.TypeOf(a.Value.Any()); !wordly(t) && (t.Kind() != reflect.Slice && t.Kind() != reflect.Array || !wordly(t.Elem()) || t.Elem().Kind() == reflect.Uint8) {
		a.Value = slog.StringValue(fmt.Sprintf("(%v)", t))
	}
	return a
}

// wordly reports whether values of a type are one word or number.
func wordly(t reflect.Type) bool {
	k := t.Kind()
	return k == reflect.String || k == reflect.Bool || k >= reflect.Int && k <= reflect.Float64
}
