package busapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// errLeft is why the context of a call ends when its caller leaves the bus.
var errLeft = errors.New("the caller left the bus")

// calls keeps count of the method calls that are running and ends those whose
// caller has left. Between open and close calls are let in.
type calls struct {
	mu       sync.Mutex
	base     context.Context // of the running server; nil lets nobody in
	bySender map[string]map[*call]struct{}
	running  sync.WaitGroup
	slots    chan struct{} // one is held by each call that was authorised
}

type call struct{ cancel context.CancelCauseFunc }

func newCalls() *calls {
	return &calls{
		bySender: make(map[string]map[*call]struct{}),
		slots:    make(chan struct{}, maxCalls),
	}
}

func (c *calls) open(base context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = base
}

// close lets no call in any more and waits for those that are in. The base
// context has ended already, so they are on their way out.
func (c *calls) close() {
	c.mu.Lock()
	c.base = nil
	c.mu.Unlock()
	c.running.Wait()
}

// begin lets a call in: its context, and what to do when it is over.
func (c *calls) begin(sender string) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base == nil || c.base.Err() != nil {
		return nil, nil, fmt.Errorf("%w: the daemon is not ready", ErrFailed)
	}
	if len(c.bySender[sender]) >= maxPerSender {
		return nil, nil, fmt.Errorf("%w: %d calls of this caller are running", ErrBusy, maxPerSender)
	}
	ctx, cancel := context.WithCancelCause(c.base)
	one := &call{cancel: cancel}
	if c.bySender[sender] == nil {
		c.bySender[sender] = make(map[*call]struct{})
	}
	c.bySender[sender][one] = struct{}{}
	c.running.Add(1)
	return ctx, func() { c.end(sender, one) }, nil
}

func (c *calls) end(sender string, one *call) {
	one.cancel(nil)
	c.mu.Lock()
	delete(c.bySender[sender], one)
	if len(c.bySender[sender]) == 0 {
		delete(c.bySender, sender)
	}
	c.mu.Unlock()
	c.running.Done()
}

// slot takes one of the places for authorised calls without waiting.
func (c *calls) slot() (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	default:
		return nil, fmt.Errorf("%w: %d calls are running", ErrBusy, maxCalls)
	}
}

// left ends the calls of a caller that is on the bus no more.
func (c *calls) left(sender string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.bySender[sender] {
		one.cancel(errLeft)
	}
}
