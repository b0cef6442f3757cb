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

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/policy"
)

// textsFile, in a language's folder, lists further texts, one a line: values
// that the shipped data speaks, and what no flow says.
const textsFile = "TEXTS"

// policyFile is no flow; of its actions the engine reads aloud what they do.
const policyFile = "policy.yaml"

// spokenKeys are the keys of a flow whose value is spoken.
var spokenKeys = map[string]bool{"say": true, "ask": true, "choose": true, "reach": true}

// readTexts returns all texts by language, in a fixed order.
func readTexts(root string) (map[string][]string, error) {
	texts := make(map[string][]string)
	files, err := filepath.Glob(filepath.Join(root, "*.yaml"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	for _, name := range files {
		if filepath.Base(name) == policyFile {
			continue
		}
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
	if texts["en"], err = readPolicy(filepath.Join(root, policyFile), texts["en"]); err != nil {
		return nil, err
	}
	for _, s := range speakers {
		for _, source := range flows.EngineTexts() {
			if t, ok := flows.EngineText(source, s.language); ok {
				texts[s.language] = append(texts[s.language], t)
			}
		}
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

// readPolicy adds the sentences in which the engine itself names an action and
// reads its fields back (flows: the texts of given lines).
func readPolicy(name string, texts []string) ([]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pol, ds := policy.Load(name, b)
	if policy.Failed(ds) {
		return nil, fmt.Errorf("%s: %v", name, ds[0])
	}
	for _, a := range pol.Actions() {
		texts = append(texts, "This is to "+a.Says+".", "You asked us to "+a.Says+".")
		for _, f := range a.Carries {
			if !f.Type.Secret && f.Type.Base != policy.BaseName {
				label := strings.ReplaceAll(f.Name, "_", " ")
				texts = append(texts, strings.ToUpper(label[:1])+label[1:]+":")
			}
		}
	}
	return append(texts, "The name given to us is {name}. If that is right, press {yes}. If not, press 2."), nil
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
