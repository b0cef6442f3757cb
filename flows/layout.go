package flows

import (
	"cmp"
	"slices"
	"strings"
)

// mapEdge is everything that leads from one scene to another: one line on the
// map, labelled with every way that takes it.
type mapEdge struct {
	from, to int // scene indexes
	labels   []string
	back     bool
	taken    bool // coverage
	attack   bool // part of a counter-example
	path     []int
}

// mapNode is a scene, or a dummy where a long edge crosses a layer.
type mapNode struct {
	scene  int // -1 for a dummy
	layer  int
	x, y   int // left, top
	w, h   int
	up     []int
	down   []int
	order  float64
	weight int
}

type layout struct {
	nodes  []mapNode
	layers [][]int
	edges  []*mapEdge
	width  int
	height int
}

const (
	boxWidth  = 264
	titleRow  = 26
	lineRow   = 16
	boxPad    = 8
	layerGap  = 88
	nodeGap   = 36
	dummySize = 14
	margin    = 28
)

// mapEdges gathers the edges of a flow.
func mapEdges(f *Flow) []*mapEdge {
	byEnds := map[[2]int]*mapEdge{}
	var out []*mapEdge
	add := func(l *Line, t *Target, label string) {
		if t == nil || t.Scene == nil {
			return
		}
		put := func(to *Scene, label string) {
			key := [2]int{l.Scene.Index, to.Index}
			e := byEnds[key]
			if e == nil {
				e = &mapEdge{from: key[0], to: key[1], back: key[1] <= key[0]}
				byEnds[key] = e
				out = append(out, e)
			}
			if label != "" && !slices.Contains(e.labels, label) {
				e.labels = append(e.labels, label)
			}
		}
		put(t.Scene, label)
		if t.Scene.Index <= l.Scene.Index && t.Then != nil {
			put(t.Then, strings.TrimSpace(label+" then"))
		}
	}
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			switch l.Verb {
			case If:
				add(l, l.Go, "if "+l.Cond.String())
			case Go:
				add(l, l.Go, "")
			}
			for i, t := range l.Keys {
				add(l, t, keyNames[i])
			}
			for o := Wrong; o < outcomeCount; o++ {
				if t := l.Edge(o); t != nil {
					add(l, t, o.String())
				}
			}
		}
	}
	return out
}

// arrange places scenes in layers: forward edges run down, so the layer of a
// scene is its longest way from the top. Long edges get a dummy in every layer
// they cross, layers are ordered by the mean of their neighbours, and boxes are
// then pulled under what they hang from.
func arrange(f *Flow) *layout {
	g := &layout{edges: mapEdges(f)}
	for i, s := range f.Scenes {
		g.nodes = append(g.nodes, mapNode{scene: i, w: boxWidth, h: titleRow + lineRow*len(s.Lines) + boxPad, weight: 1})
	}
	for i := range f.Scenes { // forward edges have a greater index: one pass is enough
		for _, e := range g.edges {
			if e.from == i && !e.back {
				g.nodes[e.to].layer = max(g.nodes[e.to].layer, g.nodes[i].layer+1)
			}
		}
	}
	for _, e := range g.edges {
		g.dummies(e)
	}
	for i, n := range g.nodes {
		for len(g.layers) <= n.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[n.layer] = append(g.layers[n.layer], i)
	}
	g.sort()
	g.place()
	return g
}

func (g *layout) dummies(e *mapEdge) {
	e.path = []int{e.from}
	if e.back {
		e.path = append(e.path, e.to)
		return
	}
	for layer := g.nodes[e.from].layer + 1; layer < g.nodes[e.to].layer; layer++ {
		g.nodes = append(g.nodes, mapNode{scene: -1, layer: layer, w: dummySize, weight: 4})
		e.path = append(e.path, len(g.nodes)-1)
	}
	e.path = append(e.path, e.to)
	for i := 1; i < len(e.path); i++ {
		a, b := e.path[i-1], e.path[i]
		g.nodes[a].down = append(g.nodes[a].down, b)
		g.nodes[b].up = append(g.nodes[b].up, a)
	}
}

// sort orders each layer by the mean place of its neighbours, down and up in
// turn, and keeps the order with the fewest crossings.
func (g *layout) sort() {
	best, fewest := g.copyLayers(), g.crossings()
	for round := range 24 {
		down := round%2 == 0
		for i := range g.layers {
			layer := g.layers[i]
			if !down {
				layer = g.layers[len(g.layers)-1-i]
			}
			for at, n := range layer {
				near := g.nodes[n].up
				if !down {
					near = g.nodes[n].down
				}
				g.nodes[n].order = g.mean(near, at)
			}
			slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(g.nodes[a].order, g.nodes[b].order) })
		}
		if c := g.crossings(); c < fewest {
			best, fewest = g.copyLayers(), c
		}
	}
	g.layers = best
}

