package flows

import (
	"fmt"
	"strings"
)

// Read returns the flow as prose: the review sheet for people who do not read
// YAML.
func (f *Flow) Read() string {
	var out strings.Builder
	out.WriteString(title(f.Name) + "\n")
	if f.About != "" {
		out.WriteString(strings.Join(strings.Fields(f.About), " ") + "\n")
	}
	out.WriteString(startsWords(f) + "\n")
	for _, s := range f.Scenes {
		fmt.Fprintf(&out, "\n%s.", title(s.Name))
		for _, l := range s.Lines {
			out.WriteString(" " + l.read())
		}
		out.WriteString("\n")
	}
	return out.String()
}

func startsWords(f *Flow) string {
	var out string
	switch f.Starts {
	case StartsInbound:
		out = "It starts when a call arrives"
	case StartsConsole:
		out = "It starts when an agent presses a button on a live call"
	case StartsJob:
		out = "It starts when our own systems ask for a call to be made"
	case StartsCallback:
		out = "It starts when somebody answers a call back that another flow has rung"
	}
	switch {
	case f.Subject == Given:
		out += ", and is about the person and the action it was started with"
	case f.Subject != "":
		out += ", and is about a " + string(f.Subject)
	}
	if len(f.Actions) > 0 && f.Subject != Given {
		out += ". It may lead to: " + strings.Join(f.Actions, ", ")
	}
	return out + "."
}

// title writes a name as a heading: bank_change becomes Bank change.
func title(name string) string {
	words := strings.NewReplacer("_", " ", "-", " ").Replace(name)
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

func plain(name string) string { return strings.ReplaceAll(name, "_", " ") }

// read says one line: what it does, then what happens when it goes wrong.
func (l *Line) read() string {
	out := strings.NewReplacer(".”.", ".”", "?”.", "?”", "!”.", "!”").Replace(l.readVerb())
	for _, o := range l.Outcomes() {
		if t := l.Edge(o); t != nil {
			out += " " + l.readOutcome(o) + " " + readTarget(t) + "."
		}
	}
	return out
}

func (l *Line) readVerb() string {
	text := ""
	if l.Text != nil {
		text = strings.TrimSpace(l.Text.Source)
	}
	quoted := "“" + text + "”"
	switch l.Verb {
	case Say:
		if l.Whole {
			return "Say, and let nothing cut it: " + quoted + "."
		}
		return "Say: " + quoted + "."
	case Ask:
		return "Ask: " + quoted + ", and note the answer as " + plain(l.Into.Full) + "."
	case Choose:
		out := "Offer: " + quoted + "."
		for _, i := range keyOrder {
			if t := l.Keys[i]; t != nil {
				out += " On " + keyNames[i] + " " + readTarget(t) + "."
			}
		}
		return out
	case Confirm:
		if l.For == Given {
			return "Read back the action and every field of it, and wait for the yes-key."
		}
		return "Read back: " + quoted + ", and wait for the yes-key."
	case Tell:
		return "Tell the clerk: " + quoted + "."
	case Language:
		return "Go on in the language " + l.Arg + "."
	case Check:
		return "Look at the " + l.Arg + ", without asking anything."
	case Identify:
		return "They say they are the " + l.Arg + " with this " + plain(l.By) + "."
	case Verify:
		return "They prove it by " + proofWords(l.Arg) + forWords(l.For) + ": " + quoted + "."
	case Reach:
		return "Whoever answers hears: " + quoted + ", then our warning, and keys two fresh digits and the code."
	case Callback:
		return l.readCallback(quoted)
	case Approve:
		return "A colleague" + groupWords(l.Arg) + " has to agree" + forWords(l.For) + ", within " + spell(l.Wait) + "."
	case If:
		return "If " + readCondition(l.Cond.String()) + ", " + readTarget(l.Go) + "."
	case Go:
		return capital(readTarget(l.Go)) + "."
	case Run:
		return "Play " + plain(l.Arg) + "."
	case Return:
		return "Go back with " + l.Return.String() + "."
	case Release:
		return "Ask the gate to do it: " + plain(l.Arg) + "."
	case Connect:
		return "Put them through to " + plain(l.Arg) + "."
	case Alert:
		if l.Lock {
			return "Raise an alarm, and lock the subject's open releases: " + text + "."
		}
		return "Raise an alarm: " + text + "."
	}
	return "Hang up."
}

func (l *Line) readCallback(quoted string) string {
	on := map[Destination]string{ToMobile: "the mobile number on file", ToLandline: "the landline number on file", ToNumberOnFile: "the number on file"}[l.To]
	if l.HangUp {
		return "Say: " + quoted + ". Then hang up, ring " + on + forWords(l.For) + " and go on there with " + title(l.with) + "."
	}
	return "Say: " + quoted + ". While they hold, ring " + on + forWords(l.For) + " and play " + title(l.with) + " there."
}

func proofWords(method string) string {
	return map[string]string{"pin": "their PIN", "otp": "a code sent by text message", "totp": "the code of their authenticator app",
		"passkey": "a passkey on the page we send them"}[method]
}

func forWords(action string) string {
	switch action {
	case "":
		return ""
	case Given:
		return " for this very action"
	}
	return " for " + plain(action)
}

func groupWords(group string) string {
	if group == Given {
		return " of the approver group"
	}
	return " of " + plain(group)
}

func readCondition(src string) string {
	return strings.NewReplacer("&&", "and", "||", "or", "!=", "is not", "==", "is", ">=", "is at least", "<=", "is at most",
		">", "is more than", "<", "is less than", "!", "not ", "got.", "we have ").Replace(src)
}

func readTarget(t *Target) string {
	if t == nil || t.Scene == nil {
		return "stop"
	}
	if t.AtMost > 0 && t.Then != nil {
		times := fmt.Sprintf("at most %d times", t.AtMost)
		if t.AtMost == 1 {
			times = "once"
		}
		return "go back to " + sceneWords(t.Scene) + " (" + times + ", then go to " + sceneWords(t.Then) + ")"
	}
	return "go to " + sceneWords(t.Scene)
}

// sceneWords names a scene so that it reads as a heading: “To agent”.
func sceneWords(s *Scene) string { return "“" + title(s.Name) + "”" }

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (l *Line) readOutcome(o Outcome) string {
	tries := ""
	if l.Tries > 1 {
		tries = fmt.Sprintf(" %d times", l.Tries)
	}
	switch o {
	case Wrong:
		if l.Verb == Run || l.Verb == Callback {
			return "If that ends as wrong,"
		}
		return "If they key something else" + tries + ","
	case Silent:
		switch l.Verb {
		case Approve:
			return "If no colleague answers in time,"
		case Connect:
			return "If nobody takes the call,"
		case Callback:
			return "If nobody is reached,"
		}
		return "If they stay silent" + tries + ","
	case Missing:
		return "If they have none,"
	case Refused:
		switch l.Verb {
		case Approve:
			return "If the colleague refuses,"
		case Confirm:
			return "If they say no,"
		}
		return "If they did not ask for this,"
	case Denied:
		return "If the gate denies it,"
	case Busy:
		return "If that line is busy, or is the one they call from,"
	case Diverted:
		return "If that line is diverted,"
	case Later:
		return "If it is accepted but not done yet,"
	case Closed:
		return "If it is closed,"
	case Full:
		return "If the queue is full,"
	case NotFound:
		return "If nobody is found,"
	}
	return "If it cannot be done,"
}
