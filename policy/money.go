package policy

import (
	"math"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence"
)

// OverEvery is the whole amount of money that cannot be compared: another
// currency than the base, or text that is no amount. It is over every limit.
const OverEvery = math.MaxInt64

// exponents of ISO 4217 currencies that have other than two decimal places.
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
	"UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// Exponent returns how many decimal places the minor unit of an ISO 4217
// currency stands for.
func Exponent(currency string) int {
	if e, ok := exponents[currency]; ok {
		return e
	}
	return 2
}

// ParseMoney reads canonical money text, "1250 GBP": integer minor units
// without leading zeros, one space, three capital letters. Zero and negative
// amounts are no amounts.
func ParseMoney(s string) (ringfence.Money, bool) {
	digits, currency, ok := strings.Cut(s, " ")
	if !ok || !validCurrency(currency) || len(digits) == 0 || len(digits) > 18 || digits[0] < '1' || digits[0] > '9' {
		return ringfence.Money{}, false
	}
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return ringfence.Money{}, false
	}
	return ringfence.Money{Minor: minor, Currency: currency}, true
}

func validCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range 3 {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}

// WholeUnits returns m in whole units of base, rounded up, which is the safe
// side of a limit. Another currency than base counts as over every limit.
func WholeUnits(m ringfence.Money, base string) int64 {
	if base == "" || m.Currency != base || m.Minor < 0 {
		return OverEvery
	}
	unit := int64(1)
	for range Exponent(base) {
		unit *= 10
	}
	whole := m.Minor / unit
	if m.Minor%unit != 0 {
		whole++
	}
	return whole
}
