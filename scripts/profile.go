package scripts

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed profiles
var profiles embed.FS

// NoPSTN is the profile in which nothing that a telephone network carries is a
// proof: no code by text message, no call-back, no number, no signature.
const NoPSTN = "no-pstn"

// shared are the flows that a profile takes, with their tests, from the shipped scripts as they
// are; all others are its own, in profiles.
var shared = map[string][]string{
	NoPSTN: {"accounts-line", "lost-everything", "step-up-colleague", "step-up-passkey"},
}

// Profiles lists the names that Profile knows.
func Profiles() []string { return []string{NoPSTN} }

// Profile returns the files of a complete set of scripts that differs from the
// shipped one, by path. The error is fs.ErrNotExist when no profile has the name.
func Profile(name string) (map[string][]byte, error) {
	if !slices.Contains(Profiles(), name) {
		return nil, fs.ErrNotExist
	}
	own, err := fs.Sub(profiles, "profiles/"+name)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	take := func(from fs.FS, path string) (err error) {
		out[path], err = fs.ReadFile(from, path)
		return err
	}
	for _, flow := range shared[name] {
		for _, path := range []string{flow + ".yaml", "tests/" + flow + ".yaml"} {
			if err := take(FS, path); err != nil {
				return nil, err
			}
		}
	}
	return out, fs.WalkDir(own, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return take(own, path)
	})
}
