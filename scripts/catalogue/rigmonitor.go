package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// event is a line of scrctl monitor: the fields that a catalogue looks at.
type event struct {
	Time                     time.Time
	Side                     string
	Event                    string
	Path                     string
	Class                    string
	Verdict                  string
	Reason                   string
	Suspected                bool
	Items, Erased, Corrupted int // of a verdict that sums up many
	// of a reprovision
	Planned, Restored, Verified, Failed int
}

// monitor follows the events of a rig's daemons.
type monitor struct {
	cmd *exec.Cmd
	end context.CancelFunc

	mu     sync.Mutex
	events []event
	news   chan struct{} // closed when there are more
	done   chan struct{} // closed when monitor has ended
}

// follow starts to listen; it returns once no event can be missed.
func (r *rig) follow(ctx context.Context) (*monitor, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &monitor{
		cmd: r.command(ctx, filepath.Join(r.bin, "scrctl"), "--json", "monitor"), end: cancel,
		news: make(chan struct{}), done: make(chan struct{}),
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot follow the events: %w", err)
	}
	notes, err := m.cmd.StderrPipe()
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot follow the events: %w", err)
	}
	following := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { m.read(bufio.NewScanner(out)) })
	readers.Go(func() { awaitNote(bufio.NewScanner(notes), "following the device's daemon", following) })
	go func() {
		readers.Wait()
		_ = m.cmd.Wait()
		close(m.done)
	}()
	select {
	case <-following:
		return m, nil
	case <-m.done:
		return nil, fmt.Errorf("cannot follow the events: monitor has ended")
	case <-time.After(callTime):
		m.stop()
		return nil, fmt.Errorf("cannot follow the events: the device's daemon is not there")
	}
}

// awaitNote reads to the end and closes the channel at the first line that has
// the words.
func awaitNote(lines *bufio.Scanner, words string, seen chan<- struct{}) {
	for lines.Scan() {
		if seen != nil && strings.Contains(lines.Text(), words) {
			close(seen)
			seen = nil
		}
	}
}

func (m *monitor) read(lines *bufio.Scanner) {
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // an event with fields that are not looked at
		}
		m.mu.Lock()
		m.events = append(m.events, e)
		close(m.news)
		m.news = make(chan struct{})
		m.mu.Unlock()
	}
}

// since returns the events after the first n, and a channel that is closed when
// there are more. How many there are now is len of since(0).
func (m *monitor) since(n int) ([]event, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events[min(n, len(m.events)):len(m.events):len(m.events)], m.news
}

// mark is the number of events so far, for since.
func (m *monitor) mark() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events)
}

func (m *monitor) stop() {
	m.end()
	<-m.done
}
