package device

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
)

// brittleUp is a line that breaks after some bytes were written to it.
type brittleUp struct {
	net.Conn
	left *atomic.Int64
}

func (b brittleUp) Write(p []byte) (int, error) {
	if b.left.Add(-int64(len(p))) < 0 {
		return 0, errors.Join(net.ErrClosed, b.Close())
	}
	return b.Conn.Write(p)
}

// TestBackupGoesOnWithinABlob cuts the link in the middle of a large blob: what came of it
// is not sent again, and what is saved is what was read.
func TestBackupGoesOnWithinABlob(t *testing.T) {
	r := newRig(t)
	noise := make([]byte, 1_000_000)
	rand.NewChaCha8([32]byte{9}).Read(noise)
	r.write("large", string(noise))
	var left atomic.Int64
	r.line = func(c net.Conn) net.Conn { return brittleUp{c, &left} }
	left.Store(700_000)
	_ = r.session.Close()
	r.session = r.dial()
	if _, err := r.d.Backup(t.Context(), false); err == nil {
		t.Fatal("nothing was cut")
	}
	left.Store(1 << 30)
	r.session = r.dial()
	if saved := r.backUp(); saved.BytesSent > 450_000 {
		t.Errorf("%d bytes of 1 MB after 700 kB had come", saved.BytesSent)
	}
	r.replace()
	r.must(r.takeOver())
	if !r.has(0, "large", string(noise)) {
		t.Error("what is saved is not what was read")
	}
}

// TestUnsentFits goes on with nothing but the very bytes that were being sent, under the
// same keys.
func TestUnsentFits(t *testing.T) {
	was := session.Blob{ID: session.ID{1}, Data: []byte("sealed once")}
	anew := session.Blob{ID: session.ID{1}, Data: []byte("sealed anew")}
	begun := session.Want{Missing: true, Begun: 8, Sum: sha256.Sum256(was.Data[:8])}
	for name, tt := range map[string]struct {
		blob  session.Blob
		want  session.Want
		epoch uint64
		from  int
	}{
		"goes on":         {anew, begun, 3, 8},
		"nothing came":    {anew, session.Want{Missing: true}, 3, 0},
		"others came":     {anew, session.Want{Missing: true, Begun: 7, Sum: begun.Sum}, 3, 0},
		"more than it is": {anew, session.Want{Missing: true, Begun: 50}, 3, 0},
		"other keys":      {anew, begun, 4, 0},
		"another blob":    {session.Blob{ID: session.ID{2}, Data: anew.Data}, begun, 3, 0},
		"another length":  {session.Blob{ID: session.ID{1}, Data: []byte("x")}, begun, 3, 0},
	} {
		var u unsent
		u.hold(was, 3)
		got := u.goOn(tt.blob, tt.want, tt.epoch)
		if got.From != tt.from || got.From > 0 && string(got.Data) != string(was.Data) || got.From == 0 && string(got.Data) != string(tt.blob.Data) {
			t.Errorf("%s: %q from %d", name, got.Data, got.From)
		}
	}
}
