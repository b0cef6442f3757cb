package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
)

var today = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func shipped(t testing.TB) *policy.Policy {
	t.Helper()
	src, err := os.ReadFile("../../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, found := policy.Load("policy.yaml", src)
	if p == nil {
		t.Fatal(found)
	}
	return p
}

func read(t testing.TB, f Format, text string) (*Parsed, Report) {
	return Read([]byte(text), Options{Format: f, Source: "CRM export of 2026-11-20", Policy: shipped(t), Now: today})
}

const seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// Every fault names its line and column and never the value.
func TestFaultsAreRefusedByLineAndColumn(t *testing.T) {
	const head = "kind,account,first_name,balance,mobile,landline,email,verified_at,source,pin,totp,bound_at,payees\n"
	good := []string{"customer", "10002000", "Dana", "125000 GBP", "+44 7700 900917", "", "dana@example.com", "2019-04-01", "", "random", "", "", ""}
	names := strings.Split(strings.TrimSpace(head), ",")
	for _, c := range []struct{ column, value, says string }{
		{"kind", "", "want one of customer"}, {"kind", "person", "want one of"}, {"account", "", "say who they are"},
		{"account", "1000200", "want 8 digits"}, {"account", "1000200X", "digits"}, {"first_name", "Da\u202ena", "do"}, {"first_name", " Dana", "blanks"},
		{"balance", "1250.00", "minor units"}, {"mobile", "07700 900917", "plus and country code"}, {"mobile", "+44 20 7946 0000", "landline"},
		{"mobile", "+4477009", "plus and country code"}, {"mobile", "+44 7700 900917;ext=2", "plus"}, {"landline", "+44 7911 123456", "mobile"}, {"landline", "+44 909 879 0000", "premium"},
		{"email", "Dana <dana@example.com>", "e-mail"}, {"verified_at", "01/04/2019", "YYYY-MM-DD"}, {"verified_at", "2031-01-01", "future"},
		{"source", "rel_00000000000000000000000001", "who said so"}, {"pin", "482913", "never a PIN itself"}, {"totp", "JBSWY3DP", "128 bits"},
		{"totp", "otpauth://totp/x?secret=" + seed, "128 bits"}, {"bound_at", "2019-04-01", "bound now"}, {"payees", "12 34", "digits"},
		{"payees", "20003000;20003000", "twice"}, {"payees", ";", "empty account"}, {"payees", "20003000@soon", "YYYY-MM-DD"},
	} {
		cells := append([]string{}, good...)
		for i, n := range names {
			if n == c.column {
				cells[i] = c.value
			}
		}
		parsed, report := read(t, CSV, head+strings.Join(good, ",")+"\n"+strings.Replace(strings.Join(cells, ","), "10002000", "10002001", 1)+"\n")
		if parsed != nil || len(report.Faults) == 0 {
			t.Errorf("%s %q was taken", c.column, c.value)
			continue
		}
		f := report.Faults[0]
		if f.Line != 3 || f.Column != c.column || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s %q: %s", c.column, c.value, f)
		}
		if len(c.value) > 7 && strings.Contains(fmt.Sprint(report.Faults), c.value) {
			t.Errorf("%s: the fault repeats the value: %s", c.column, f)
		}
	}
}

func TestFilesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		text   string
		line   int
		says   string
	}{
		"empty":           {CSV, "", 0, "is empty"},
		"header only":     {CSV, "kind,account\n", 0, "no rows"},
		"semicolons":      {CSV, "kind;account\ncustomer;10002000\n", 1, "not by semicolons"},
		"UTF-16":          {CSV, "\xff\xfek\x00", 0, "UTF-8"},
		"unknown column":  {CSV, "kind,acount\n", 1, "column 2"},
		"column twice":    {CSV, "kind,account,account\n", 1, "twice"},
		"no kind":         {CSV, "account\n10002000\n", 1, "missing"},
		"open quote":      {CSV, "kind,account\ncustomer,\"10002000\n", 2, "double quote"},
		"quote within":    {CSV, "kind,account\ncustomer,1\"0002000\n", 2, "double quote"},
		"too few cells":   {CSV, "kind,account\ncustomer\n", 2, "1 cells where"},
		"same account":    {CSV, "kind,account\ncustomer,10002000\ncustomer,10002000\n", 3, "same as in line 2"},
		"other's field":   {CSV, "kind,account,staff_number\ncustomer,10002000,123456\n", 2, "no field of customer"},
		"PIN of a firm":   {CSV, "kind,company,pin\ncontact,Northwind,random\n", 2, "cannot be given"},
		"one seed of two": {CSV, "kind,account,totp\ncustomer,10002000," + seed + "\ncustomer,10002001," + seed + "\n", 3, "one subject only"},
		"late date alone": {CSV, "kind,account,verified_at\ncustomer,10002000,2020-01-01\n", 2, "without a number"},
		"long cell":       {CSV, "kind,account,first_name\ncustomer,10002000," + strings.Repeat("a", MaxCell+1) + "\n", 2, "longer than"},
		"mandates":        {CSV, "kind,mandates\n", 1, "JSON only"},
		"too large":       {CSV, strings.Repeat(" ", MaxBytes+1), 0, "larger than"},
		"no format":       {"xlsx", "PK", 0, "neither csv nor json"},
		"not an array":    {JSON, `{"kind":"customer"}`, 1, "array"},
		"number":          {JSON, "[\n{\"kind\":\"customer\",\"account\":10002000}]", 2, "in quotes"},
		"name twice":      {JSON, `[{"kind":"customer","kind":"customer"}]`, 1, "one meaning"},
		"trailing":        {JSON, `[{"kind":"customer","account":"10002000"}] []`, 1, "goes on"},
		"cut":             {JSON, `[{"kind":"customer","account":"10002000"},`, 1, "not JSON"},
		"unknown member":  {JSON, `[{"kind":"customer","account":"10002000","mobil":"+447700900917"}]`, 1, "no column"},
		"mandate":         {JSON, `[{"kind":"customer","account":"10002000","mandates":[{"person":"customer 1","types":["payment"],"limit":"5","until":"2027-01-01"}]}]`, 1, "person of this file"},
		"mandate's type":  {JSON, `[{"kind":"customer","account":"10002001"},{"kind":"customer","account":"10002000","mandates":[{"person":"customer 10002001","types":["pay"],"limit":"5","until":"2027-01-01"}]}]`, 1, "policy does not have"},
	} {
		parsed, report := read(t, c.format, c.text)
		if parsed != nil || len(report.Faults) == 0 {
			t.Errorf("%s was taken", name)
			continue
		}
		if f := report.Faults[0]; f.Line != c.line || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %s", name, f)
		}
	}
	if _, report := Read([]byte("kind,account\ncustomer,10002000\n"), Options{Format: CSV, Policy: shipped(t), Now: today}); report.Clean() {
		t.Error("a file without a source was taken")
	}
}

func TestManyFaultsAreCountedAndNewSecretsAreFew(t *testing.T) {
	var b strings.Builder
	b.WriteString("kind,account,totp\n")
	for i := range MaxMade + 1 {
		fmt.Fprintf(&b, "customer,%08d,new\n", i)
	}
	if _, report := read(t, CSV, b.String()); len(report.Faults) != 1 || !strings.Contains(report.Faults[0].Says, "split the file") {
		t.Errorf("%v", report.Faults)
	}
	b.Reset()
	b.WriteString("kind,account\n")
	for range MaxFaults + 7 {
		b.WriteString("customer,x\n")
	}
	if _, report := read(t, CSV, b.String()); len(report.Faults) != MaxFaults || report.MoreFaults < 7 {
		t.Errorf("%d faults and %d more", len(report.Faults), report.MoreFaults)
	}
}

