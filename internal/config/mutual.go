package config

// LineMutualCheck is the kind of a line on which whoever was rung finds out
// whether that call was ours.
const LineMutualCheck = "mutual-check"

// checkKind judges a line that no flow leads.
func (l Line) checkKind(p *problems) {
	key := "lines." + l.Name
	p.oneOf(key+".kind", l.Kind, LineMutualCheck)
	if l.Name == "" || len(l.Numbers) == 0 {
		p.add("%s: a line needs a name and numbers", key)
	}
	if l.Flow != "" || l.Fallback != "" || len(l.Hours) > 0 || l.Record.On || l.Record.Notice != "" {
		p.add("%s: a line of kind %s takes no flow, fallback, hours or record: it only answers", key, l.Kind)
	}
}
