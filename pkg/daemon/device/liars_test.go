package device

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// lie is what a reader does in the place of what it should.
type lie struct {
	what  string
	list  func(r *rig, list []session.Snapshot) []session.Snapshot
	get   func(r *rig, q session.BlobQuery, send func(session.Blob) error) error
	named bool // the owner asks for the snapshot before by its name, which the device has no copy of
	idle  bool // the lie is of no use: what is right comes back from what the device itself remembers
}

// exchange gives the answer's blobs changed.
func exchange(change func(session.Blob) session.Blob) func(*rig, session.BlobQuery, func(session.Blob) error) error {
	return func(r *rig, q session.BlobQuery, send func(session.Blob) error) error {
		for _, id := range q.IDs {
			data, err := r.honestly(q.Vault, id)
			if err != nil {
				return err
			}
			if err := send(change(session.Blob{ID: id, Data: data})); err != nil {
				return err
			}
		}
		return nil
	}
}

// honestly gives a blob as the honest reader has it.
func (r *rig) honestly(id session.ID, blob session.ID) (data []byte, err error) {
	err = r.reader.Daemon.Get(r.Context(), r.peer(), session.BlobQuery{Vault: id, IDs: []session.ID{blob}}, func(b session.Blob) error {
		data = bytes.Clone(b.Data)
		return nil
	})
	return data, err
}

// peer is this device, as the reader knows it.
func (r *rig) peer() session.Peer {
	r.Helper()
	id, err := r.d.keys.Identity()
	r.must(err)
	return session.Peer{ID: id.ID(), Key: id.Public(), Session: 1}
}

func lies() []lie {
	before := func(change func(s *session.Snapshot, newest session.Snapshot)) func(*rig, []session.Snapshot) []session.Snapshot {
		return func(r *rig, list []session.Snapshot) []session.Snapshot {
			for i := range list {
				if list[i].Seq == 1 {
					change(&list[i], r.newest)
				}
			}
			return list
		}
	}
	rolledBack := func(_ *rig, list []session.Snapshot) []session.Snapshot {
		return slices.DeleteFunc(list, func(s session.Snapshot) bool { return s.Seq > 1 })
	}
	return []lie{
		{what: "says that there is nothing", named: true, list: func(*rig, []session.Snapshot) []session.Snapshot { return nil }},
		{what: "offers an old snapshot as the newest", idle: true, list: rolledBack},
		{what: "serves another snapshot under that name", named: true, list: before(func(s *session.Snapshot, newest session.Snapshot) {
			s.Header = newest.Header
		})},
		{what: "serves a foreign header", named: true, list: before(func(s *session.Snapshot, _ session.Snapshot) {
			s.Header = append([]byte{1}, bytes.Repeat([]byte{7}, len(s.Header))...)
		})},
		{what: "serves a header cut short", named: true, list: before(func(s *session.Snapshot, _ session.Snapshot) { s.Header = s.Header[:vault.SealOverhead] })},
		{what: "says that there are no blobs", get: func(*rig, session.BlobQuery, func(session.Blob) error) error { return session.ErrNoData }},
		{what: "sends nothing, and says that it is all", get: func(*rig, session.BlobQuery, func(session.Blob) error) error { return nil }},
		{what: "changes a byte", get: exchange(func(b session.Blob) session.Blob { b.Data[len(b.Data)/2] ^= 1; return b })},
		{what: "cuts blobs short", get: exchange(func(b session.Blob) session.Blob { b.Data = b.Data[:len(b.Data)-1]; return b })},
		{what: "makes blobs up", get: exchange(func(b session.Blob) session.Blob { b.Data = bytes.Repeat([]byte{1}, len(b.Data)); return b })},
		{what: "sends blobs of the largest size", get: exchange(func(b session.Blob) session.Blob { b.Data = make([]byte, vault.MaxBlob); return b })},
		{what: "sends others than were asked for", get: exchange(func(b session.Blob) session.Blob { b.ID[0] ^= 1; return b })},
		{what: "sends blobs without end", get: func(r *rig, q session.BlobQuery, send func(session.Blob) error) error {
			for n := 0; ; n++ {
				if err := send(session.Blob{ID: session.ID{byte(n), byte(n >> 8), 1}, Data: make([]byte, 1<<20)}); err != nil {
					return err
				}
				if n > 256 {
					r.Errorf("%d MiB were taken that nobody asked for", n)
					return errors.New("enough")
				}
			}
		}},
	}
}

// tree is what lies below a directory, with contents.
func (r *rig) tree(dir string) string {
	r.Helper()
	var out strings.Builder
	r.must(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %v", path, info.Mode())
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %x", raw)
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

// TestLiars has a reader tell each lie to a device that wants a lost file back: nothing is
// written, in the user's data or beside them, what is known of the newest generation stays,
// memory is bounded, and a reader that is honest again gives the file back. An old snapshot is
// not taken for the newest: the device remembers a newer one, and restores that.
func TestLiars(t *testing.T) {
	for _, l := range lies() {
		t.Run(l.what, func(t *testing.T) {
			r := newRig(t)
			r.write("a", strings.Repeat("first ", 1000))
			first := r.backUp().Snapshot
			r.write("a", strings.Repeat("second ", 1000))
			r.write("b", "stays")
			r.backUp()
			list, err := r.reader.Daemon.Snapshots(t.Context(), r.peer(), session.SnapshotQuery{Vault: r.mine().ID, Limit: 1})
			r.must(err)
			r.newest = list[0]
			keys := r.d.cfg.Roots[0].Path
			lost := filepath.Join(keys, "a")
			r.must(os.Remove(lost))
			outside := filepath.Dir(keys)
			before, seq := r.tree(outside), r.d.book.current().Header().Seq

			req := busapi.ReprovisionRequest{Yes: true}
			if l.named {
				req.Snapshot = first
			}
			if l.list != nil {
				r.reader.list = func(list []session.Snapshot) []session.Snapshot { return l.list(r, list) }
			}
			if l.get != nil {
				r.reader.blobs = func(q session.BlobQuery, send func(session.Blob) error) error {
					return l.get(r, q, send)
				}
			}
			var start, end runtime.MemStats
			runtime.ReadMemStats(&start)
			got, err := r.d.Reprovision(t.Context(), req, nil)
			runtime.GC()
			runtime.ReadMemStats(&end)
			if refused := got.Restored == 0 && (err != nil || len(got.Failed) > 0); refused == l.idle {
				t.Errorf("%d restored, %d failed, %v", got.Restored, len(got.Failed), err)
			}
			if !l.idle && r.tree(outside) != before {
				t.Errorf("what is on the device has changed:\n%.2000s\nwas\n%.2000s", r.tree(outside), before)
			}
			if now := r.d.book.current().Header().Seq; now != seq {
				t.Errorf("the device takes %d for the newest, was %d", now, seq)
			}
			if grown := int64(end.HeapInuse) - int64(start.HeapInuse); grown > 64<<20 {
				t.Errorf("%d MiB more are in use", grown>>20)
			}
			t.Logf("| a reader that %s | %v | %d written |", l.what, err, got.Restored)

			r.reader.list, r.reader.blobs = nil, nil
			_ = r.session.Close()
			r.session = r.dial()
			back, err := r.d.Reprovision(t.Context(), busapi.ReprovisionRequest{Yes: true}, nil)
			raw, readErr := os.ReadFile(lost)
			if err != nil || readErr != nil || !strings.HasPrefix(string(raw), "second ") {
				t.Errorf("from an honest reader: %+v, %v, %v", back, err, readErr)
			}
		})
	}
}
