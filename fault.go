package ringfence

import (
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
)

// maxFrames bounds what is told of where a panic was.
const maxFrames = 24

// Panicked tells a log what recover returned and where it happened. It holds
// neither the value, which may have been made of what somebody keyed or sent,
// nor the arguments that a stack trace shows. Call it in the function that
// recovers.
func Panicked(cause any) slog.Attr {
	kind := fmt.Sprintf("%T", cause)
	if err, ok := cause.(runtime.Error); ok { // an index, a nil, a type: the runtime's own words
		kind = err.Error()
	}
	var pcs [maxFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var where []string
	for {
		f, more := frames.Next()
		where = append(where, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			break
		}
	}
	return slog.Group("panic", slog.String("kind", kind), slog.Any("where", where))
}
