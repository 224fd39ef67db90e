package session

import (
	"context"
	"sync"
	"time"
)

// pace is how bulk data go on a link of some speed: so that what is queued before the
// link at one time is sent within some 80 ms, for a small call waits for just that. What a
// piece costs besides its bytes is about 50 bytes.
type pace struct {
	piece  int  // bytes of a blob in one message
	buffer int  // bytes that the link is to hold, where it can be told; the kernel doubles it
	free   bool // nothing is held back
}

// What the paces follow from: how long a piece may take, and half the buffer; from which
// speed on, in bytes a second, nothing is held back.
const (
	pieceTime  = 40 * time.Millisecond
	bufferTime = 20 * time.Millisecond
	fastLink   = 4_000_000
	leastPiece = 2 << 10
	mostBuffer = 64 << 10
)

// usualLink is taken for the speed before any is known: a radio's.
const usualLink = 220_000

func paceOf(speed float64) pace {
	if speed >= fastLink {
		return pace{piece: MaxPiece, buffer: mostBuffer, free: true}
	}
	return pace{piece: roundPiece(speed, pieceTime), buffer: roundPiece(speed, bufferTime)}
}

// roundPiece is what passes in a time, as a power of two of bytes.
func roundPiece(speed float64, in time.Duration) int {
	n := leastPiece
	for 2*n <= MaxPiece && float64(2*n) <= speed*in.Seconds() {
		n *= 2
	}
	return n
}

// How much has to be written, or how long that has to take, before the speed is judged; and
// after which pause what was written before counts no more: the link was not filled, and its
// buffers swallow what comes next.
const (
	judgedBytes = 256 << 10
	judgedTime  = 20 * time.Millisecond
	judgedPause = 20 * time.Millisecond
)

// maxHold bounds how long a piece waits for the one before: the call that it belongs to
// may have ended, and its pieces with it.
const maxHold = time.Second

// pacer measures how fast a link takes what is written, and holds bulk data back
// accordingly. It is safe for concurrent use.
type pacer struct {
	setBuffer func(bytes int) // nil where the link has no say in it

	mu    sync.Mutex
	pace  pace
	taken uint64        // bytes, by the link
	more  chan struct{} // closed and replaced when it has taken some
	bytes int           // since the speed was last judged
	busy  time.Duration // writing them
	last  time.Time     // when the last write ended
}

func newPacer(setBuffer func(int)) *pacer {
	p := &pacer{setBuffer: setBuffer, more: make(chan struct{})}
	p.set(paceOf(usualLink))
	return p
}

// set changes the pace; mu is held, or nobody else knows the pacer.
func (p *pacer) set(to pace) {
	if p.pace == to {
		return
	}
	p.pace = to
	if p.setBuffer != nil {
		p.setBuffer(to.buffer)
	}
}

// wrote takes note of a write to the link.
func (p *pacer) wrote(bytes int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken += uint64(bytes)
	close(p.more)
	p.more = make(chan struct{})
	now := time.Now()
	if now.Add(-took).Sub(p.last) > judgedPause {
		p.bytes, p.busy = 0, 0
	}
	p.last = now
	p.bytes += bytes
	p.busy += took
	if p.bytes >= judgedBytes || p.busy >= judgedTime {
		p.set(paceOf(float64(p.bytes) / max(p.busy, time.Microsecond).Seconds()))
		p.bytes, p.busy = 0, 0
	}
}

// piece is how many bytes of a blob go into the next message.
func (p *pacer) piece() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace.piece
}

// through sends so many bytes of bulk data and waits until the link has taken as many.
func (p *pacer) through(ctx context.Context, bytes int, send func() error) error {
	p.mu.Lock()
	due := p.taken + uint64(bytes)
	p.mu.Unlock()
	if err := send(); err != nil {
		return err
	}
	var enough <-chan time.Time
	for {
		p.mu.Lock()
		passed, more := p.pace.free || p.taken >= due, p.more
		p.mu.Unlock()
		if passed {
			return nil
		}
		if enough == nil {
			timer := time.NewTimer(maxHold)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-more:
		case <-enough:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