func TestSubjectsAreRead(t *testing.T) {
	csv := "\ufeffkind,account,first_name,mobile,landline,email,verified_at,source,pin,totp,bound_at,payees\r\n" +
		"customer,10002000,\"Dana, née \"\"Roe\"\"\",+44 (7700) 900-917,+44 20 7946 0018,dana@example.com,2019-04-01,branch,random," + seed + ",2020-02-03,20003000@2021-05-04; 20003001\r\n,,,,,,,,,,,\r\n" +
		"employee,,,+447700900918,,,,,,,,\r\n"
	csv = strings.Replace(csv, "employee,,", "customer,10002001,", 1)
	parsed, report := read(t, CSV, csv)
	if parsed == nil {
		t.Fatal(report.Faults)
	}
	in := parsed.Import
	if len(in.Subjects) != 2 || in.Subjects[0].Record["first_name"] != `Dana, née "Roe"` || len(in.ContactPoints) != 4 || in.ContactPoints[0].Value != "447700900917" {
		t.Errorf("%+v", in)
	}
	day := time.Date(2019, 4, 1, 0, 0, 0, 0, time.UTC)
	if c := in.ContactPoints[1]; c.Value != "442079460018" || c.Source != "branch" || !c.VerifiedAt.Equal(day) || !report.Oldest.Equal(day) || report.Undated != 1 {
		t.Errorf("%+v, %+v", c, report)
	}
	if len(in.Authenticators) != 2 || len(in.Authenticators[0].Secret) != 0 || len(in.Authenticators[1].Secret) == 0 || in.Authenticators[1].BoundAt.Year() != 2020 || !in.Authenticators[0].BoundAt.IsZero() {
		t.Errorf("%+v", in.Authenticators)
	}
	if len(parsed.Make) != 1 || parsed.Make[0].Index != 0 || parsed.Make[0].Label != "customer 10002000" || fmt.Sprint(parsed.Make[0].Own) != "[10002000 447700900917 442079460018]" {
		t.Errorf("%+v", parsed.Make)
	}
	if len(in.Payees) != 2 || in.Payees[0].Account != "/20003000" || in.Payees[0].Since.Year() != 2021 || !in.Payees[1].Since.IsZero() {
		t.Errorf("%+v", in.Payees)
	}
	rows := []map[string]any{{"kind": "customer", "account": "10002000", "payees": []map[string]string{{"account": "20003000", "since": "2021-05-04"}},
		"mandates": []map[string]any{{"person": "customer 10002001", "types": []string{"payment"}, "limit": "5000", "until": "2027-01-01"}}}, {"kind": "customer", "account": "10002001", "mobile": nil}}
	text, _ := json.MarshalIndent(rows, "", " ")
	parsed, report = read(t, JSON, string(text))
	if parsed == nil || len(parsed.Import.Mandates) != 1 || parsed.Import.Mandates[0].Person != parsed.Import.Subjects[1].ID || parsed.Import.Payees[0].Account != "/20003000" {
		t.Errorf("%+v, %v", parsed, report.Faults)
	}
}

// FuzzRead: nothing panics; an import is given out exactly when there is no
// fault, and every part of it belongs to a subject of it and is good by the
// gate's own words.
func FuzzRead(f *testing.F) {
	f.Add([]byte("kind,account,mobile,pin\ncustomer,10002000,+447700900917,random\n"), true)
	f.Add([]byte("kind,account,totp\ncustomer,10002000,"+seed+"\ncustomer,\"1\n"), true)
	f.Add([]byte(`[{"kind":"customer","account":"10002000","payees":[{"account":"20003000"}]},{"kind":"contact","company":"Ω"}]`), false)
	f.Add([]byte(`[{"kind":"customer","account":"10002000","mandates":[{"person":"customer 10002000"}]}`), false)
	p := shipped(f)
	f.Fuzz(func(t *testing.T, data []byte, csv bool) {
		format := JSON
		if csv {
			format = CSV
		}
		parsed, report := Read(data, Options{Format: format, Source: "fuzz", Policy: p, Now: today})
		if (parsed != nil) != report.Clean() {
			t.Fatal("an import beside faults, or neither")
		}
		for _, fault := range report.Faults {
			if fault.Says == "" || fault.Line < 0 || fault.Line > strings.Count(string(data), "\n")+2 {
				t.Fatalf("fault %+v", fault)
			}
		}
		if parsed == nil {
			return
		}
		known := map[ringfence.SubjectID]bool{}
		for _, s := range parsed.Import.Subjects {
			known[s.ID] = true
			kind, ok := p.Kind(s.Kind)
			if !ok {
				t.Fatal("no kind")
			}
			for name, v := range s.Record {
				if typ, ok := kind.Field(name); !ok || gate.CheckValue(typ, v) != "" {
					t.Fatalf("%s is %q", name, v)
				}
			}
		}
		for _, c := range parsed.Import.ContactPoints {
			if !known[c.Subject] || c.Type != ringfence.ContactEmail && gate.CheckValue(policy.Type{Base: policy.BaseTN}, c.Value) != "" || c.VerifiedAt.After(today) {
				t.Fatalf("%+v", c)
			}
		}
		for i, a := range parsed.Import.Authenticators {
			made := false
			for _, m := range parsed.Make {
				made = made || m.Index == i
			}
			if !known[a.Subject] || made != (len(a.Secret) == 0) {
				t.Fatalf("authenticator %d", i)
			}
		}
	})
}
