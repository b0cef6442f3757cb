package flows

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// meaning judges what a line says: names of the policy, kinds, texts.
func (k *linker) meaning(l *Line) {
	f := l.Scene.flow
	if l.For != "" {
		k.forAction(l)
	}
	switch l.Verb {
	case Language:
		if l.Arg != f.Language && !slices.Contains(f.Translations, l.Arg) {
			k.d.add(l.ArgAt, "L7", "translations: ["+clip(l.Arg)+"]", "the flow has no texts in %s", clip(l.Arg))
		}
	case Identify:
		k.identify(l)
	case Verify:
		k.verify(l)
	case Callback:
		if l.Arg != string(f.Subject) {
			k.d.add(l.ArgAt, "L7", "callback: "+string(f.Subject), "the flow is about a %s: nobody else is called back", f.Subject)
		}
		k.codes(l, PlaceCode, "say: We will call you back. Please note this code. {code}.")
		if l.With != nil && l.For != "" && l.For != Given && !slices.Contains(l.With.Actions, l.For) && l.With.Subject != Given {
			k.d.add(l.forPos, "L8", "actions: ["+l.For+"] in "+l.With.Name, "%s knows nothing of %s", l.With.Name, l.For)
		}
	case Approve:
		k.approve(l)
	case Confirm:
		k.confirm(l)
	case Connect:
		if _, ok := k.pol.Queue(l.Arg); !ok {
			var known []string
			for _, q := range k.pol.Queues() {
				known = append(known, q.Name)
			}
			k.d.add(l.ArgAt, "L7", meant(l.Arg, known), "the policy knows no queue %s", clip(l.Arg))
		}
	case Alert:
		if l.Text != nil && l.Text.varies {
			k.d.add(l.Text.Pos, "L8", "say it without values: the alarm names call and subject itself", "an alarm holds no values")
		}
	case Return:
		if f.Starts != StartsConsole && f.Starts != StartsCallback && !k.isRun(f) {
			k.d.add(l.Pos, "L9", "- hangup", "there is nobody to return to: %s starts by %s and no flow runs it", f.Name, f.Starts)
		}
	}
}

func (k *linker) isRun(f *Flow) bool {
	for _, g := range k.flows {
		for _, s := range g.Scenes {
			for _, l := range s.Lines {
				if l.Verb == Run && l.Arg == f.Name {
					return true
				}
			}
		}
	}
	return false
}

func (k *linker) forAction(l *Line) {
	f := l.Scene.flow
	if slices.Contains(f.Actions, l.For) {
		return
	}
	if l.For == Given {
		k.d.add(l.forPos, "L9", "subject: given, actions: [given]", "given needs a flow whose subject and action are given")
		return
	}
	if _, ok := k.pol.Action(l.For); ok {
		k.d.add(l.forPos, "L7", "actions: ["+l.For+"]", "%s does not stand in the flow's actions", l.For)
		return
	}
	k.d.add(l.forPos, "L7", meant(l.For, f.Actions), "the policy knows no action %s", clip(l.For))
}

func (k *linker) identify(l *Line) {
	f := l.Scene.flow
	kind, ok := k.pol.Kind(ringfence.SubjectKind(l.Arg))
	switch {
	case !ok:
		k.d.add(l.ArgAt, "L7", meant(l.Arg, kindWords(k.pol)), "the policy knows no subject %s", clip(l.Arg))
		return
	case string(f.Subject) != l.Arg:
		k.d.add(l.ArgAt, "L8", "identify: "+string(f.Subject), "the flow is about a %s", f.Subject)
	}
	if l.own[NotFound] {
		k.d.warn(l.Pos, "W2", "take not_found out: a stranger then goes on as nobody", "not_found tells strangers who is a %s", l.Arg)
	}
	if l.ByVar == nil {
		return
	}
	if field, ok := identifyBy(kind, l.ByVar); ok {
		l.By = field
		return
	}
	k.d.add(l.Pos, "L8", "identified_by: ["+l.ByVar.Name+"] in the policy", "the policy does not say that a %s is known by %s", l.Arg, l.ByVar.Name)
}

// identifyBy finds the field of the record that a variable is looked up in.
func identifyBy(kind policy.Kind, v *Var) (string, bool) {
	if slices.Contains(kind.IdentifiedBy, v.Name) {
		return v.Name, true
	}
	var fits []string
	for _, name := range kind.IdentifiedBy {
		if t, ok := kind.Field(name); ok && t.Base == v.Type.Base {
			fits = append(fits, name)
		}
	}
	if len(fits) == 1 {
		return fits[0], true
	}
	return "", false
}

func (k *linker) verify(l *Line) {
	if l.Text == nil {
		return
	}
	switch l.Arg {
	case "passkey":
		k.codes(l, PlaceCode, "say: We have sent a link to your phone. Open it and enter {code}.")
	case "pin":
		if l.For != "" {
			k.d.add(l.forPos, "L8", "take it out", "a PIN is a fact about the leg: it is for no action")
		}
	case "totp":
		a, ok := k.pol.Action(l.For)
		if ok && !strings.Contains(strings.ToLower(l.Text.Source), strings.ToLower(a.Says)) {
			k.d.add(l.Text.Pos, "L8", "say: To "+a.Says+", please enter the code that your authenticator app shows now.",
				"the caller is not told what the code is for: %s", a.Says)
		}
	}
}