func (g *layout) copyLayers() [][]int {
	var out [][]int
	for _, l := range g.layers {
		out = append(out, slices.Clone(l))
	}
	return out
}

// mean is the mean place of neighbours in their layer; one without neighbours
// stays where it is.
func (g *layout) mean(near []int, at int) float64 {
	if len(near) == 0 {
		return float64(at)
	}
	sum := 0
	for _, n := range near {
		sum += slices.Index(g.layers[g.nodes[n].layer], n)
	}
	return float64(sum) / float64(len(near))
}

func (g *layout) crossings() int {
	count := 0
	for _, layer := range g.layers {
		var ends [][2]int
		for i, n := range layer {
			for _, d := range g.nodes[n].down {
				ends = append(ends, [2]int{i, slices.Index(g.layers[g.nodes[d].layer], d)})
			}
		}
		for i, a := range ends {
			for _, b := range ends[i+1:] {
				if (a[0]-b[0])*(a[1]-b[1]) < 0 {
					count++
				}
			}
		}
	}
	return count
}

// place gives every node its coordinates.
func (g *layout) place() {
	y := margin
	for _, layer := range g.layers {
		x, tallest := 0, 0
		for _, n := range layer {
			g.nodes[n].x, g.nodes[n].y = x, y
			x += g.nodes[n].w + nodeGap
			tallest = max(tallest, g.nodes[n].h)
		}
		for _, n := range layer {
			if g.nodes[n].scene < 0 {
				g.nodes[n].h = tallest
			}
		}
		y += tallest + layerGap
	}
	g.height = y - layerGap + margin
	for round := range 12 {
		for i := range g.layers {
			at, down := i, round%2 == 0
			if !down {
				at = len(g.layers) - 1 - i
			}
			g.pull(g.layers[at], down)
		}
	}
	g.settle()
}

// pull moves the nodes of a layer under the middle of their neighbours, those
// on long edges first, and never past one another.
func (g *layout) pull(layer []int, down bool) {
	order := slices.Clone(layer)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(g.nodes[b].weight, g.nodes[a].weight) })
	fixed := map[int]bool{}
	for _, n := range order {
		near := g.nodes[n].up
		if !down {
			near = g.nodes[n].down
		}
		if len(near) == 0 {
			continue
		}
		sum := 0
		for _, o := range near {
			sum += g.nodes[o].x + g.nodes[o].w/2
		}
		want := sum/len(near) - g.nodes[n].w/2
		at := slices.Index(layer, n)
		g.shift(layer, at, want, fixed)
		fixed[n] = true
	}
}

// shift moves one node towards want as far as fixed neighbours allow, pushing
// those that are not fixed.
func (g *layout) shift(layer []int, at, want int, fixed map[int]bool) {
	low, high := -1<<30, 1<<30
	space := 0
	for i := at - 1; i >= 0; i-- {
		space += g.nodes[layer[i]].w + nodeGap
		if fixed[layer[i]] {
			low = g.nodes[layer[i]].x + space
			break
		}
	}
	space = g.nodes[layer[at]].w + nodeGap
	for i := at + 1; i < len(layer); i++ {
		if fixed[layer[i]] {
			high = g.nodes[layer[i]].x - space
			break
		}
		space += g.nodes[layer[i]].w + nodeGap
	}
	g.nodes[layer[at]].x = max(low, min(high, want))
	for i := at - 1; i >= 0 && !fixed[layer[i]]; i-- {
		g.nodes[layer[i]].x = min(g.nodes[layer[i]].x, g.nodes[layer[i+1]].x-g.nodes[layer[i]].w-nodeGap)
	}
	for i := at + 1; i < len(layer) && !fixed[layer[i]]; i++ {
		g.nodes[layer[i]].x = max(g.nodes[layer[i]].x, g.nodes[layer[i-1]].x+g.nodes[layer[i-1]].w+nodeGap)
	}
}

// settle moves everything into the picture.
func (g *layout) settle() {
	least, most := 1<<30, 0
	for _, n := range g.nodes {
		least = min(least, n.x)
	}
	for i := range g.nodes {
		g.nodes[i].x += margin - least
		most = max(most, g.nodes[i].x+g.nodes[i].w)
	}
	backs := 0
	for _, e := range g.edges {
		if e.back {
			backs++
		}
	}
	g.width = most + margin + backs*14
	if backs > 0 {
		g.width += 60
	}
}
