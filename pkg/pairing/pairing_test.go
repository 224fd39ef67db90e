package pairing_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

func TestPair(t *testing.T) {
	var told keyring.Peer
	r, device := newReader(t, func(c *pairing.ReaderConfig) { c.OnPaired = func(p keyring.Peer) { told = p } }), newHost(t)
	r.Press()
	peer, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display))
	if err != nil {
		t.Fatal(err)
	}
	if peer.ID != r.id.ID() || peer.Name != "the reader" || peer.Address != "02:00:00:00:00:01" || !peer.PublicKey.Equal(r.id.Public()) {
		t.Errorf("paired with %+v", peer)
	}
	if stored, err := device.keys.Peer(r.id.ID()); err != nil || stored.Address != peer.Address {
		t.Errorf("the device stored %+v, %v", stored, err)
	}
	stored, err := r.keys.Peer(device.id.ID())
	if err != nil || stored.Name != "Robin's phone" || !stored.PublicKey.Equal(device.id.Public()) || told.ID != stored.ID {
		t.Errorf("the reader stored %+v, %v, and told of %+v", stored, err, told)
	}
	_, lines := r.display.read()
	if want := []string{"address 02:00:00:00:00:01", "passcode for Robin's phone", "paired Robin's phone"}; !slices.Equal(lines, want) {
		t.Errorf("the display showed %q; want %q", lines, want)
	}
	if r.Open() {
		t.Error("the window is still open")
	}
	if err := hello(t, device, r); err != nil {
		t.Errorf("the paired device is refused: %v", err)
	}
}

