package pairing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

// relay is somebody in the middle: it pairs with the reader, and plays the
// reader to the device, passing on every message.
type relay struct {
	t        *testing.T
	attacker host
	reader   *reader
	upstream *session.PairingSession
}

func (m *relay) Open() bool { return true }

func (m *relay) Start(ctx context.Context, _ session.PairingPeer, device string) (string, error) {
	if m.upstream == nil {
		m.upstream = m.reader.session(m.t, m.attacker)
	}
	return m.upstream.Start(ctx, device)
}

func (m *relay) Exchange(ctx context.Context, _ session.PairingPeer, ke1 []byte) ([]byte, error) {
	ke2, err := m.upstream.Exchange(ctx, ke1)
	if remote, ok := errors.AsType[*session.RemoteError](err); ok && errors.Is(err, session.ErrLockedOut) {
		err = &session.LockedOut{RetryAfter: remote.RetryAfter}
	}
	return ke2, err
}

func (m *relay) Finish(ctx context.Context, _ session.PairingPeer, ke3 []byte) error {
	return m.upstream.Finish(ctx, ke3)
}

func (m *relay) Gone(session.PairingPeer) {}

// TestManInTheMiddle relays between two TLS sessions. The owner enters the right
// passcode, and still nobody is paired: the exporters differ.
func TestManInTheMiddle(t *testing.T) {
	r, device, attacker := newReader(t), newHost(t), newHost(t)
	path := serve(t, attacker, &relay{t: t, attacker: attacker, reader: r})
	r.Press()
	_, err := pair(within(t), device, local.Dialer{Path: path}, reads(r.display))
	if !errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("got %v; want ErrWrongPasscode", err)
	}
	for _, h := range []host{device, attacker, r.host} {
		if peers, err := h.keys.Peers(); err != nil || len(peers) != 0 {
			t.Errorf("%s is paired with %v, %v", h.id.ID(), peers, err)
		}
	}
	r.display.await(t, "failed, 0 left") // every passcode that was relayed cost a guess
}

