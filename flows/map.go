package flows

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// MapOptions says what a map shows beside the flow itself.
type MapOptions struct {
	Cover  *Coverage // colours lines and edges that no test has taken
	Attack []Place   // lines of a counter-example, in order
	Bare   bool      // no style of its own: the page has one
}

// mapStyle is the look of a map on its own; a page brings its own.
const mapStyle = `<style>
svg.flow{font:12px ui-sans-serif,system-ui,sans-serif;background:#f6f7f9}
.box{fill:#fff;stroke:#8a93a3}.title{font-weight:600;fill:#16191f}.line{fill:#565d6b}.line.untested{fill:#b42318}
.line.attack{fill:#b42318;font-weight:600}.edge{fill:none;stroke:#8a93a3;stroke-width:1.4}.edge.back{stroke-dasharray:5 4}
.edge.untested{stroke:#b42318}.edge.attack{stroke:#b42318;stroke-width:2.4}.label{fill:#16191f}.behind{fill:#f6f7f9;opacity:.92}
.head{fill:#8a93a3}
@media (prefers-color-scheme:dark){svg.flow{background:#0f1216}.box{fill:#171b21;stroke:#6d7786}.title,.label{fill:#e9edf3}
.line{fill:#a0a9b8}.line.untested,.line.attack{fill:#ff8f85}.behind{fill:#0f1216}.edge{stroke:#6d7786}.edge.untested,.edge.attack{stroke:#ff8f85}}
</style>`

// Map is a flow laid out: what an SVG, or a page of its own, draws. Units are
// those of the SVG.
type Map struct {
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Boxes  []MapBox  `json:"boxes"`
	Edges  []MapEdge `json:"edges"`
}

// MapBox is one scene, in the order of the file.
type MapBox struct {
	X     int       `json:"x"`
	Y     int       `json:"y"`
	W     int       `json:"w"`
	H     int       `json:"h"`
	Scene string    `json:"scene"`
	Line  int       `json:"line"` // of the file
	Lines []MapLine `json:"lines"`
}

// MapLine is one line of a scene; X and Y are where its text begins.
type MapLine struct {
	X        int    `json:"x"`
	Y        int    `json:"y"`
	Text     string `json:"text"`
	Line     int    `json:"line"` // of the file
	Untested bool   `json:"untested,omitempty"`
	Attack   bool   `json:"attack,omitempty"`
}

// MapEdge is everything that leads from one scene to another: the path as SVG
// has it, and the middle of the foot of its label.
type MapEdge struct {
	From     string `json:"from"` // scene
	To       string `json:"to"`
	Path     string `json:"path"`
	Back     bool   `json:"back,omitempty"`
	Untested bool   `json:"untested,omitempty"`
	Attack   bool   `json:"attack,omitempty"`
	Label    string `json:"label,omitempty"`
	X        int    `json:"x"`
	Y        int    `json:"y"`
	W        int    `json:"w"` // of the label
}

// Map lays the flow out: a box for each scene with its lines, edges down the
// page, edges that run back at the side.
func (f *Flow) Map(o MapOptions) Map {
	g := arrange(f)
	attack := map[Place]bool{}
	for _, p := range o.Attack {
		attack[p] = true
	}
	g.mark(f, o)
	out := Map{Width: g.width, Height: g.height, Boxes: []MapBox{}, Edges: []MapEdge{}}
	ports := g.ports()
	backs := 0
	for i, e := range g.edges {
		if e.back {
			backs++
		}
		one := MapEdge{From: f.Scenes[e.from].Name, To: f.Scenes[e.to].Name, Back: e.back, Attack: e.attack, Untested: o.Cover != nil && !e.taken, Label: short(strings.Join(e.labels, ", "), 34)}
		one.Path, one.X, one.Y = g.route(e, ports[i], backs)
		one.W = 7*utf8.RuneCountInString(one.Label) + 8
		out.Edges = append(out.Edges, one)
	}
	for _, n := range g.nodes {
		if n.scene >= 0 {
			out.Boxes = append(out.Boxes, boxOf(f.Scenes[n.scene], n, o, attack))
		}
	}
	return out
}