// TestPairAgain has one side, or both, forget the other.
func TestPairAgain(t *testing.T) {
	r, device := newReader(t), newHost(t)
	for name, forget := range map[string]func() error{
		"first":            func() error { return nil },
		"nobody forgets":   func() error { return nil },
		"a wiped phone":    func() error { return device.keys.RemovePeer(r.id.ID()) },
		"a forgetful one":  func() error { return r.keys.RemovePeer(device.id.ID()) },
		"nobody once more": func() error { return nil },
	} {
		if device.knows(t, r.host) {
			if err := forget(); err != nil {
				t.Fatal(err)
			}
		}
		r.Press()
		if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := hello(t, device, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if peers, err := r.keys.Peers(); err != nil || len(peers) != 1 {
		t.Errorf("the reader knows %d devices, %v", len(peers), err)
	}
}

func TestWrongPasscode(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	seen := make(map[string]bool)
	wrong := errs(r.display, 2)
	peer, err := pair(within(t), device, local.Dialer{Path: r.path}, func(ctx context.Context, n int, retry bool) (string, error) {
		if retry != (n > 1) {
			t.Errorf("prompt %d: retry is %v", n, retry)
		}
		p, _ := r.display.read()
		if seen[p] {
			t.Errorf("passcode %q came again", p)
		}
		seen[p] = true
		return wrong(ctx, n, retry)
	})
	if err != nil || peer.ID != r.id.ID() {
		t.Fatalf("the third entry: %v, %v", peer, err)
	}
	_, lines := r.display.read()
	show := "passcode for Robin's phone"
	want := []string{"address 02:00:00:00:00:01", show, "failed, 4 left", show, "failed, 3 left", show, "paired Robin's phone"}
	if !slices.Equal(lines, want) {
		t.Errorf("the display showed %q", lines)
	}
}

func TestFiveWrongPasscodes(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	entries := 0
	_, err := pair(within(t), device, local.Dialer{Path: r.path}, func(ctx context.Context, n int, retry bool) (string, error) {
		entries = n
		return errs(r.display, 99)(ctx, n, retry)
	})
	if !errors.Is(err, keyring.ErrWrongPasscode) || !errors.Is(err, session.ErrPairingClosed) || entries != 5 {
		t.Errorf("after %d entries: %v; want ErrWrongPasscode and ErrPairingClosed after 5", entries, err)
	}
	r.display.await(t, "failed, 0 left")
	if r.Open() || device.knows(t, r.host) || r.knows(t, device) {
		t.Error("the window is open or somebody is paired")
	}
	r.Press()
	if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err != nil {
		t.Errorf("after another press: %v", err)
	}
}

// TestMalformedEntries cost no guess, and come to an end.
func TestMalformedEntries(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	entries := []string{"", "12", "letters!"}
	_, err := pair(within(t), device, local.Dialer{Path: r.path}, func(ctx context.Context, n int, retry bool) (string, error) {
		if n <= len(entries) {
			return entries[n-1], nil
		}
		return reads(r.display)(ctx, n, retry)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, lines := r.display.read(); len(lines) != 3 {
		t.Errorf("the display showed %q", lines)
	}
	r.Press()
	_, err = pair(within(t), device, local.Dialer{Path: r.path}, func(context.Context, int, bool) (string, error) { return "nonsense", nil })
	if !errors.Is(err, keyring.ErrMalformedPasscode) {
		t.Errorf("nothing but nonsense: %v", err)
	}
}

func TestOwnerDeclines(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	declined := errors.New("declined")
	_, err := pair(within(t), device, local.Dialer{Path: r.path}, func(context.Context, int, bool) (string, error) { return "", declined })
	if !errors.Is(err, declined) || errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("got %v", err)
	}
	r.display.await(t, "address 02:00:00:00:00:01") // the passcode is void, the window open
	r.Cancel()
	r.display.await(t, "clear")
}

func TestClosedWindow(t *testing.T) {
	r, device := newReader(t), newHost(t)
	never := func(context.Context, int, bool) (string, error) {
		t.Error("the owner was asked")
		return "", nil
	}
	if _, err := pair(within(t), device, local.Dialer{Path: r.path}, never); !errors.Is(err, session.ErrPairingClosed) {
		t.Errorf("nobody pressed: %v", err)
	}
	wrongAddress := pairing.DeviceConfig{
		Identity: device.id, Dialer: local.Dialer{Path: r.path}, Prompter: &prompter{answer: never}, Peers: device.keys, Logger: quiet(),
	}
	if _, err := pairing.Pair(within(t), wrongAddress, link.Address{1}); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("another address: %v", err)
	}
	if r.knows(t, device) || device.knows(t, r.host) {
		t.Error("somebody is paired")
	}
}

// TestWindowClosesDuringPrompt has the owner type too late.
func TestWindowClosesDuringPrompt(t *testing.T) {
	r, device := newReader(t, func(c *pairing.ReaderConfig) { c.Window = 200 * time.Millisecond }), newHost(t)
	r.Press()
	_, err := pair(within(t), device, local.Dialer{Path: r.path}, func(context.Context, int, bool) (string, error) {
		p, _ := r.display.read()
		r.display.await(t, "clear")
		return p, nil
	})
	if !errors.Is(err, session.ErrPairingClosed) || r.Open() || r.knows(t, device) {
		t.Errorf("the late entry: %v", err)
	}
}

// TestPressRestarts voids the passcode of the pairing under way.
func TestPressRestarts(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	_, err := pair(within(t), device, local.Dialer{Path: r.path}, func(context.Context, int, bool) (string, error) {
		p, _ := r.display.read()
		r.Press()
		return p, nil
	})
	if err == nil || r.knows(t, device) || device.knows(t, r.host) {
		t.Errorf("the old passcode still counts: %v", err)
	}
	if !r.Open() {
		t.Error("the press did not open the window anew")
	}
}

func TestReaderGoesDuringPrompt(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	cut := &cutter{Dialer: local.Dialer{Path: r.path}, left: 1 << 30}
	_, err := pair(within(t), device, cut, func(ctx context.Context, _ int, _ bool) (string, error) {
		cut.kill()
		<-ctx.Done()
		return "", ctx.Err()
	})
	if !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("got %v; want ErrDisconnected", err)
	}
}

func TestPairCancelled(t *testing.T) {
	r, device := newReader(t), newHost(t)
	r.Press()
	ctx, cancel := context.WithCancel(within(t))
	_, err := pair(ctx, device, local.Dialer{Path: r.path}, func(ctx context.Context, _ int, _ bool) (string, error) {
		cancel()
		<-ctx.Done()
		return "", ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
}

// TestSimultaneousPairing lets one of two in.
func TestSimultaneousPairing(t *testing.T) {
	r, first, second := newReader(t), newHost(t), newHost(t)
	r.Press()
	_, err := pair(within(t), first, local.Dialer{Path: r.path}, func(ctx context.Context, n int, retry bool) (string, error) {
		_, err := pair(ctx, second, local.Dialer{Path: r.path}, reads(r.display))
		if !errors.Is(err, session.ErrBusy) {
			t.Errorf("the second: %v; want ErrBusy", err)
		}
		return reads(r.display)(ctx, n, retry)
	})
	if err != nil || !r.knows(t, first) || r.knows(t, second) || second.knows(t, r.host) {
		t.Errorf("the first: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	r := newReader(t)
	r.Press()
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 4 {
		device := newHost(t)
		wg.Go(func() {
			_, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
			if (err == nil) != r.knows(t, device) {
				t.Errorf("the two sides disagree: %v", err)
			}
		})
	}
	wg.Wait()
	if peers, err := r.keys.Peers(); err != nil || len(peers) != won || won != 1 {
		t.Errorf("%d devices won, the reader knows %d", won, len(peers))
	}
}

// TestExpiryOnAFakeClock shows that the window closes by itself after two
// minutes, and not before.
func TestExpiryOnAFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisplay()
		r, err := pairing.NewReader(pairing.ReaderConfig{
			Address: readerAddress, Key: bytes.Repeat([]byte{1}, 32), Peers: newHost(t).keys, Display: d, Logger: quiet(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(3 * time.Hour)
		r.Press()
		time.Sleep(time.Minute)
		r.Press() // restarts the window
		time.Sleep(2*time.Minute - time.Nanosecond)
		synctest.Wait()
		if !r.Open() {
			t.Error("the window closed too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if _, lines := d.read(); r.Open() || lines[len(lines)-1] != "clear" {
			t.Errorf("the window is open: %q", lines)
		}
		r.Press()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || r.Open() {
			t.Errorf("Run = %v, and the window is open: %v", err, r.Open())
		}
	})
}

// TestDelaysOnAFakeClock calls the reader as its server would.
func TestDelaysOnAFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		r, err := pairing.NewReader(pairing.ReaderConfig{
			Address: readerAddress, Key: h.id.Public(), Peers: h.keys, Display: newDisplay(), Logger: quiet(), Window: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.Press()
		p := session.PairingPeer{Key: h.id.Public(), Exporter: make([]byte, 32), Session: 1}
		for _, delay := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			if _, err := r.Start(t.Context(), p, "x"); err != nil {
				t.Fatal(err)
			}
			if delay > 0 {
				time.Sleep(delay - time.Nanosecond)
				if _, err := r.Exchange(t.Context(), p, make([]byte, 96)); !errors.Is(err, session.ErrLockedOut) {
					t.Errorf("a guess before %v: %v", delay, err)
				}
				time.Sleep(time.Nanosecond)
			}
			if _, err := r.Exchange(t.Context(), p, make([]byte, 96)); !errors.Is(err, session.ErrBadRequest) {
				t.Errorf("a guess after %v: %v", delay, err)
			}
		}
		if r.Open() {
			t.Error("five guesses did not close the window")
		}
	})
}

// TestDryRand has the source of passcodes fail.
func TestDryRand(t *testing.T) {
	r, device := newReader(t, func(c *pairing.ReaderConfig) { c.Rand = bytes.NewReader(nil) }), newHost(t)
	r.Press()
	if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err == nil {
		t.Error("paired without a passcode")
	}
	r.display.await(t, "failed, 0 left")
}

type fullPeers struct{}

func (fullPeers) PutPeer(keyring.Peer) error { return errors.New("disk full") }

// TestPinCannotBeStored on the reader: no acknowledgement, and so no pin on the
// device.
func TestPinCannotBeStored(t *testing.T) {
	r, device := newReader(t, func(c *pairing.ReaderConfig) { c.Peers = fullPeers{} }), newHost(t)
	r.Press()
	if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err == nil || device.knows(t, r.host) {
		t.Errorf("paired with a reader that stored nothing: %v", err)
	}
	r.display.await(t, "failed, 0 left")
	if r.Open() {
		t.Error("the window is open")
	}
}

func TestNewReaderRefuses(t *testing.T) {
	if _, err := pairing.NewReader(pairing.ReaderConfig{}); err == nil {
		t.Error("a reader without identity was made")
	}
	if _, err := pairing.NewReader(pairing.ReaderConfig{Key: make([]byte, 32), Rand: rand.Reader}); err == nil {
		t.Error("a reader without a display was made")
	}
}
