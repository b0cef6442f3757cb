package gate

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// machineBoot says which start of the machine this is, and how long ago it was
// by a clock that nobody sets and that goes on while the machine sleeps (Linux:
// proc(5), random/boot_id and uptime). An empty id: the machine does not tell.
func machineBoot() (id string, up time.Duration) {
	return bootFrom("/proc/sys/kernel/random/boot_id", "/proc/uptime")
}

func bootFrom(idFile, upFile string) (string, time.Duration) {
	id, err := os.ReadFile(idFile)
	if err != nil {
		return "", 0
	}
	up, err := os.ReadFile(upFile)
	if err != nil {
		return "", 0
	}
	first, _, _ := strings.Cut(string(up), " ")
	s, err := strconv.ParseFloat(first, 64)
	if err != nil || !(s >= 0 && s <= 1e9) { // nor NaN
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(s * float64(time.Second))
}
