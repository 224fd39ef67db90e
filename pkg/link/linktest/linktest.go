package linktest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
)

// patience is how long the suite waits for what should happen at once.
const patience = 20 * time.Second

// Pair is a link under test. Its listener is served already, and closed by the
// maker's t.Cleanup.
type Pair struct {
	Dialer   link.Dialer
	Listener link.Listener
	// Absent is an address that nobody in range has.
	Absent link.Address
	// Transfer is how many bytes the large transfer sends each way; 0: 4 MiB.
	Transfer int
	// Connections is how many may be open at once; 0: 16.
	Connections int
	// Cycles is how often the suite connects, transfers and drops; 0: 100.
	Cycles int
}

// Run runs the suite; make gives each test a link of its own.
func Run(t *testing.T, make func(t *testing.T) Pair) {
	tests := []struct {
		name string
		test func(t *testing.T, p Pair)
	}{
		{"Connect", testConnect},
		{"AbsentAddress", testAbsentAddress},
		{"ClosedListener", testClosedListener},
		{"AcceptCancelled", testAcceptCancelled},
		{"DialCancelled", testDialCancelled},
		{"AcceptedOutlivesListener", testAcceptedOutlivesListener},
		{"EOFAfterData", testEOFAfterData},
		{"HalfClose", testHalfClose},
		{"CloseUnblocksRead", testCloseUnblocksRead},
		{"PeerGone", testPeerGone},
		{"ReadDeadline", testReadDeadline},
		{"WriteDeadline", testWriteDeadline},
		{"LargeTransfer", testLargeTransfer},
		{"ManyConnections", testManyConnections},
		{"Cycles", testCycles},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, make(t)) })
	}
}

// connect gives both ends of a new connection, closed when the test ends.
func connect(t *testing.T, p Pair) (device, reader net.Conn) {
	t.Helper()
	device, reader = connectBare(t, p)
	t.Cleanup(func() {
		_ = device.Close()
		_ = reader.Close()
	})
	return device, reader
}

func connectBare(t *testing.T, p Pair) (device, reader net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	accepted := make(chan result, 1)
	go func() {
		conn, err := p.Listener.Accept(ctx)
		accepted <- result{conn, err}
	}()
	device, err := p.Dialer.Dial(ctx, p.Listener.Address())
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatalf("Accept: %v", r.err)
	}
	guard(t, device)
	guard(t, r.conn)
	return device, r.conn
}

// guard makes a test that hangs fail.
func guard(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("SetDeadline: %v", err)
	}
}
