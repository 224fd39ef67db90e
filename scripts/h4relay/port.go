package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// farewell is how long the radio gets to take leave of a controller before
	// the next one comes: it has to free the old address first.
	farewell = 200 * time.Millisecond
)

// errRadio means that the radio has ended, and nothing goes on without it.
var errRadio = errors.New("the radio has ended")

// port is the serial port of one guest, and its controller at the radio.
type port struct {
	radio string
	log   *slog.Logger
	ln    net.Listener
	turn  *sync.Mutex // one port changes its controller at a time

	controller *net.UnixConn // owned by serve once that runs
	links      links         // of this controller
}

// openPort listens on path and takes a controller at the radio.
func openPort(ctx context.Context, path, radio string, turn *sync.Mutex, log *slog.Logger) (*port, error) {
	p := &port{radio: radio, log: log, turn: turn}
	if err := p.takeController(ctx); err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		_ = p.controller.Close()
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	p.ln = ln
	return p, nil
}

func (p *port) close() {
	_ = p.ln.Close()
	_ = p.controller.Close()
}

// takeController gives the port a controller, in place of the one it has. The
// radio numbers addresses by the first free place, so the old controller has to
// be gone, and no other port may ask meanwhile.
func (p *port) takeController(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.controller != nil {
		p.dropController()
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", p.radio)
	if err != nil {
		return fmt.Errorf("cannot reach the radio: %w", err)
	}
	p.controller = c.(*net.UnixConn)
	time.Sleep(farewell) // the radio has made it before it makes another
	return nil
}

// dropController ends the controller's links and then the controller. The radio
// would not tell the peers of a controller that just goes.
func (p *port) dropController() {
	defer time.Sleep(farewell)
	defer p.controller.Close()
	commands := p.links.take()
	w, err := newWholeWriter(p.controller)
	if err != nil || len(commands) == 0 {
		return
	}
	_ = p.controller.SetDeadline(time.Time{})
	for _, command := range commands {
		if err := w.write(command); err != nil {
			p.log.Warn("cannot end a link", "reason", err)
		}
	}
	time.Sleep(farewell)
}

// serve passes packets on between one guest after another and the radio.
func (p *port) serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = p.ln.Close() })()
	for {
		guest, err := p.ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot wait for a guest: %w", err)
		}
		p.log.Info("guest has come")
		err = p.connect(ctx, guest)
		p.log.Info("guest has left", "reason", err)
		if errors.Is(err, errRadio) || ctx.Err() != nil {
			return contextOr(ctx, err)
		}
		if err := p.takeController(ctx); err != nil {
			return contextOr(ctx, err)
		}
	}
}

// contextOr returns err, but nil where the context has ended: then that is why.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// connect passes packets on in both directions until the guest leaves, the
// radio ends or the context does; it says which. The guest is closed then, and
// of the controller only the reading has ended.
func (p *port) connect(ctx context.Context, guest net.Conn) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	reasons := make(chan error, 2)
	wg.Go(func() { reasons <- p.toRadio(guest) })
	wg.Go(func() { reasons <- p.toGuest(guest) })
	var reason error
	select {
	case reason = <-reasons:
	case <-ctx.Done():
		reason = ctx.Err()
	}
	_ = guest.Close()
	_ = p.controller.SetDeadline(time.Now()) // ends the reader of a radio that is silent
	return reason
}

// toRadio hands on what the guest sends. What starts no packet is left out: a
// serial port may carry some of that while the guest's driver looks at it.
func (p *port) toRadio(guest io.Reader) error {
	w, err := newWholeWriter(p.controller)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(guest, maxPacket)
	for {
		packet, err := readPacket(r)
		if errors.Is(err, errNoPacket) {
			p.log.Warn("left out a byte of the guest", "reason", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read from the guest: %w", err)
		}
		if err := w.write(packet); err != nil {
			return fmt.Errorf("%w: %w", errRadio, err)
		}
	}
}

// toGuest hands on what the radio sends. The radio throws away what cannot be
// written at once, so it is read at once and kept until the guest takes it.
func (p *port) toGuest(guest io.Writer) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	kept := newBacklog()
	defer kept.end(io.ErrClosedPipe)
	wg.Go(func() {
		kept.end(radioReason(p.fromRadio(kept)))
	})
	_, err := io.Copy(guest, kept)
	_ = p.controller.SetReadDeadline(time.Now())
	return err
}

// fromRadio writes what the radio sends, packet by packet, and returns why it
// has ended.
func (p *port) fromRadio(kept io.Writer) error {
	r := bufio.NewReaderSize(p.controller, maxPacket)
	for {
		packet, err := readPacket(r)
		if err != nil {
			return err
		}
		p.links.observe(packet)
		if _, err := kept.Write(packet); err != nil {
			return err
		}
	}
}

// radioReason says why there is nothing more to read from the radio.
func radioReason(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return io.ErrClosedPipe // the guest has left
	}
	return fmt.Errorf("%w: %w", errRadio, err)
}
