package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// textsFile, in a language's folder, lists further texts, one a line: what
// the engine itself says, and values that the shipped data speaks.
const textsFile = "TEXTS"

// spokenKeys are the keys of a flow, or of an action of the policy, whose
// value is spoken.
var spokenKeys = map[string]bool{"say": true, "ask": true, "choose": true, "reach": true, "says": true}

// readTexts returns all texts by language, in a fixed order.
func readTexts(root string) (map[string][]string, error) {
	texts := make(map[string][]string)
	flows, err := filepath.Glob(filepath.Join(root, "*.yaml"))
	if err != nil {
		return nil, err
	}
	sort.Strings(flows)
	for _, name := range flows {
		var flow struct {
			Language string `yaml:"language"`
		}
		node, err := readYAML(name, &flow)
		if err != nil {
			return nil, err
		}
		if flow.Language == "" {
			flow.Language = "en"
		}
		collect(node, func(text string) {
			texts[flow.Language] = append(texts[flow.Language], text)
		})
	}
	for _, s := range speakers {
		if err := readPrompts(root, s.language, texts); err != nil {
			return nil, err
		}
		b, err := os.ReadFile(filepath.Join(root, "audio", s.language, textsFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
				texts[s.language] = append(texts[s.language], line)
			}
		}
	}
	return texts, nil
}

// readPrompts adds the translations of prompts/LANGUAGE.yaml that have no
// recording of their own.
func readPrompts(root, language string, texts map[string][]string) error {
	var prompts []map[string]string
	_, err := readYAML(filepath.Join(root, "prompts", language+".yaml"), &prompts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range prompts {
		if t := p[language]; t != "" && p["audio"] == "" {
			texts[language] = append(texts[language], t)
		}
	}
	return nil
}

func readYAML(name string, into any) (*yaml.Node, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(b, &node); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := node.Decode(into); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &node, nil
}

// collect calls add with every spoken text below n, in the order of the file.
func collect(n *yaml.Node, add func(string)) {
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			collect(c, add)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if v.Kind == yaml.ScalarNode && spokenKeys[k.Value] {
			add(v.Value)
			continue
		}
		collect(v, add)
	}
}
