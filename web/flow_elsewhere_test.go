package web

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
)

// proposedByKey proposes the shipped flows with a text of the policy replaced,
// as "ringfence flow publish" does: by an enrolled key, on the shelf.
func (d *desktop) proposedByKey(p ringfence.Person, old, new string) *flows.Bundle {
	d.t.Helper()
	seed := sha256.Sum256([]byte(p.ID))
	key := ed25519.NewKeyFromSeed(seed[:])
	public := key.Public().(ed25519.PublicKey)
	d.put(p.Tenant, "signing_key", shelf.KeyID(public), map[string]string{"person": string(p.ID)},
		shelf.Key{ID: shelf.KeyID(public), Person: p.ID, Public: public, Status: ringfence.StatusActive})
	shipped, _ := flows.LoadDir(scripts.FS)
	files := shipped.Files()
	for i, f := range files {
		if f.Path == "policy.yaml" {
			files[i].Data = []byte(strings.Replace(string(f.Data), old, new, 1))
		}
	}
	b, list := flows.LoadFiles(files)
	if b == nil || b.HashText() == shipped.HashText() {
		d.t.Fatal("no other bundle", list)
	}
	msg := flows.ApprovalMessage(b.Hash())
	got, err := d.cfg.Bundles.(testShelf).Publish(d.t.Context(), p.Tenant, shelf.PublishRequest{Bundle: b, Share: shelf.Share{Percent: 5}, Audio: scripts.FS,
		Approval: shelf.Approval{Person: p.ID, Key: shelf.KeyID(public), Signature: ed25519.Sign(key, msg[:])}})
	if err != nil || !got.Proposed {
		d.t.Fatalf("%+v %v", got, err)
	}
	return b
}

func TestProposalsOfTheCommandLineAreShown(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar := d.person("Omar", ringfence.RoleOps)
	rita, avery := d.signIn(d.person("Rita", ringfence.RoleRisk)), d.signIn(d.person("Avery", ringfence.RoleAgent))
	b := d.proposedByKey(omar, "fresh: 15m", "fresh: 18m")
	at := "/v1/flows/proposals/" + b.HashText()
	if w := d.ask(rita, "GET", "/v1/flows/proposals/"+zeroHash, nil); w.Code != 404 {
		t.Errorf("what nobody proposed: %d", w.Code)
	}
	if w := d.ask(avery, "GET", at, nil); w.Code != 403 && w.Code != 404 {
		t.Errorf("an agent: %d", w.Code)
	}
	list := decode[struct{ Proposals []bundleView }](t, d.ask(rita, "GET", "/v1/flows", nil)).Proposals
	if len(list) != 1 || !list[0].Looser || list[0].Here || list[0].Mine || list[0].Share.Percent != 5 || time.Since(list[0].At) > time.Hour || len(list[0].By) != 1 || list[0].By[0] != "Omar" {
		t.Fatalf("%+v", list)
	}
	type proposal struct {
		By     string
		Share  BundleShare
		Signed []string
		Mine   bool
		Diff   flowDiffBody
		Check  flowCheckBody
		Tests  int
	}
	got := decode[proposal](t, d.ask(rita, "GET", at, nil))
	if got.By != "Omar" || got.Share.Percent != 5 || len(got.Signed) != 1 || got.Mine || !got.Check.Clean || got.Tests == 0 {
		t.Errorf("%+v", got)
	}
	if !got.Diff.Looser || len(got.Diff.Changes) == 0 || !got.Diff.Changes[0].Looser {
		t.Errorf("what is looser is not first: %+v", got.Diff.Changes)
	}
	if w := d.ask(rita, "POST", "/v1/flows/check", map[string]any{"set": map[string]any{"bundle": b.HashText()}}); w.Code != 200 {
		t.Errorf("check: %d %s", w.Code, w.Body)
	}
}

// hasAudio reports whether a recording is stored.
func (d *desktop) hasAudio(wav []byte) bool {
	d.t.Helper()
	sum := sha256.Sum256(wav)
	err := d.store.View(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Get(d.t.Context(), kindFlowAudio, hex.EncodeToString(sum[:]))
		return err
	})
	if err != nil && !isNotFound(err) {
		d.t.Fatal(err)
	}
	return err == nil
}

func TestRecordingsGoWithTheLastThatNamesThem(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar, rita := d.signIn(d.person("Omar", ringfence.RoleOps)), d.signIn(d.person("Rita", ringfence.RoleRisk))
	one, two := d.flowsDraft(omar, "one").Draft, d.flowsDraft(rita, "two").Draft
	base, _ := flows.LoadDir(scripts.FS)
	files := base.Files()
	shippedFile := files[slices.IndexFunc(files, func(f flows.File) bool { return f.Data == nil && strings.HasSuffix(f.Path, ".wav") })]
	shipped, err := scripts.FS.ReadFile(shippedFile.Path)
	if err != nil {
		t.Fatal(err)
	}
	// The shelf keeps the recordings of what it publishes under the same name.
	d.put(ringfence.DefaultTenant, kindFlowAudio, hex.EncodeToString(shippedFile.SHA[:]), nil, shipped)
	put := func(draft *flowDraftView, name string, wav []byte) {
		t.Helper()
		who := omar
		if draft == &two {
			who = rita
		}
		w := d.ask(who, "POST", "/v1/flows/drafts/"+draft.ID+"/audio", map[string]any{"version": draft.Version, "path": "audio/de/" + name + ".wav", "wav": wav})
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		*draft = decode[struct{ Draft flowDraftView }](t, w).Draft
	}
	shared, mine, old := tone(800), tone(900), tone(1000)
	put(&one, "shared", shared)
	put(&two, "other", shared)
	put(&one, "mine", old)
	put(&one, "mine", mine)
	if d.hasAudio(old) || !d.hasAudio(mine) {
		t.Error("what was recorded over is kept, or what took its place is not")
	}
	lost := tone(1100)
	if w := d.ask(omar, "POST", "/v1/flows/drafts/"+one.ID+"/audio", map[string]any{"version": 1000, "path": "audio/de/x.wav", "wav": lost}); w.Code != 409 || d.hasAudio(lost) {
		t.Errorf("of a refused change: %d, kept %v", w.Code, d.hasAudio(lost))
	}
	put(&one, "base", shipped)
	discard := func(who string) {
		t.Helper()
		cookie, id := omar, one.ID
		if who == "rita" {
			cookie, id = rita, two.ID
		}
		if w := d.ask(cookie, "POST", "/v1/flows/drafts/"+id+"/discard", nil); w.Code != 204 {
			t.Fatalf("discard: %d %s", w.Code, w.Body)
		}
	}
	discard("omar")
	if d.hasAudio(mine) || !d.hasAudio(shared) || !d.hasAudio(shipped) {
		t.Errorf("own %v, of another draft %v, of a bundle %v", d.hasAudio(mine), d.hasAudio(shared), d.hasAudio(shipped))
	}
	discard("rita")
	if d.hasAudio(shared) {
		t.Error("what no draft names is kept")
	}
}
