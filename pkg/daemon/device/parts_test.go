package device

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// TestParts goes on with a blob that was cut short, and gets one whole whose halves do not
// fit together.
func TestParts(t *testing.T) {
	a, b := vault.BlobID{1}, vault.BlobID{2}
	data := map[session.ID][]byte{a: []byte("the blob called a"), b: []byte("and b")}
	cutAt := -1 // bytes of the first blob; less than 0 for no cut
	var asked []int
	get := func(_ context.Context, q session.BlobQuery, f func(session.Blob) error) error {
		asked = append(asked, len(q.Have))
		for i, id := range q.IDs {
			have := q.Have
			if i > 0 {
				have = nil
			}
			whole := append(slices.Clone(have), data[id][len(have):]...)
			if cutAt >= 0 {
				return &session.CutShort{Blob: session.Blob{ID: id, Data: whole[:cutAt]}, Err: session.ErrDisconnected}
			}
			if err := f(session.Blob{ID: id, Data: whole}); err != nil {
				return err
			}
		}
		return nil
	}
	p := parts{t.TempDir(), func(id vault.BlobID, sealed []byte) ([]byte, error) {
		if !bytes.Equal(sealed, data[id]) {
			return nil, vault.ErrSealBroken
		}
		return sealed, nil
	}}
	try := func(ids ...vault.BlobID) (got []string, err error) {
		asked = nil
		err = p.fetch(get, session.BlobQuery{})(t.Context(), ids, func(_ vault.BlobID, sealed []byte) error {
			got = append(got, string(sealed))
			return nil
		})
		return got, err
	}
	expect := func(what string, wantAsked []int, ids ...vault.BlobID) {
		t.Helper()
		got, err := try(ids...)
		var want []string
		for _, id := range ids {
			want = append(want, string(data[id]))
		}
		if err != nil || !slices.Equal(got, want) || !slices.Equal(asked, wantAsked) {
			t.Errorf("%s: %q, %v; asked to go on at %v", what, got, err, asked)
		}
	}
	expect("nothing was cut", []int{0}, a, b)
	for _, at := range []int{4, 9} {
		cutAt = at
		if _, err := try(a, b); !errors.Is(err, reprovision.ErrInterrupted) {
			t.Fatalf("cut: %v", err)
		}
	}
	cutAt = -1
	expect("another blob is wanted", []int{0}, b)
	expect("it goes on", []int{9}, a, b)
	data[a] = []byte("sealed anew by now") // as by another reader
	expect("the halves do not fit", []int{9, 0}, a, b)
	p.dir += "/gone"
	cutAt = 3
	if _, err := try(a); !errors.Is(err, reprovision.ErrInterrupted) {
		t.Errorf("without a directory: %v", err)
	}
}
