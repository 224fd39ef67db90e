package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// spring is a Get that notes what it is asked for.
type spring struct {
	asked [][]session.ID
	gives func(q session.BlobQuery, f func(session.Blob) error) error
}

func (s *spring) get(_ context.Context, q session.BlobQuery, f func(session.Blob) error) error {
	s.asked = append(s.asked, slices.Clone(q.IDs))
	return s.gives(q, f)
}

func blob(n byte, size int) session.Blob {
	return session.Blob{ID: session.ID{n}, Data: make([]byte, size)}
}

// sends gives the blobs that are asked for, and nothing else.
func sends(q session.BlobQuery, f func(session.Blob) error) error {
	for _, id := range q.IDs {
		if err := f(session.Blob{ID: id, Data: make([]byte, 10)}); err != nil {
			return err
		}
	}
	return nil
}

// TestAhead takes blobs in another order than they come in, and asks only for what does not.
func TestAhead(t *testing.T) {
	ids := []session.ID{{2}, {1}, {9}, {3}}
	for name, tt := range map[string]struct {
		sent  []session.Blob
		why   error // of the end
		want  error
		asked [][]session.ID // in the usual way
	}{
		"all but one comes":       {sent: []session.Blob{blob(1, 5), blob(2, 5), blob(3, 5)}, asked: [][]session.ID{{{9}, {3}}}},
		"nothing comes":           {asked: [][]session.ID{ids}},
		"the reader gives up":     {sent: []session.Blob{blob(2, 5)}, why: session.ErrDamaged, asked: [][]session.ID{{{1}, {9}, {3}}}},
		"more than waits for us":  {sent: []session.Blob{blob(2, 5), blob(4, aheadMost)}, asked: [][]session.ID{{{1}, {9}, {3}}}},
		"cut within one of them":  {sent: []session.Blob{blob(2, 5)}, why: &session.CutShort{Blob: blob(1, 3), Err: session.ErrDisconnected}, want: session.ErrDisconnected},
		"cut within one not here": {sent: []session.Blob{blob(2, 5)}, why: &session.CutShort{Blob: blob(7, 3), Err: session.ErrDisconnected}, asked: [][]session.ID{{{1}, {9}, {3}}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := sendAhead(t.Context(), func(_ context.Context, _ session.BlobQuery, f func(session.Blob) error) error {
				for _, b := range tt.sent {
					if err := f(b); err != nil {
						return err
					}
				}
				return tt.why
			}, session.BlobQuery{})
			defer a.end()
			usual := spring{gives: sends}
			var got []session.ID
			err := a.get(usual.get)(t.Context(), session.BlobQuery{IDs: ids}, func(b session.Blob) error {
				got = append(got, b.ID)
				return nil
			})
			if !errors.Is(err, tt.want) || tt.want == nil && !slices.Equal(got, ids) {
				t.Errorf("got %v, %v; want %v, %v", got, err, ids, tt.want)
			}
			if !slices.EqualFunc(usual.asked, tt.asked, slices.Equal) {
				t.Errorf("asked for %v, want %v", usual.asked, tt.asked)
			}
		})
	}
}

// TestAheadOfNothing is one that was never begun.
func TestAheadOfNothing(t *testing.T) {
	var a *ahead
	usual := spring{gives: sends}
	err := a.get(usual.get)(t.Context(), session.BlobQuery{IDs: []session.ID{{1}}}, func(session.Blob) error { return nil })
	if err != nil || len(usual.asked) != 1 {
		t.Errorf("%v, asked %d times", err, len(usual.asked))
	}
	a.end()
}

// TestBeginAhead has a reader send the critical part of a data set, index and all, to a device
// that has nothing; one that has something asks for what it needs.
func TestBeginAhead(t *testing.T) {
	r := newRig(t)
	r.write("id_ed25519", "a key that somebody had")
	r.backUp()
	v, _, err := r.d.own()
	r.must(err)
	mine, _, err := r.d.find(t.Context(), r.session, v.id)
	r.must(err)
	run := &restoreRun{Daemon: r.d, session: r.session, vault: v}
	if run.begin(t.Context(), v, mine.Head); run.ahead != nil {
		t.Error("sends all of it to a device that has it")
	}
	r.must(os.Remove(filepath.Join(r.d.cfg.Roots[0].Path, "id_ed25519")))
	run.begin(t.Context(), v, mine.Head)
	if run.ahead == nil {
		t.Fatal("sends nothing")
	}
	defer run.ahead.end()
	ds := r.d.book.current()
	usual := spring{gives: sends}
	err = run.ahead.get(usual.get)(t.Context(), session.BlobQuery{IDs: plain(ds.Blobs(vault.Critical))}, func(b session.Blob) error {
		if len(b.Data) == 0 {
			t.Errorf("blob %x is empty", b.ID)
		}
		return nil
	})
	if err != nil || len(usual.asked) > 0 {
		t.Errorf("%v, and had to ask for %v", err, usual.asked)
	}
}