// TestReplayedAndReorderedMessages plays one step after another that no honest
// device plays. None may pair, and each passcode answers one KE1.
func TestReplayedAndReorderedMessages(t *testing.T) {
	type attempt struct {
		p        *session.PairingSession
		r        *reader
		passcode string
		pr       *keyring.Prover
	}
	garbage := bytes.Repeat([]byte{7}, 64)
	attacks := map[string]func(t *testing.T, a attempt) error{
		"KE3 first": func(t *testing.T, a attempt) error { return a.p.Finish(within(t), garbage) },
		"KE3 of zeros": func(t *testing.T, a attempt) error {
			_, _ = a.p.Exchange(within(t), a.pr.KE1())
			return a.p.Finish(within(t), make([]byte, 64))
		},
		"garbage KE1": func(t *testing.T, a attempt) error {
			_, err := a.p.Exchange(within(t), bytes.Repeat([]byte{0xff}, 96))
			return errors.Join(err, a.p.Finish(within(t), garbage))
		},
		"truncated KE1": func(t *testing.T, a attempt) error {
			_, err := a.p.Exchange(within(t), a.pr.KE1()[:95])
			return errors.Join(err, a.p.Finish(within(t), garbage))
		},
		"empty messages": func(t *testing.T, a attempt) error {
			_, err := a.p.Exchange(within(t), nil)
			return errors.Join(err, a.p.Finish(within(t), nil))
		},
		"reflected KE1": func(t *testing.T, a attempt) error {
			_, err := a.p.Exchange(within(t), a.pr.KE1())
			return errors.Join(err, a.p.Finish(within(t), a.pr.KE1()))
		},
		"KE1 replayed before the right KE3": func(t *testing.T, a attempt) error {
			ke2, err := a.p.Exchange(within(t), a.pr.KE1())
			if err != nil {
				return err
			}
			if _, err := a.p.Exchange(within(t), a.pr.KE1()); !errors.Is(err, session.ErrWrongPasscode) {
				t.Errorf("the replayed KE1: %v", err)
			}
			ke3, err := a.pr.Finish(ke2)
			if err != nil {
				return err
			}
			return a.p.Finish(within(t), ke3) // right, and too late
		},
		"Start between KE2 and the right KE3": func(t *testing.T, a attempt) error {
			ke2, err := a.p.Exchange(within(t), a.pr.KE1())
			if err != nil {
				return err
			}
			if _, err := a.p.Start(within(t), "x"); err != nil {
				return err
			}
			ke3, err := a.pr.Finish(ke2)
			if err != nil {
				return err
			}
			return a.p.Finish(within(t), ke3)
		},
		"a wrong KE3, then the right one": func(t *testing.T, a attempt) error {
			ke2, err := a.p.Exchange(within(t), a.pr.KE1())
			if err != nil {
				return err
			}
			ke3, err := a.pr.Finish(ke2)
			if err != nil {
				return err
			}
			if err := a.p.Finish(within(t), garbage); !errors.Is(err, session.ErrWrongPasscode) {
				t.Errorf("the wrong KE3: %v", err)
			}
			return a.p.Finish(within(t), ke3)
		},
		"KE1 of another session": func(t *testing.T, a attempt) error {
			stranger := newHost(t)
			second := a.r.session(t, stranger)
			pr := prover(t, second, stranger, a.passcode)
			_, err := second.Exchange(within(t), pr.KE1())
			return err
		},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			r, device := newReader(t), newHost(t)
			r.Press()
			p := r.session(t, device)
			if _, err := p.Start(within(t), "x"); err != nil {
				t.Fatal(err)
			}
			passcode, _ := r.display.read()
			if err := attack(t, attempt{p, r, passcode, prover(t, p, device, passcode)}); err == nil {
				t.Error("the attack went through")
			}
			if peers, err := r.keys.Peers(); err != nil || len(peers) != 0 {
				t.Errorf("the reader is paired with %d devices, %v", len(peers), err)
			}
		})
	}
}

// TestOneGuessPerPasscode guesses until the window closes, many windows long, and
// counts how many guesses at a displayed passcode were answered.
func TestOneGuessPerPasscode(t *testing.T) {
	r, device := newReader(t), newHost(t)
	answered := make(map[string]int)
	for range 20 {
		r.Press()
		p := r.session(t, device)
		for r.Open() {
			if _, err := p.Start(within(t), "x"); err != nil {
				break
			}
			for range 3 {
				passcode, _ := r.display.read()
				if passcode == "" {
					break
				}
				pr := prover(t, p, device, other(passcode))
				if _, err := p.Exchange(within(t), pr.KE1()); err == nil {
					answered[passcode]++
				}
			}
		}
		_ = p.Close()
	}
	if len(answered) == 0 {
		t.Fatal("no guess was answered")
	}
	for passcode, n := range answered {
		if n > 1 {
			t.Errorf("%d guesses at one passcode (%s) were answered", n, passcode)
		}
	}
	if peers, _ := r.keys.Peers(); len(peers) != 0 {
		t.Error("a wrong guess paired")
	}
}

// TestLinkCutAnywhere cuts the link after so many bytes, from the first to the
// last. The device never pins a reader that has not pinned it, and after every
// cut the two can pair.
func TestLinkCutAnywhere(t *testing.T) {
	whole := &cutter{left: 1 << 30}
	r, device := newReader(t), newHost(t)
	whole.Dialer = local.Dialer{Path: r.path}
	r.Press()
	if _, err := pair(within(t), device, whole, reads(r.display)); err != nil {
		t.Fatal(err)
	}
	const steps = 24
	failures := 0
	for i := range steps {
		left := whole.used * i / steps
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			r, device := newReader(t), newHost(t)
			r.Press()
			_, err := pair(within(t), device, &cutter{Dialer: local.Dialer{Path: r.path}, left: left}, reads(r.display))
			if err != nil {
				failures++
			}
			if (err == nil) != device.knows(t, r.host) || device.knows(t, r.host) && !r.knows(t, device) {
				t.Errorf("%v; the device pinned: %v, the reader pinned: %v", err, device.knows(t, r.host), r.knows(t, device))
			}
			r.Press()
			if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err != nil {
				t.Errorf("after the cut: %v", err)
			}
		})
	}
	if failures < steps/2 {
		t.Errorf("only %d of %d cuts cut anything", failures, steps)
	}
}

