package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/scripts"
)

// withProfile writes the scripts of the profile into a folder beside the
// configuration, and returns the configuration that names it. Nothing that is
// there is overwritten.
func (c *configInitCmd) withProfile(text string) (string, error) {
	if c.Profile == "" {
		return text, nil
	}
	files, err := scripts.Profile(c.Profile)
	if err != nil {
		return "", &exitError{code: 2, text: fmt.Sprintf("--profile %s: there is %s", c.Profile, strings.Join(scripts.Profiles(), ", "))}
	}
	if c.Out == "-" {
		return "", &exitError{code: 2, text: "--profile writes a folder beside the configuration: name a file instead of -"}
	}
	dir := filepath.Join(filepath.Dir(c.Out), c.Profile)
	for _, there := range []string{c.Out, dir} {
		if _, err := os.Lstat(there); err == nil {
			return "", &exitError{code: 1, text: there + " is there already: move it away, or write into another folder"}
		}
	}
	if err := writeFiles(dir, files); err != nil {
		return "", err
	}
	return text + fmt.Sprintf("\nscripts: %q   # flows, policy and texts of the profile %s\n", dir, c.Profile), nil
}

// writeFiles writes a new folder.
func writeFiles(dir string, files map[string][]byte) error {
	for path, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
