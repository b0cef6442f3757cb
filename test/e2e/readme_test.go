package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence/internal/lab"

	"github.com/ringfence/ringfence/test/port"
)

var (
	fenced  = regexp.MustCompile("(?s)```csv\n(.*?)```")
	command = regexp.MustCompile(`(?m)^    \$ \./ringfence (.*)$`)
	quoted  = regexp.MustCompile(`"[^"]*"|\S+`)
)

// TestReadme walks the path of the README: its commands in their order, its
// file, its buttons, its call. Only the ports are others, so that it can run
// beside anything.
func TestReadme(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	ports := map[string]string{}
	for _, p := range []string{"5070", "5072", "5080", "8443", "8444", "5090", "5091"} {
		ports[p] = fmt.Sprint(port.Free(t))
	}
	office := exchange(t, "office", nil) // Ada's softphone
	ports["5090"] = fmt.Sprint(office.Addr().Port())
	moved := func(text string) string {
		for from, to := range ports {
			text = strings.ReplaceAll(text, ":"+from, ":"+to)
		}
		return text
	}
	g := &gateway{t: t, set: settings{Dir: t.TempDir()}}
	g.write("customers.csv", fenced.FindSubmatch(readme)[1])
	var links []string
	served := false
	for _, m := range command.FindAllStringSubmatch(string(readme), -1) {
		args := quoted.FindAllString(m[1], -1)
		for i := range args {
			args[i] = moved(strings.Trim(args[i], `"`))
		}
		switch line := strings.Join(args[:2], " "); {
		case args[0] == "serve":
			served = true
			g.start(ctx)
		case line == "config init":
			g.mustRun(args...)
			text, err := os.ReadFile(g.path("ringfence.yaml"))
			must(t, err)
			g.write("ringfence.yaml", []byte(moved(string(text))))
		case line == "ledger verify":
			g.theCall(ctx, links, office, ports["5070"])
			g.stop(ctx)
			g.mustRun(args...)
		default:
			out := g.mustRun(args...)
			if line == "user invite" {
				links = append(links, strings.TrimSpace(out))
			}
		}
	}
	if !served || len(links) != 2 {
		t.Fatalf("the README serves: %v, and invites %d", served, len(links))
	}
}

// mustRun is run for commands that have to succeed.
func (g *gateway) mustRun(args ...string) string {
	g.t.Helper()
	out, code := g.run(args...)
	if code != 0 {
		g.t.Fatalf("ringfence %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// theCall is steps 2 to 4 as people do them: two passkeys, an import that both
// sign, a call that Ada answers.
func (g *gateway) theCall(ctx context.Context, links []string, office *lab.Exchange, sip string) {
	t := g.t.(*testing.T)
	t.Helper()
	ada, bo := openBrowser(ctx, t, ""), openBrowser(ctx, t, "")
	for i, b := range []*tab{ada, bo} {
		b.visit(links[i])
		b.press("Make a passkey")
		b.press("Sign in with a passkey")
		b.press("Import")
	}
	file, err := filepath.Abs(g.path("customers.csv"))
	must(t, err)
	ada.until("!!document.getElementById('i-file')", "no file can be chosen")
	ada.do(chromedp.SetUploadFiles("#i-file", []string{file}))
	ada.until("document.getElementById('i-text').value.length > 0", "the file was not read")
	ada.press("Try it")
	ada.press("Sign with a passkey")
	ada.see("Signed by Ada Example")
	bo.press("Import") // again: what waits is there now
	bo.press("Sign with a passkey")
	bo.see("First PIN")
	pin := bo.text("First PIN (\\d{6})")
	ada.press("Console")
	ada.see("No call for you now")

	outside := exchange(t, "softphone", nil)
	outside.Connect(netip.MustParseAddrPort("127.0.0.1:" + sip))
	desk := office.Person("Ada", "ada")
	line, err := outside.Person("Kit", "447700900123").Call(ctx, lab.Dial{To: customers})
	must(t, err)
	must(t, hearAndKey(ctx, line, "Please enter your eight digit customer number", "40718293"))
	must(t, hearAndKey(ctx, line, "Please enter your telephone PIN", pin))
	must(t, hearAndKey(ctx, line, "To speak to someone, press 0", "0"))
	ringing, err := desk.Rings(ctx)
	must(t, err)
	must(t, ringing.Answer(ctx))
	ada.see("Claims to be")
	ada.see("PIN only")
	line.Hangup()
	ada.see("No call for you now")
}

// text returns the first group of an expression in what the page shows.
func (b *tab) text(expression string) string {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf("document.body.innerText.match(/%s/)?.[1] ?? ''", expression)))
	if err != nil || out == "" {
		b.t.Fatalf("the page does not say %s: %v", expression, err)
	}
	return out
}
