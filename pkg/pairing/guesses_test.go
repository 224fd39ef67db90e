package pairing_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

// TestTenThousandGuesses guesses as fast as it can, ten times at each passcode that is
// displayed, the last time with what is displayed itself: of each ten, one at most
// reaches the check, and nobody is paired.
func TestTenThousandGuesses(t *testing.T) {
	const guesses, each = 10_000, 10
	now, d := time.Unix(1_700_000_000, 0), newDisplay()
	peer := session.PairingPeer{Key: newHost(t).id.Public(), Exporter: make([]byte, 32), Session: 1}
	key := newHost(t).id.Public()
	r, err := pairing.NewReader(pairing.ReaderConfig{
		Key: key, Address: readerAddress, Peers: noPeers{t}, Display: d, Logger: quiet(), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	binding, err := keyring.Binding(peer.Exporter, peer.Key, key)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(passcode string) []byte {
		p, err := keyring.NewProver(strings.ReplaceAll(passcode, " ", ""), binding, keyring.NoStretch)
		if err != nil {
			t.Fatal(err)
		}
		return p.KE1()
	}
	var script [][]byte
	for n := range 64 {
		script = append(script, entry(fmt.Sprintf("%08d", n)))
	}
	made, shown, answered, most := 0, 0, 0, 0
	for made < guesses {
		if !r.Open() {
			now = now.Add(time.Hour)
			r.Press()
		}
		now = now.Add(30 * time.Second) // past the delay
		if _, err := r.Start(t.Context(), peer, "x"); err != nil {
			continue
		}
		passcode, _ := d.read()
		shown++
		got := 0
		for n := range each {
			ke1 := script[(made+n)%len(script)]
			if n == each-1 {
				ke1 = entry(passcode)
			}
			made++
			if _, err := r.Exchange(t.Context(), peer, ke1); err == nil {
				got++
			} else if !errors.Is(err, session.ErrWrongPasscode) && !errors.Is(err, session.ErrLockedOut) && !errors.Is(err, session.ErrPairingClosed) {
				t.Fatal(err)
			}
		}
		answered, most = answered+got, max(most, got)
		if err := r.Finish(t.Context(), peer, bytes.Repeat([]byte{7}, 64)); err == nil {
			t.Fatal("a made-up proof was taken")
		}
	}
	t.Logf("%d guesses at %d passcodes: %d reached the check, %d at one passcode", made, shown, answered, most)
	if most != 1 || answered > shown || answered < shown/2 || shown < guesses/each/2 {
		t.Errorf("%d guesses at %d passcodes: %d reached the check, %d at one passcode", made, shown, answered, most)
	}
}
