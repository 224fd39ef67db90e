package pairing_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

const patience = 20 * time.Second

func readerAddress() link.Address { return link.Address{0x02, 0, 0, 0, 0, 1} }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// host is a keyring and its identity.
type host struct {
	keys *keyring.Keyring
	id   keyring.Identity
}

func newHost(t *testing.T) host {
	t.Helper()
	k, err := keyring.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := k.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return host{k, id}
}

func (h host) knows(t *testing.T, o host) bool {
	t.Helper()
	_, err := h.keys.Peer(o.id.ID())
	if err != nil && !errors.Is(err, keyring.ErrNoPeer) {
		t.Fatal(err)
	}
	return err == nil
}

// Paired implements session.Peers.
func (h host) Paired(key ed25519.PublicKey) (string, bool) {
	p, err := h.keys.Peer(keyring.PeerID(key))
	return p.ID, err == nil && p.PublicKey.Equal(key)
}

// reader is a whole reader on a local link.
type reader struct {
	host
	*pairing.Reader
	display *display
	path    string
}

func newReader(t *testing.T, change ...func(*pairing.ReaderConfig)) *reader {
	t.Helper()
	r := &reader{host: newHost(t), display: newDisplay()}
	cfg := pairing.ReaderConfig{
		Name: "the reader", Address: readerAddress, Key: r.id.Public(), Peers: r.keys, Display: r.display,
		Logger: quiet(), FirstDelay: time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if r.Reader, err = pairing.NewReader(cfg); err != nil {
		t.Fatal(err)
	}
	r.path = serve(t, r.host, r.Reader)
	background(t, r.Reader.Run)
	return r
}

// serve puts a session.Server on a local link of its own.
func serve(t *testing.T, h host, p session.PairingProvider) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pair")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := local.Listen(local.Config{Path: path, Address: readerAddress(), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := session.NewServer(session.ServerConfig{
		Identity: h.id.Signer(), Peers: h, Provider: provider{}, Pairing: p, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, l.Run)
	background(t, func(ctx context.Context) error { return server.Serve(ctx, l.Accept) })
	return path
}

// background runs f until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("background: %v", err)
		}
	})
}

// provider answers Hello, which is all that these tests ask of a paired reader.
type provider struct{ session.Provider }

func (provider) Connected(session.Peer)           {}
func (provider) Disconnected(session.Peer, error) {}

func (provider) Hello(_ context.Context, p session.Peer, _ session.Hello) (session.Hello, error) {
	return session.Hello{Name: p.ID}, nil
}

// display remembers what was shown, and lets the owner read it.
type display struct {
	mu       sync.Mutex
	lines    []string
	passcode string
	changed  chan struct{}
}

func newDisplay() *display { return &display{changed: make(chan struct{})} }

func (d *display) show(line, passcode string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	d.passcode = passcode
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *display) ShowAddress(a link.Address) { d.show("address "+a.String(), "") }
func (d *display) ShowPaired(device string)   { d.show("paired "+device, "") }
func (d *display) Clear()                     { d.show("clear", "") }

func (d *display) ShowPasscode(p, device string) { d.show("passcode for "+device, p) }

func (d *display) ShowFailed(left int) {
	d.show("failed, "+string(rune('0'+left))+" left", "")
}

func (d *display) read() (passcode string, lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passcode, append([]string(nil), d.lines...)
}

// await waits until the last line shown is line.
func (d *display) await(t *testing.T, line string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		d.mu.Lock()
		last, changed := "", d.changed
		if len(d.lines) > 0 {
			last = d.lines[len(d.lines)-1]
		}
		d.mu.Unlock()
		if last == line {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("the display shows %q; want %q", last, line)
		}
	}
}

// owner is a Prompter: what the n-th prompt is answered with, the last answer
// over and over.
type owner func(ctx context.Context, n int, retry bool) (string, error)

type prompter struct {
	answer owner
	n      int
}

func (p *prompter) PairingPasscode(ctx context.Context, retry bool) (string, error) {
	p.n++
	return p.answer(ctx, p.n, retry)
}

// reads is an owner that reads the display.
func reads(d *display) owner {
	return func(context.Context, int, bool) (string, error) {
		p, _ := d.read()
		return p, nil
	}
}

// errs is an owner whose first wrong entries are wrong, and then reads.
func errs(d *display, wrong int) owner {
	return func(_ context.Context, n int, _ bool) (string, error) {
		p, _ := d.read()
		if n <= wrong {
			return other(p), nil
		}
		return p, nil
	}
}

// other is a passcode that differs in its last digit.
func other(p string) string {
	last := p[len(p)-1]
	return p[:len(p)-1] + string('0'+(last-'0'+1)%10)
}

// pair runs a device's pairing.
func pair(ctx context.Context, h host, d link.Dialer, o owner) (keyring.Peer, error) {
	return pairing.Pair(ctx, pairing.DeviceConfig{
		Name: "Robin's phone", Identity: h.id, Dialer: d, Prompter: &prompter{answer: o}, Peers: h.keys, Logger: quiet(),
	}, readerAddress())
}

// hello opens a session between two that should be paired.
func hello(t *testing.T, device host, r *reader) error {
	t.Helper()
	conn, err := local.Dialer{Path: r.path}.Dial(within(t), readerAddress())
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Dial(within(t), conn, session.DialConfig{Identity: device.id.Signer(), Pin: r.id.Public()})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Hello(within(t), session.Hello{})
	return err
}

// session gives a pairing session for what Pair would not do.
func (r *reader) session(t *testing.T, h host) *session.PairingSession {
	t.Helper()
	conn, err := local.Dialer{Path: r.path}.Dial(within(t), readerAddress())
	if err != nil {
		t.Fatal(err)
	}
	p, err := session.DialPairing(within(t), conn, session.DialConfig{Identity: h.id.Signer()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// prover makes the device's proof for a session.
func prover(t *testing.T, p *session.PairingSession, h host, passcode string) *keyring.Prover {
	t.Helper()
	binding, err := keyring.Binding(p.Exporter(), h.id.Public(), p.ReaderKey())
	if err != nil {
		t.Fatal(err)
	}
	pr, err := keyring.NewProver(strings.ReplaceAll(passcode, " ", ""), binding, keyring.NoStretch)
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

// cutter is a link that dies after so many bytes, both ways counted together.
type cutter struct {
	link.Dialer
	mu   sync.Mutex
	left int
	used int
	conn net.Conn // the last
}

// kill closes the link.
func (c *cutter) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.Close()
}

func (c *cutter) Dial(ctx context.Context, a link.Address) (net.Conn, error) {
	conn, err := c.Dialer.Dial(ctx, a)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return &cutConn{Conn: conn, c: c}, nil
}

// take says how many of n bytes still pass.
func (c *cutter) take(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.left)
	c.left -= n
	c.used += n
	return n
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if got := c.c.take(n); got < n {
		_ = c.Conn.Close()
		return got, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	n := c.c.take(len(p))
	if n < len(p) {
		_, _ = c.Conn.Write(p[:n])
		_ = c.Conn.Close()
		return n, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}
