package main

import (
	"errors"
	"sync"
)

// maxBacklog bounds what is kept for a guest that does not read. RFCOMM and
// L2CAP have credits, so that far less is ever on its way.
const maxBacklog = 16 << 20 // bytes

var errBacklog = errors.New("the guest does not read what it is sent")

// backlog is a pipe that takes whatever is written without waiting. One
// goroutine writes and one reads.
type backlog struct {
	mu   sync.Mutex
	more *sync.Cond
	data []byte
	err  error // why nothing more comes
}

func newBacklog() *backlog {
	b := new(backlog)
	b.more = sync.NewCond(&b.mu)
	return b
}

// Write keeps b. It fails after end, and where more than maxBacklog would wait.
func (b *backlog) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if len(b.data)+len(data) > maxBacklog {
		return 0, errBacklog
	}
	b.data = append(b.data, data...)
	b.more.Signal()
	return len(data), nil
}

// Read waits for data, and returns the reason given to end when all is read.
func (b *backlog) Read(into []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.data) == 0 && b.err == nil {
		b.more.Wait()
	}
	if len(b.data) == 0 {
		return 0, b.err
	}
	n := copy(into, b.data)
	if b.data = b.data[n:]; len(b.data) == 0 {
		b.data = nil
	}
	return n, nil
}

// end says that nothing more comes, and why. The first reason stays.
func (b *backlog) end(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = why
	}
	b.more.Broadcast()
}
