package pairing_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

// The kinds of message of a pairing, by who says them.
const (
	ke1 = iota
	ke2
	ke3
	messages
)

// lies are what somebody who holds the line does with a message, beside passing it on.
func lies() []string {
	return []string{"pass", "drop", "flip", "truncate", "extend", "reflect", "replay", "replay of another kind", "make up", "twice", "earlier"}
}

// wiretap is an attacker that sees and changes all messages, even those inside of TLS, and
// keeps what it has ever seen. It does not know the passcode.
type wiretap struct {
	*rapid.T
	seen [messages][][]byte
}

// hand returns what arrives in the place of a message, and whether that is what was sent.
// answers is the message that it answers.
func (w *wiretap) hand(kind int, sent, answers []byte) (arrives []byte, lie string) {
	lie = rapid.SampledFrom(append(slices.Repeat([]string{"pass"}, 20), lies()...)).Draw(w.T, "lie")
	defer func() { w.seen[kind] = append(w.seen[kind], sent) }()
	arrives = bytes.Clone(sent)
	switch lie {
	case "drop":
		return nil, lie
	case "flip":
		at := rapid.IntRange(0, len(sent)-1).Draw(w.T, "at")
		arrives[at] ^= 1 << rapid.IntRange(0, 7).Draw(w.T, "bit")
	case "truncate":
		arrives = arrives[:rapid.IntRange(0, len(sent)-1).Draw(w.T, "length")]
	case "extend":
		arrives = append(arrives, 0)
	case "reflect":
		arrives = bytes.Clone(answers)
	case "replay":
		arrives = w.old(kind, arrives)
	case "replay of another kind":
		arrives = w.old((kind+1+rapid.IntRange(0, 1).Draw(w.T, "kind"))%messages, arrives)
	case "make up":
		arrives = rapid.SliceOfN(rapid.Byte(), len(sent), len(sent)).Draw(w.T, "bytes")
	}
	return arrives, lie
}

// old is a message of an earlier run; without one, instead.
func (w *wiretap) old(kind int, instead []byte) []byte {
	if len(w.seen[kind]) == 0 {
		return instead
	}
	return bytes.Clone(rapid.SampledFrom(w.seen[kind]).Draw(w.T, "old"))
}

// modelled is a reader with the time in the hand of the test, and what it has stored.
type modelled struct {
	*rapid.T
	r       *pairing.Reader
	key     ed25519.PublicKey
	display *display
	now     time.Time
	stored  []keyring.Peer
	session uint64
}

// PutPeer implements pairing.Peers.
func (m *modelled) PutPeer(p keyring.Peer) error {
	m.stored = append(m.stored, p)
	return nil
}

// run is one pairing of an honest device, whose owner enters what is displayed, through a
// wiretap, or between two different TLS sessions.
func (m *modelled) run(w *wiretap, device ed25519.PublicKey) {
	relayed := rapid.Bool().Draw(m.T, "relayed")
	m.session++
	exporter := bytes.Repeat([]byte{byte(m.session)}, 32)
	at := session.PairingPeer{Key: device, Exporter: exporter, Session: m.session}
	ours := bytes.Clone(exporter)
	if relayed {
		ours[0] ^= 1
	}
	m.now = m.now.Add(time.Hour)
	m.r.Press()
	defer m.r.Gone(at)
	if _, err := m.r.Start(m.T.Context(), at, "x"); err != nil {
		m.Fatal(err)
	}
	before := len(m.stored)
	intact, calm, pinned := m.speak(w, at, m.proverAt(ours, device))
	switch stored := len(m.stored) > before; {
	case stored && (relayed || !intact):
		m.Errorf("the reader has pinned a device (relayed: %t, as said: %t)", relayed, intact)
	case pinned && !stored:
		m.Errorf("the device has pinned a reader that has not pinned it")
	case !relayed && calm && (!stored || !pinned):
		m.Errorf("an honest run did not pair: reader %t, device %t", stored, pinned)
	case stored && !m.stored[before].PublicKey.Equal(device):
		m.Errorf("the reader has pinned another key than the device's")
	}
	if passcode, _ := m.display.read(); passcode != "" && !calm {
		m.guessAgain(at, passcode)
	}
}

// guessAgain finds that what was tampered with has cost the passcode, if it got an answer.
func (m *modelled) guessAgain(at session.PairingPeer, passcode string) {
	before := len(m.stored)
	m.now = m.now.Add(time.Hour)
	if _, err := m.r.Exchange(m.T.Context(), at, m.proverAt(at.Exporter, at.Key).KE1()); err == nil && len(m.stored) > before {
		m.Errorf("a second guess at %s", passcode)
	}
}

func (m *modelled) proverAt(exporter []byte, device ed25519.PublicKey) *keyring.Prover {
	binding, err := keyring.Binding(exporter, device, m.key)
	if err != nil {
		m.Fatal(err)
	}
	passcode, _ := m.display.read()
	p, err := keyring.NewProver(strings.ReplaceAll(passcode, " ", ""), binding, keyring.NoStretch)
	if err != nil {
		m.Fatal(err)
	}
	return p
}

// speak is the conversation. intact: each message has arrived as it was said. calm: and once,
// in order, and nothing else did.
func (m *modelled) speak(w *wiretap, at session.PairingPeer, p *keyring.Prover) (intact, calm, pinned bool) {
	intact, calm = true, true
	deliver := func(kind int, sent, answers []byte, to func([]byte) ([]byte, error)) ([]byte, bool) {
		arrives, lie := w.hand(kind, sent, answers)
		intact = intact && bytes.Equal(arrives, sent)
		calm = calm && intact && lie != "twice" && lie != "earlier"
		if lie == "drop" {
			return nil, false
		}
		if lie == "earlier" { // the last message before its time
			_ = m.r.Finish(m.T.Context(), at, w.old(ke3, make([]byte, 64)))
		}
		answer, err := to(arrives)
		if lie == "twice" {
			again, err2 := to(arrives)
			if kind == ke1 && err == nil && err2 == nil {
				m.Errorf("one passcode has answered two KE1: %x", again)
			}
		}
		return answer, err == nil
	}
	reader := func(b []byte) ([]byte, error) { return m.r.Exchange(m.T.Context(), at, b) }
	said, ok := deliver(ke1, p.KE1(), make([]byte, 96), reader)
	if !ok {
		return intact, calm, false
	}
	proof, ok := deliver(ke2, said, p.KE1(), p.Finish)
	if !ok {
		return intact, calm, false
	}
	_, ok = deliver(ke3, proof, said, func(b []byte) ([]byte, error) { return nil, m.r.Finish(m.T.Context(), at, b) })
	return intact, calm, ok
}

// TestWiretap has an attacker drop, change, truncate, reflect, replay, reorder, repeat and
// make up messages at every step of several pairings in a row, and relay between two
// sessions. They are paired if it did nothing, and only if all messages arrived as they were said.
func TestWiretap(t *testing.T) {
	device, reader := newHost(t).id.Public(), newHost(t).id.Public()
	rapid.Check(t, func(t *rapid.T) {
		m := &modelled{T: t, key: reader, display: newDisplay(), now: time.Unix(1_700_000_000, 0)}
		var err error
		m.r, err = pairing.NewReader(pairing.ReaderConfig{
			Key: reader, Address: readerAddress, Peers: m, Display: m.display, Logger: quiet(), Now: func() time.Time { return m.now },
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &wiretap{T: t}
		for range rapid.IntRange(1, 4).Draw(t, "runs") {
			m.run(w, device)
		}
	})
}
