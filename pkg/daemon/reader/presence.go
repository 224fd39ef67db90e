package reader

import (
	"sync"

	"github.com/reprovision/reprovision/pkg/session"
)

// presence knows which devices are in range and carries events to them. It is
// safe for concurrent use.
type presence struct {
	mu        sync.Mutex
	sessions  map[string]int // of a device; two for the moment in which one replaces another
	listeners map[string]map[chan session.Event]bool
}

func newPresence() *presence {
	return &presence{sessions: make(map[string]int), listeners: make(map[string]map[chan session.Event]bool)}
}

func (p *presence) enter(device string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[device]++
}

func (p *presence) leave(device string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[device]--; p.sessions[device] <= 0 {
		delete(p.sessions, device)
	}
}

func (p *presence) here(device string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[device] > 0
}

// listen returns what is told to a device from now on, until stop is called.
func (p *presence) listen(device string) (events <-chan session.Event, stop func()) {
	c := make(chan session.Event, 8)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners[device] == nil {
		p.listeners[device] = make(map[chan session.Event]bool)
	}
	p.listeners[device][c] = true
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.listeners[device], c)
		if len(p.listeners[device]) == 0 {
			delete(p.listeners, device)
		}
	}
}

// tell sends an event to one device and says whether that listens. A device that
// is too slow to take it misses it: events are hints, and every call tells the
// truth again.
func (p *presence) tell(device string, e session.Event) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.listeners[device] {
		select {
		case c <- e:
		default:
		}
	}
	return len(p.listeners[device]) > 0
}

// tellAll sends an event to every device in range.
func (p *presence) tellAll(e session.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, all := range p.listeners {
		for c := range all {
			select {
			case c <- e:
			default:
			}
		}
	}
}
