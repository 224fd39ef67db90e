package device

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// TestFamiliarKnowsOneSession: another session, vault or head is to be asked about.
func TestFamiliarKnowsOneSession(t *testing.T) {
	var f familiar
	s, other := new(session.Session), new(session.Session)
	v, head, at := vault.VaultID{1}, vault.SnapshotID{2}, time.Unix(100, 0)
	if _, ok := f.knows(nil, vault.VaultID{}, vault.SnapshotID{}); ok {
		t.Error("knows before anything was told")
	}
	f.note(s, v, head, at)
	if since, ok := f.knows(s, v, head); !ok || !since.Equal(at) {
		t.Errorf("known %v since %v", ok, since)
	}
	for name, known := range map[string]bool{
		"session": second(f.knows(other, v, head)), "vault": second(f.knows(s, vault.VaultID{9}, head)), "head": second(f.knows(s, v, vault.SnapshotID{9})),
	} {
		if known {
			t.Errorf("knows another %s", name)
		}
	}
	f.forget()
	if _, ok := f.knows(s, v, head); ok {
		t.Error("has not forgotten")
	}
}

// TestLostAnswerToACommit gives a backup up when the reader has made it the newest, and has not
// said so: the next one finds that out, in the same session.
func TestLostAnswerToACommit(t *testing.T) {
	r := newRig(t)
	r.write("a", "contents")
	r.backUp()
	r.write("b", "more")
	ctx, giveUp := context.WithCancel(t.Context())
	given := make(chan struct{})
	r.reader.done = func() { giveUp(); <-given }
	if got, err := r.d.Backup(ctx, false); err == nil {
		t.Fatalf("got %+v", got)
	}
	r.reader.done = nil
	close(given)
	r.write("c", "more still")
	if got := r.backUp(); !got.Changed || got.ItemsSent == 0 {
		t.Errorf("got %+v", got)
	}
	if got := r.backUp(); got.Changed {
		t.Errorf("once more: %+v", got)
	}
}

func second[A, B any](_ A, b B) B { return b }

// TestMarks: what is put is there at once and after a restart; what is dropped goes with the
// backup that is the reference, and not before.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	st, err := openState(dir, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := newMarks(st, slog.New(slog.DiscardHandler))
	a, b := manifest.Digest{1}, manifest.Digest{2}
	m.PutMarks(a, []byte("marks of a"))
	m.PutMarks(b, make([]byte, marksHeld)) // flushes
	m.DropMarks(a)
	if string(m.Marks(a)) != "marks of a" || len(m.Marks(b)) != marksHeld {
		t.Error("what was put is not there")
	}
	m.settle(nil, false)
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	if st, err = openState(dir, time.Now(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer st.close()
	m = newMarks(st, slog.New(slog.DiscardHandler))
	if m.Marks(a) != nil || len(m.Marks(b)) != marksHeld {
		t.Error("what was dropped is there, or what was not is gone")
	}
	m.settle(&vault.DataSet{}, true)
	if m.Marks(b) != nil {
		t.Error("a full backup leaves marks of what it has not")
	}
}

// TestOthersAreToldOnce: what the session told a moment ago is not asked for again;
// what it told longer ago, or another one told, is.
func TestOthersAreToldOnce(t *testing.T) {
	r := newRig(t)
	theirs := []session.Vault{{ID: session.ID{1}, Owner: "an earlier phone"}}
	asks := func(what string, want bool) {
		t.Helper()
		asked := 0
		r.reader.vaults = func(list []session.Vault) []session.Vault { asked++; return list }
		got, err := r.d.others(t.Context(), r.session, vault.VaultID{})
		r.must(err)
		if (asked > 0) != want || (len(got) > 0) == want {
			t.Errorf("%s: asked %d times, got %d vaults", what, asked, len(got))
		}
	}
	asks("nothing told", true)
	r.d.strangers.note(r.session, theirs, time.Now())
	asks("told a moment ago", false)
	asks("once more", false)
	r.d.strangers.forget()
	asks("forgotten", true)
	r.d.strangers.note(r.session, theirs, time.Now().Add(-freshFor))
	asks("told long ago", true)
	r.d.strangers.note(r.session, theirs, time.Now())
	r.session = r.dial()
	asks("another session told", true)
}