// TestLinkLostAtEachStep hangs up between two steps, and looks at the display.
func TestLinkLostAtEachStep(t *testing.T) {
	const address, failed = "address 02:00:00:00:00:01", "failed, 0 left"
	steps := []struct {
		name string
		play func(t *testing.T, p *session.PairingSession, r *reader, h host)
		line string
	}{
		{"after the handshake", func(*testing.T, *session.PairingSession, *reader, host) {}, address},
		{"after Start", func(t *testing.T, p *session.PairingSession, _ *reader, _ host) { begin(t, p) }, address},
		{"after KE2", func(t *testing.T, p *session.PairingSession, r *reader, h host) { guess(t, p, r, h) }, address},
		{"after the last KE2", func(t *testing.T, p *session.PairingSession, r *reader, h host) {
			for range pairing.DefaultMaxGuesses {
				guess(t, p, r, h)
			}
		}, failed},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			r, device := newReader(t), newHost(t)
			r.Press()
			p := r.session(t, device)
			step.play(t, p, r, device)
			_ = p.Close()
			r.display.await(t, step.line)
			if passcode, _ := r.display.read(); passcode != "" {
				t.Error("a void passcode is displayed")
			}
			r.Press()
			if _, err := pair(within(t), device, local.Dialer{Path: r.path}, reads(r.display)); err != nil {
				t.Errorf("pairing anew: %v", err)
			}
		})
	}
}

func begin(t *testing.T, p *session.PairingSession) {
	t.Helper()
	if _, err := p.Start(within(t), "x"); err != nil {
		t.Fatal(err)
	}
}

// guess has a wrong passcode answered, waiting as long as the reader wants.
func guess(t *testing.T, p *session.PairingSession, r *reader, h host) {
	t.Helper()
	begin(t, p)
	passcode, _ := r.display.read()
	pr := prover(t, p, h, other(passcode))
	for {
		_, err := p.Exchange(within(t), pr.KE1())
		if err == nil {
			return
		}
		if !errors.Is(err, session.ErrLockedOut) {
			t.Fatal(err)
		}
	}
}

// FuzzMessages feeds a reader in the midst of a pairing what a device could
// send: nobody is ever paired by it.
func FuzzMessages(f *testing.F) {
	f.Add(make([]byte, 96), make([]byte, 64), byte(0))
	f.Add(bytes.Repeat([]byte{1}, 96), []byte{}, byte(1))
	f.Fuzz(func(t *testing.T, ke1, ke3 []byte, order byte) {
		key := bytes.Repeat([]byte{1}, 32)
		r, err := pairing.NewReader(pairing.ReaderConfig{Key: key, Address: readerAddress, Peers: noPeers{t}, Display: newDisplay(), Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		r.Press()
		p := session.PairingPeer{Key: key, Exporter: make([]byte, 32), Session: 1}
		for i := range 8 {
			switch order >> i & 1 {
			case 0:
				_, _ = r.Start(t.Context(), p, "x")
				_, _ = r.Exchange(t.Context(), p, ke1)
			case 1:
				if r.Finish(t.Context(), p, ke3) == nil {
					t.Error("a proof without the passcode was taken")
				}
			}
		}
	})
}

type noPeers struct{ t *testing.T }

func (n noPeers) PutPeer(keyring.Peer) error {
	n.t.Error("a key was stored")
	return nil
}
