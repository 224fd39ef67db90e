package bluez

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// The bounds of a Dial's steps. A page lasts 5.12 s; what is longer than these
// is no answer any more.
const (
	connectTime = 12 * time.Second // the whole of ConnectProfile: page, SDP, RFCOMM
	bondTime    = 12 * time.Second // Pair with a peer that was just there
	handTime    = 2 * time.Second  // from ConnectProfile's answer to NewConnection
)

// errNoSocket is a ConnectProfile that succeeded without a NewConnection: BlueZ
// took the profile for connected from before it was registered.
var errNoSocket = fmt.Errorf("%w: BlueZ handed over no socket", ErrRefused)

// Dial connects to the project's service at a peer, bonding with it first where
// that has not been done. One Dial is made at a time; others wait.
//
// The error wraps what State.Err tells, ErrAbsent, ErrNoService, ErrRefused or
// ErrBusy; or it is the context's. Nobody at that address is known after at most
// about 12 seconds.
func (c *Client) Dial(ctx context.Context, peer Address) (Socket, error) {
	if ctx.Err() != nil {
		return Socket{}, context.Cause(ctx)
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return Socket{}, context.Cause(ctx)
	}
	a, err := c.usable()
	if err != nil {
		return Socket{}, err
	}
	file, err := c.dial(ctx, a, peer)
	if err != nil {
		return Socket{}, err
	}
	return Socket{File: file, Local: a.address, Peer: peer}, nil
}

// usable is the adapter in use, if there is nothing wrong.
func (c *Client) usable() (adapter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.stateLocked().Err(); err != nil {
		return adapter{}, err
	}
	a, _ := c.tree.choose(c.cfg.Adapter)
	return a, nil
}

// The attempts of one Dial: as things are, after a pause or a clean-up, and
// without the bond.
const (
	attempts  = 3
	pauseTime = 700 * time.Millisecond
	partTime  = 3 * time.Second // for BlueZ on both sides to end the link
)

// dial tries again where that can help.
func (c *Client) dial(ctx context.Context, a adapter, peer Address) (*os.File, error) {
	for attempt := 1; ; attempt++ {
		d, err := c.find(ctx, a, peer)
		if err != nil {
			return nil, err
		}
		file, err := c.reach(ctx, d)
		if err == nil || ctx.Err() != nil || attempt == attempts {
			return file, err
		}
		if err := c.mend(ctx, a, d, err, attempt); err != nil {
			return nil, err
		}
	}
}

// mend takes away what may have kept an attempt from succeeding; it returns the
// error again when nothing can. A refusal may come from the end of the previous
// connection, which takes the peer a moment; one that lasts may mean that the
// peer has lost the bond.
func (c *Client) mend(ctx context.Context, a adapter, d device, err error, attempt int) error {
	wait := pauseTime
	switch {
	case errors.Is(err, errGone):
		// BlueZ dropped a peer that it knew for a short time only.
		c.update(func() { c.tree.remove(d.path, []string{deviceInterface}) })
	case errors.Is(err, errNoSocket), errors.Is(err, ErrBusy):
		c.abandon(ctx, d)
	case errors.Is(err, ErrNoService) && d.connected && attempt == 1:
		// BlueZ asks what a peer offers once in the life of a link, and then
		// answers from memory. This peer may have got its service back since,
		// and the attempts themselves keep the link from ending.
		c.abandon(ctx, d)
	case errors.Is(err, ErrRefused) && d.paired && attempt > 1:
		c.log.Info("the bond does not hold; making a new one", "device", d.path, "error", err)
		return c.forget(ctx, a, d.path)
	case errors.Is(err, ErrRefused) && attempt > 1:
		// The peer may have a bond that we have lost. It sees us go without a
		// connection, and takes that for the sign to remove it.
		c.abandon(ctx, d)
		wait = partTime
	case !errors.Is(err, ErrRefused):
		return err
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reach bonds if need be and connects. A peer that does not bond now, because
// its window is closed, may still be connected to.
func (c *Client) reach(ctx context.Context, d device) (*os.File, error) {
	if !d.paired {
		err := c.bond(ctx, d)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, ErrRefused)) {
			return nil, err
		}
		if err != nil {
			c.log.Debug("connecting without a bond", "device", d.path, "error", err)
		}
	}
	return c.connect(ctx, d)
}

// bond pairs without a code. The agent is there while that lasts and answers for
// this peer only.
func (c *Client) bond(ctx context.Context, d device) error {
	if err := c.registerAgent(ctx); err != nil {
		return err
	}
	// Also after the context's end.
	defer func() {
		if err := c.unregisterAgent(context.WithoutCancel(ctx)); err != nil {
			c.log.Debug("the agent stays", "error", err)
		}
	}()
	c.mu.Lock()
	c.expected[d.path] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.expected, d.path)
		c.mu.Unlock()
	}()
	bounded, cancel := context.WithTimeoutCause(ctx, bondTime, ErrRefused)
	defer cancel()
	err := explainPairing(bounded, c.call(bounded, d.path, deviceInterface+".Pair").Err)
	if bounded.Err() != nil {
		// There may be nothing left to cancel.
		_ = c.do(context.WithoutCancel(ctx), d.path, deviceInterface+".CancelPairing")
	}
	if err != nil {
		return fmt.Errorf("cannot bond: %w", err)
	}
	return nil
}

// connect has BlueZ connect the profile, which hands the socket to our object.
func (c *Client) connect(ctx context.Context, d device) (*os.File, error) {
	socket := make(chan *os.File, 1)
	c.mu.Lock()
	c.waiting[d.path] = socket
	c.mu.Unlock()
	file, err := c.connectProfile(ctx, d, socket)
	c.mu.Lock()
	delete(c.waiting, d.path)
	c.mu.Unlock()
	if err == nil {
		return file, nil
	}
	select {
	case late := <-socket:
		HangUp(late)
	default:
	}
	return nil, err
}

func (c *Client) connectProfile(ctx context.Context, d device, socket <-chan *os.File) (*os.File, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, connectTime, ErrAbsent)
	defer cancel()
	err := explain(bounded, c.call(bounded, d.path, deviceInterface+".ConnectProfile", ProfileUUID).Err)
	if bounded.Err() != nil {
		c.abandon(ctx, d)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	late := time.NewTimer(handTime)
	defer late.Stop()
	select {
	case file := <-socket:
		return file, nil
	case <-late.C:
		return nil, errNoSocket
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// abandon ends whatever BlueZ has or tries with the peer, so that the next
// attempt begins anew.
func (c *Client) abandon(ctx context.Context, d device) {
	err := c.do(context.WithoutCancel(ctx), d.path, deviceInterface+".Disconnect")
	if err != nil {
		c.log.Debug("nothing to disconnect", "device", d.path, "error", err)
	}
}
