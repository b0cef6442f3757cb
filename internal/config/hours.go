package config

import (
	"fmt"
	"strings"
	"time"
)

// Hours is one stretch of a week in which a line is open.
type Hours struct {
	Days     [7]bool // by time.Weekday
	From, To int     // minutes of the day; To is not within
}

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads "mon-fri 09:00-17:00" or "sat 10:00-12:00".
func ParseHours(text string) (Hours, error) {
	var h Hours
	bad := fmt.Errorf("%q is not like 'mon-fri 09:00-17:00'", text)
	days, times, ok := strings.Cut(strings.TrimSpace(strings.ToLower(text)), " ")
	if !ok {
		return h, bad
	}
	first, last, ranged := strings.Cut(days, "-")
	if !ranged {
		last = first
	}
	a, b := dayIndex(first), dayIndex(last)
	if a < 0 || b < 0 {
		return h, bad
	}
	for d := a; ; d = (d + 1) % 7 {
		h.Days[d] = true
		if d == b {
			break
		}
	}
	from, to, ok := strings.Cut(strings.TrimSpace(times), "-")
	if !ok {
		return h, bad
	}
	var okFrom, okTo bool
	h.From, okFrom = minutes(from)
	h.To, okTo = minutes(to)
	if !okFrom || !okTo || h.From >= h.To {
		return h, bad
	}
	return h, nil
}

func dayIndex(name string) int {
	for i, d := range dayNames {
		if d == name {
			return i
		}
	}
	return -1
}

func minutes(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil
}

// Open reports whether h holds at t, which is in the line's own zone.
func (h Hours) Open(t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	return h.Days[t.Weekday()] && m >= h.From && m < h.To
}
