package flows

import (
	"regexp"
	"strings"
)

var (
	spokenKey  = regexp.MustCompile(`^(\s*(?:- )?\s*(?:say|ask|choose|reach|alert|text|test|hears|if|when|[a-z]{2}):\s+)(\S.*?)\s*$`)
	hashInText = regexp.MustCompile(`\s#`)
)

// Format rewrites a file as its authors meant it: texts and conditions that
// YAML would read otherwise are quoted, tabs become blanks, lines lose blanks
// at their end, scenes stand one empty line apart. Comments stay. What is right
// already is not touched, and formatting twice changes nothing.
func Format(src []byte) []byte {
	var out []string
	block := -1                               // indentation of a | or > block that we are inside
	lines := strings.Split(string(src), "\n") // a CR at the end of one goes with its blanks
	for i, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if block >= 0 && (line == "" || indent > block) {
			out = append(out, line)
			continue
		}
		block = -1
		line = strings.ReplaceAll(line[:indent], "\t", "  ") + line[indent:]
		if m := spokenKey.FindStringSubmatch(line); m != nil {
			if m[2][0] == '|' || m[2][0] == '>' {
				block = indent
			} else if i+1 == len(lines) || !continues(m[1], lines[i+1]) {
				line = m[1] + quoteValue(m[2])
			}
		} else if value := strings.TrimSpace(line[strings.LastIndex(line, ":")+1:]); value == ">" || value == "|" {
			block = indent
		} else if m := starKey.FindStringSubmatch(line); m != nil {
			line = m[1] + `"` + m[2] + `"` + m[3]
		}
		if line == "" && len(out) > 0 && out[len(out)-1] == "" {
			continue
		}
		out = append(out, line)
	}
	return []byte(strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n")
}

// continues reports whether the next line goes on with a plain text: it stands
// deeper than the key.
func continues(key, next string) bool {
	at := len(key) - len(strings.TrimLeft(key, " -"))
	deep := len(next) - len(strings.TrimLeft(next, " "))
	return strings.TrimSpace(next) != "" && deep > at
}

// quoteValue quotes a plain text that YAML would cut, refuse or misread. A #
// belongs to the text: comments stand on lines of their own.
func quoteValue(v string) string {
	if v[0] == '"' || v[0] == '\'' || v[0] == '#' {
		return v
	}
	risky := strings.ContainsRune("{[]}!&*%@`,?-", rune(v[0])) && !strings.HasPrefix(v, "{ ") ||
		strings.Contains(v, ": ") || strings.HasSuffix(v, ":") || hashInText.MatchString(v)
	if !risky {
		return v
	}
	return quote(v)
}
