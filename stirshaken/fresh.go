package stirshaken

import (
	"net/http"
	"strings"
	"time"
)

// fresh checks iat and Date (RFC 8224, section 6.2, step 4).
func (c *check) fresh(p *PASSporT) *Refusal {
	conf := &c.v.config
	if p.Iat.Before(c.now.Add(-conf.Freshness)) {
		return refuse(ReasonStale, "iat is "+c.now.Sub(p.Iat).Truncate(time.Second).String()+" old")
	}
	if p.Iat.After(c.now.Add(conf.Skew)) {
		return refuse(ReasonFuture, "iat is "+p.Iat.Sub(c.now).Truncate(time.Second).String()+" ahead")
	}
	if conf.Date == DateIgnored {
		return nil
	}
	if c.req.Date == "" {
		if conf.Date == DateRequired {
			return refuse(ReasonDateMissing, "")
		}
		return nil
	}
	date, ok := parseDate(c.req.Date)
	if !ok {
		return refuse(ReasonDateSyntax, "")
	}
	if date.Before(c.now.Add(-conf.Freshness)) || date.After(c.now.Add(conf.Skew)) {
		return refuse(ReasonDateStale, "")
	}
	return nil
}

// parseDate reads SIP-date (RFC 3261, section 20.17): rfc1123-date in GMT.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	t, err := time.Parse(http.TimeFormat, strings.Trim(s, lws))
	return t, err == nil
}
