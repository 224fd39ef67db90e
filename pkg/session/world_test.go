package session_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

const patience = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// reader is a Server on a unix socket, with a store in memory behind it.
type reader struct {
	key    ed25519.PrivateKey
	path   string
	server *session.Server
	store  *store
	peers  *peers
	window *window
	stop   func()
	log    *bytes.Buffer // of the server; read it after stop
}

func newReader(t *testing.T, change ...func(*session.ServerConfig)) *reader {
	t.Helper()
	r := &reader{key: newKey(t), peers: &peers{}, store: newStore(), window: &window{}, log: &bytes.Buffer{}}
	cfg := session.ServerConfig{
		Identity: r.key, Peers: r.peers, Provider: r.store, Pairing: r.window,
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if r.server, err = session.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	r.listen(t)
	return r
}

func (r *reader) listen(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "session")
	if err != nil {
		t.Fatal(err)
	}
	r.path = filepath.Join(dir, "s")
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopAccept := context.AfterFunc(ctx, func() { _ = l.Close() })
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ctx, func(context.Context) (net.Conn, error) { return l.Accept() }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
		stopAccept()
		_ = os.RemoveAll(dir)
	})
	t.Cleanup(r.stop)
}

func (r *reader) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// pair makes the reader know a device's key, as pairing would.
func (r *reader) pair(key ed25519.PrivateKey, id string) { r.peers.put(public(key), id) }

func (r *reader) dial(t *testing.T, key ed25519.PrivateKey) (*session.Session, error) {
	t.Helper()
	return session.Dial(within(t), r.connect(t), session.DialConfig{Identity: key, Pin: public(r.key)})
}

// session gives a paired device's session, closed when the test ends.
func (r *reader) session(t *testing.T) *session.Session {
	t.Helper()
	key := newKey(t)
	r.pair(key, "phone")
	return r.mustDial(t, key)
}

func (r *reader) mustDial(t *testing.T, key ed25519.PrivateKey) *session.Session {
	t.Helper()
	s, err := r.dial(t, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type peers struct {
	mu   sync.Mutex
	byID map[string]ed25519.PublicKey
}

func (p *peers) put(key ed25519.PublicKey, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = make(map[string]ed25519.PublicKey)
	}
	p.byID[id] = key
}

func (p *peers) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, id)
}

func (p *peers) Paired(key ed25519.PublicKey) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, k := range p.byID {
		if k.Equal(key) {
			return id, true
		}
	}
	return "", false
}

// window is a PairingProvider whose ceremony is to echo.
type window struct {
	mu   sync.Mutex
	open bool
	gone []uint64
	seen []session.PairingPeer
}

func (w *window) set(open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = open
}

func (w *window) Open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

func (w *window) Start(_ context.Context, p session.PairingPeer, device string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, p)
	return "reader of " + device, nil
}

func (w *window) Exchange(_ context.Context, _ session.PairingPeer, ke1 []byte) ([]byte, error) {
	if string(ke1) == "too early" {
		return nil, &session.LockedOut{RetryAfter: 1500 * time.Millisecond}
	}
	return append([]byte("re: "), ke1...), nil
}

func (w *window) Finish(_ context.Context, _ session.PairingPeer, ke3 []byte) error {
	if string(ke3) != "right" {
		return session.ErrWrongPasscode
	}
	return nil
}

func (w *window) Gone(p session.PairingPeer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = append(w.gone, p.Session)
}

// id makes a distinct ID.
func id(n int) session.ID {
	var out session.ID
	out[0], out[1], out[2], out[15] = byte(n), byte(n>>8), byte(n>>16), 1
	return out
}

func sequence(blobs ...session.Blob) iter.Seq2[session.Blob, error] {
	return func(yield func(session.Blob, error) bool) {
		for _, b := range blobs {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func content(n, size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i*7 + i>>8 + n)
	}
	return out
}

// readAll drains what a refused peer is sent.
func readAll(conn net.Conn) []byte {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b, _ := io.ReadAll(conn)
	return b
}
