package session

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Why a reader ends a session.
var (
	errReplaced = errors.New("the device has opened another session")
	errRevoked  = errors.New("the device is no longer paired")
	errTooLong  = errors.New("pairing took too long")
)

// serverConn is one authenticated connection on the reader.
type serverConn struct {
	*wire
	peer     Peer // without an ID while pairing
	pairing  bool
	exporter []byte
	bulk     chan struct{} // a place for each Put or Get that may run
	revoked  atomic.Bool
	gone     chan struct{} // closes when the session is over and done with
}

func (c *serverConn) pairingPeer() PairingPeer {
	return PairingPeer{Key: c.peer.Key, Exporter: c.exporter, Address: c.peer.Address, Session: c.peer.Session}
}

// revoke makes the session take no further call.
func (c *serverConn) revoke() { c.revoked.Store(true) }

// finish ends the session for a reason.
func (c *serverConn) finish(reason error) {
	c.end(reason)
	_ = c.Close()
}

// registry knows the sessions of a server: one for each device at most, and a
// few for pairing.
type registry struct {
	maxPaired, maxPairing int

	mu   sync.Mutex
	last uint64 // session number
	live map[uint64]*serverConn
}

func newRegistry(maxPaired, maxPairing int) *registry {
	return &registry{maxPaired: maxPaired, maxPairing: maxPairing, live: make(map[uint64]*serverConn)}
}

// add numbers a session and admits it. The device's older session is a dead link
// that has not noticed: it ends first.
func (r *registry) add(c *serverConn) error {
	for {
		old, err := r.tryAdd(c)
		if old == nil {
			return err
		}
		old.finish(errReplaced)
		<-old.gone
	}
}

// tryAdd returns the session that stands in the way.
func (r *registry) tryAdd(c *serverConn) (*serverConn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alike := 0
	for _, o := range r.live {
		if o.pairing != c.pairing {
			continue
		}
		if o.peer.Key.Equal(c.peer.Key) {
			return o, nil
		}
		alike++
	}
	if alike >= r.limit(c) {
		return nil, fmt.Errorf("%w: %d sessions", ErrBusy, alike)
	}
	r.last++
	c.peer.Session = r.last
	r.live[r.last] = c
	return nil, nil
}

func (r *registry) limit(c *serverConn) int {
	if c.pairing {
		return r.maxPairing
	}
	return r.maxPaired
}

func (r *registry) remove(c *serverConn) {
	r.mu.Lock()
	delete(r.live, c.peer.Session)
	r.mu.Unlock()
	close(c.gone)
}

// of returns the sessions of a paired device.
func (r *registry) of(peerID string) []*serverConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*serverConn
	for _, c := range r.live {
		if !c.pairing && c.peer.ID == peerID {
			found = append(found, c)
		}
	}
	return found
}
