package button

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLine is a line whose chip can go.
type fakeLine struct {
	gone   atomic.Bool
	closed atomic.Bool
	edge   func(bool)
}

func (l *fakeLine) Value() (int, error) {
	if l.gone.Load() {
		return 0, os.ErrClosed
	}
	return 0, nil
}

func (l *fakeLine) Close() error {
	l.closed.Store(true)
	return nil
}

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fake fakeLine
		l := Line{Chip: "/dev/gpiochip0", Offset: 17, request: func(_ Line, edge func(bool)) (gpioLine, error) {
			fake.edge = edge
			return &fake, nil
		}}
		begun, edges, ended := make(chan struct{}), make(chan bool, 100), make(chan error)
		go func() { ended <- l.Follow(t.Context(), func() { close(begun) }, func(down bool) { edges <- down }) }()
		<-begun
		fake.edge(true)
		fake.edge(false)
		time.Sleep(time.Minute)
		if len(edges) != 2 || !<-edges || <-edges {
			t.Error("the edges are not those of the line")
		}
		fake.gone.Store(true)
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
		if !fake.closed.Load() {
			t.Error("the line is still held")
		}
		for range 100 {
			fake.edge(true) // the library's goroutine may be late, and must not hang
		}
	})
}

func TestLineMissing(t *testing.T) {
	l := Line{Chip: t.TempDir() + "/gpiochip0", Offset: 17, Pull: PullUp}
	err := l.Follow(context.Background(), func() { t.Error("a line that is not there is used") }, func(bool) {})
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
