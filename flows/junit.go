package flows

import (
	"encoding/xml"
	"fmt"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes results for continuous integration: a suite for each file, the
// virtual time as time.
func JUnit(results []Result) ([]byte, error) {
	var out junitSuites
	for _, r := range results {
		name := r.Test.suite()
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != name {
			out.Suites = append(out.Suites, junitSuite{Name: name})
		}
		suite := &out.Suites[len(out.Suites)-1]
		suite.Tests++
		c := junitCase{Class: r.Test.Flow, Name: r.Test.Name, Time: fmt.Sprintf("%.1f", r.Took.Seconds())}
		if len(r.Problems) > 0 {
			suite.Failures++
			var all []string
			for _, p := range r.Problems {
				all = append(all, p.String())
			}
			c.Failure = &junitFailure{Message: r.Problems[0].Message, Text: strings.Join(append(all, r.Trace...), "\n")}
		}
		suite.Cases = append(suite.Cases, c)
	}
	raw, err := xml.MarshalIndent(out, "", "  ")
	return append([]byte(xml.Header), append(raw, '\n')...), err
}