// codes checks that a text speaks its code exactly once.
func (k *linker) codes(l *Line, place, hint string) {
	if l.Text == nil {
		return
	}
	switch n := len(l.Text.Codes); {
	case n == 0:
		k.d.add(l.Text.Pos, "L8", hint, "the text must speak the code: %s is missing", place)
	case n > 1:
		k.d.add(l.Text.Pos, "L8", "keep one", "the text speaks the code %d times", n)
	}
}

func (k *linker) approve(l *Line) {
	f := l.Scene.flow
	if l.For == "" {
		if len(f.Actions) != 1 {
			k.d.add(l.Pos, "L8", "for: "+oneOf(f.Actions), "which action is the colleague to approve?")
			return
		}
		l.For, l.forPos = f.Actions[0], l.Pos
	}
	if l.For == Given || l.Arg == Given {
		if l.For != l.Arg {
			k.d.add(l.ArgAt, "L8", "approve: given", "for a given action the group is given too")
		}
		return
	}
	a, ok := k.pol.Action(l.For)
	switch {
	case !ok:
	case a.Approvals.Group == "":
		k.d.add(l.ArgAt, "L7", "approvals: { group: "+clip(l.Arg)+", count: 1 } in the policy", "nobody can approve %s: the policy names no group", l.For)
	case a.Approvals.Group != l.Arg && !extraGroup(a, l.Arg):
		k.d.add(l.ArgAt, "L7", "approve: "+a.Approvals.Group, "%s is approved by %s, not by %s", l.For, a.Approvals.Group, clip(l.Arg))
	}
}

func extraGroup(a *policy.Action, group string) bool {
	return slices.ContainsFunc(a.Extra, func(e policy.Extra) bool { return e.Approvals.Group == group })
}

// confirm checks the read-back: every field whole, names last and framed, the
// yes-key at the end, 2 said to be no.
func (k *linker) confirm(l *Line) {
	if l.For == Given {
		if l.Text != nil {
			k.d.add(l.Text.Pos, "L8", "take say out", "confirm: given takes no text: the engine reads the action and every field")
		}
		return
	}
	a, ok := k.pol.Action(l.For)
	if !ok {
		return
	}
	if l.Text == nil {
		k.d.add(l.Pos, "L4", "say: "+readBack(a, l.For), "confirm needs say")
		return
	}
	k.readBack(l, a)
}

func (k *linker) readBack(l *Line, a *policy.Action) {
	t := l.Text
	namesBegun := false
	for i, p := range t.Pieces {
		switch {
		case p.Name.Kind == NameRecord || p.Name.Kind == NameVar:
			k.d.add(t.Pos, "L8", "read back {"+l.For+".…} only", "a read-back speaks the action's own fields, not {%s}", p.Name.Full)
		case p.Last > 0 && p.Name.Kind == NamePayload:
			k.d.add(t.Pos, "L8", "{"+p.Name.Full+"}", "a read-back speaks {%s} whole", p.Name.Full)
		case p.Name.Kind == NamePayload && p.Name.Type.Base == policy.BaseName:
			namesBegun = true
			if strings.HasPrefix(l.Scene.flow.Language, "en") && (i == 0 || !strings.Contains(t.Pieces[i-1].Fixed, "given to us")) {
				k.d.add(t.Pos, "L8", "The name given to us is {"+p.Name.Full+"}.", "say before {%s} that it is only what was given to us", p.Name.Full)
			}
		case p.Name.Kind == NamePayload && namesBegun:
			k.d.add(t.Pos, "L8", "say: "+readBack(a, l.For), "names come last: {%s} stands after one", p.Name.Full)
		}
	}
	for _, field := range a.Carries {
		full := l.For + "." + field.Name
		if !field.Type.Secret && !slices.ContainsFunc(t.Names, func(n Name) bool { return n.Full == full }) {
			k.d.add(t.Pos, "L8", "say: "+readBack(a, l.For), "the read-back does not speak {%s}", full)
		}
	}
	last := -1
	for i, p := range t.Pieces {
		if p.Code == PlaceYes {
			last = i
		} else if p.Name.Kind != NoName && last >= 0 {
			k.d.add(t.Pos, "L8", "say: "+readBack(a, l.For), "the yes-key comes at the end, after every field")
			return
		}
	}
	switch n := len(t.Codes); {
	case n == 0:
		k.d.add(t.Pos, "L8", "If that is right, press {yes}. If not, press 2.", "the text must speak the yes-key: {yes} is missing")
	case n > 1:
		k.d.add(t.Pos, "L8", "keep one", "the text speaks the yes-key %d times", n)
	case !strings.Contains(t.Pieces[len(t.Pieces)-1].Fixed, "2"):
		k.d.add(t.Pos, "L8", "If that is right, press {yes}. If not, press 2.", "say after {yes} that 2 means no")
	}
}

// readBack writes the text that reads an action back: what it does, every
// field whole, names last, then the keys. confirm: given speaks it.
func readBack(a *policy.Action, name string) string {
	var plain, names strings.Builder
	for _, f := range a.Carries {
		if f.Type.Secret {
			continue
		}
		if f.Type.Base == policy.BaseName {
			names.WriteString(" The name given to us is {" + name + "." + f.Name + "}.")
			continue
		}
		label := strings.ReplaceAll(f.Name, "_", " ")
		plain.WriteString(" " + strings.ToUpper(label[:1]) + label[1:] + ": {" + name + "." + f.Name + "}.")
	}
	return "You asked us to " + a.Says + "." + plain.String() + names.String() + " If that is right, press {yes}. If not, press 2."
}