func boxOf(s *Scene, n mapNode, o MapOptions, attack map[Place]bool) MapBox {
	out := MapBox{X: n.x, Y: n.y, W: n.w, H: n.h, Scene: s.Name, Line: s.Line, Lines: []MapLine{}}
	for i, l := range s.Lines {
		one := MapLine{X: n.x + 12, Y: n.y + titleRow + 12 + i*lineRow, Text: short(mapLine(l), 35), Line: l.Line, Attack: attack[l.Place()]}
		one.Untested = !one.Attack && o.Cover != nil && slices.ContainsFunc(l.Ways(), func(way string) bool { return o.Cover.Of(l, way) == 0 })
		out.Lines = append(out.Lines, one)
	}
	return out
}

// SVG draws the map of the flow; edges that run back are dashed.
func (f *Flow) SVG(o MapOptions) string {
	m := f.Map(o)
	var out, labels strings.Builder
	fmt.Fprintf(&out, `<svg class="flow" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Map of %s">`,
		m.Width, m.Height, m.Width, m.Height, html.EscapeString(f.Name))
	out.WriteString("\n")
	if !o.Bare {
		out.WriteString(mapStyle + "\n")
	}
	out.WriteString(`<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	for _, e := range m.Edges {
		fmt.Fprintf(&out, `<path class="edge%s" d="%s" marker-end="url(#head)"/>`+"\n", classes(e.Back, e.Untested, e.Attack), e.Path)
		if e.Label != "" {
			fmt.Fprintf(&labels, `<rect class="behind" x="%d" y="%d" width="%d" height="16" rx="3"/><text class="label" x="%d" y="%d" text-anchor="middle">%s</text>`+"\n",
				e.X-e.W/2, e.Y-12, e.W, e.X, e.Y, html.EscapeString(e.Label))
		}
	}
	for _, b := range m.Boxes {
		fmt.Fprintf(&out, `<g><rect class="box" x="%d" y="%d" width="%d" height="%d" rx="8"/><text class="title" x="%d" y="%d">%s</text>`,
			b.X, b.Y, b.W, b.H, b.X+12, b.Y+18, html.EscapeString(b.Scene))
		for _, l := range b.Lines {
			fmt.Fprintf(&out, `<text class="line%s" x="%d" y="%d">%s</text>`, classes(false, l.Untested, l.Attack), l.X, l.Y, html.EscapeString(l.Text))
		}
		out.WriteString("</g>\n")
	}
	out.WriteString(labels.String())
	out.WriteString("</svg>\n")
	return out.String()
}

func classes(back, untested, attack bool) string {
	out := ""
	if back {
		out += " back"
	}
	if untested {
		out += " untested"
	}
	if attack {
		out += " attack"
	}
	return out
}

func mapLine(l *Line) string {
	switch {
	case l.Text != nil && l.Verb != Tell && l.Verb != Confirm && l.Verb != Verify && l.Verb != Callback:
		return l.Verb.String() + " " + l.Text.Source
	case l.Verb == If:
		return "if " + l.Cond.String()
	case l.Verb == Go && l.Go != nil:
		return "go " + l.Go.name
	case l.Verb == Tell:
		return "tell clerk " + l.Text.Source
	case l.Verb == Callback:
		return "callback " + string(l.To) + " with " + l.with
	case l.Verb == Return:
		return "return " + l.Return.String()
	}
	return lineWords(l)
}

// short clips a text for the map.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// mark finds which edges were taken by tests and by an attack.
func (g *layout) mark(f *Flow, o MapOptions) {
	for _, e := range g.edges {
		from, to := f.Scenes[e.from], f.Scenes[e.to]
		if o.Cover != nil {
			for _, l := range from.Lines {
				e.taken = e.taken || lineTakes(l, to, func(way string) bool { return o.Cover.Of(l, way) > 0 })
			}
		}
		for i := 1; i < len(o.Attack); i++ {
			a, b := o.Attack[i-1], o.Attack[i]
			e.attack = e.attack || a.Flow == f.Name && b.Flow == f.Name && a.Scene == from.Name && b.Scene == to.Name && (a.Scene != b.Scene || b.Line <= a.Line)
		}
	}
}

func lineTakes(l *Line, to *Scene, taken func(string) bool) bool {
	leads := func(t *Target) bool { return t != nil && (t.Scene == to || t.Then == to) }
	if l.Verb == If && leads(l.Go) && taken("then") || l.Verb == Go && leads(l.Go) && taken("ok") {
		return true
	}
	for i, t := range l.Keys {
		if leads(t) && taken(keyNames[i]) {
			return true
		}
	}
	for o := Wrong; o < outcomeCount; o++ {
		if leads(l.Edge(o)) && taken(o.String()) {
			return true
		}
	}
	return false
}

// ports spreads the ends of edges along the boxes, in the order of where they
// go, so that parallel edges do not run into one another: where each leaves,
// where it arrives, and which step its label stands on.
func (g *layout) ports() [][3]int {
	out := make([][3]int, len(g.edges))
	for side := range 2 {
		byNode := map[int][]int{}
		for i, e := range g.edges {
			if !e.back {
				n := e.from
				if side == 1 {
					n = e.to
				}
				byNode[n] = append(byNode[n], i)
			}
		}
		for n, list := range byNode {
			middle := func(i int) int {
				next := g.edges[i].path[1]
				if side == 1 {
					next = g.edges[i].path[len(g.edges[i].path)-2]
				}
				return g.nodes[next].x + g.nodes[next].w/2
			}
			slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(middle(a), middle(b)) })
			for at, i := range list {
				out[i][side] = g.nodes[n].x + g.nodes[n].w*(at+1)/(len(list)+1)
				if side == 0 {
					out[i][2] = at % 3 // labels of neighbours stand at different heights
				}
			}
		}
	}
	return out
}

// route writes the path of an edge and says where its label stands.
func (g *layout) route(e *mapEdge, ports [3]int, back int) (d string, labelX, labelY int) {
	a, b := g.nodes[e.from], g.nodes[e.to]
	if e.back {
		right := g.width - margin - back*14
		y1, y2 := a.y+a.h/2, b.y+titleRow/2
		if e.from == e.to {
			y1 = a.y + a.h - 10
		}
		return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", a.x+a.w, y1, right+10, y1, right+10, y2, b.x+b.w, y2), right - 14, (y1 + y2) / 2
	}
	x, y := ports[0], a.y+a.h
	var out strings.Builder
	fmt.Fprintf(&out, "M%d %d", x, y)
	labelX, labelY = x, y+20+16*ports[2]
	for i, n := range e.path[1:] {
		node := g.nodes[n]
		nx, ny := node.x+node.w/2, node.y
		last := i == len(e.path)-2
		if last {
			nx = ports[1]
		}
		half := (ny - y) / 2
		fmt.Fprintf(&out, "C%d %d %d %d %d %d", x, y+half, nx, ny-half, nx, ny)
		if i == 0 {
			labelX += (nx - x) * (labelY - y) / max(1, ny-y) / 2
		}
		x, y = nx, ny
		if !last {
			y = node.y + node.h
			fmt.Fprintf(&out, "L%d %d", x, y)
		}
	}
	return out.String(), labelX, labelY
}

// Mermaid writes the flow for tools that draw Mermaid: red is what no test takes
// and, thick, the way of a counter-example.
func (f *Flow) Mermaid(o MapOptions) string {
	var out strings.Builder
	out.WriteString("flowchart TD\n")
	clean := strings.NewReplacer(`"`, "#quot;", "\n", " ", "{", "#123;", "}", "#125;", "<", "#lt;", ">", "#gt;").Replace
	for _, s := range f.Scenes {
		rows := []string{"<b>" + clean(s.Name) + "</b>"}
		for _, l := range s.Lines {
			rows = append(rows, clean(short(mapLine(l), 48)))
		}
		fmt.Fprintf(&out, "  s%d[\"%s\"]\n", s.Index, strings.Join(rows, "<br/>"))
	}
	edges := mapEdges(f)
	(&layout{edges: edges}).mark(f, o)
	var styles strings.Builder
	for i, e := range edges {
		switch {
		case e.attack:
			fmt.Fprintf(&styles, "  linkStyle %d stroke:#b42318,stroke-width:3px\n", i)
		case o.Cover != nil && !e.taken:
			fmt.Fprintf(&styles, "  linkStyle %d stroke:#b42318\n", i)
		}
		arrow := "-->"
		if e.back {
			arrow = "-.->"
		}
		if text := strings.Join(e.labels, ", "); text != "" {
			fmt.Fprintf(&out, "  s%d %s|\"%s\"| s%d\n", e.from, arrow, clean(text), e.to)
		} else {
			fmt.Fprintf(&out, "  s%d %s s%d\n", e.from, arrow, e.to)
		}
	}
	for _, s := range f.Scenes {
		if slices.ContainsFunc(o.Attack, func(p Place) bool { return p.Flow == f.Name && p.Scene == s.Name }) {
			fmt.Fprintf(&styles, "  style s%d stroke:#b42318,stroke-width:3px\n", s.Index)
		}
	}
	out.WriteString(styles.String())
	return out.String()
}
