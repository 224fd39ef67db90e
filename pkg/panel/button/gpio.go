package button

import (
	"context"
	"fmt"
	"time"

	"github.com/warthog618/go-gpiocdev"
)

// Times of a Line.
const (
	lineBounce = 10 * time.Millisecond
	lineCheck  = 5 * time.Second
)

// Pull is which way a GPIO line is drawn while the button is open.
type Pull string

// The pulls.
const (
	PullUp   Pull = "up"
	PullDown Pull = "down"
	PullNone Pull = "none" // a resistor of the circuit does it
)

// Line is a push button at a GPIO line, which it debounces itself.
type Line struct {
	Chip       string // a path, "/dev/gpiochip0"
	Offset     int
	Pull       Pull
	ActiveHigh bool // pressed is high; else low, with the button between line and ground

	request func(l Line, edge func(bool)) (gpioLine, error) // nil: the kernel's
}

// gpioLine is a line that was asked for.
type gpioLine interface {
	Value() (int, error) // 1 while it is active
	Close() error
}

// Bounce implements Source.
func (l Line) Bounce() time.Duration { return lineBounce }

func (l Line) String() string { return fmt.Sprintf("line %d of %s", l.Offset, l.Chip) }

// Follow implements Source. Now and then it looks at the line itself, which tells that
// the chip is still there.
func (l Line) Follow(ctx context.Context, begun func(), edge func(bool)) error {
	request := l.request
	if request == nil {
		request = requestLine
	}
	ctx, cancel := context.WithCancel(ctx)
	edges := make(chan bool, 16) // the library's goroutine must not wait for ours
	line, err := request(l, func(down bool) {
		select {
		case edges <- down:
		case <-ctx.Done():
		}
	})
	if err != nil {
		cancel()
		return fmt.Errorf("cannot use the GPIO line: %w", err)
	}
	defer line.Close()
	defer cancel() // first: the library's goroutine may be about to tell of an edge
	begun()
	check := time.NewTicker(lineCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case down := <-edges:
			edge(down)
		case <-check.C:
			if _, err := line.Value(); err != nil {
				return fmt.Errorf("cannot read the GPIO line: %w", err)
			}
		}
	}
}

// requestLine asks the kernel for the line and its edges.
func requestLine(l Line, edge func(bool)) (gpioLine, error) {
	options := []gpiocdev.LineReqOption{
		gpiocdev.WithConsumer("scrd"), gpiocdev.AsInput, gpiocdev.WithBothEdges,
		gpiocdev.WithEventHandler(func(e gpiocdev.LineEvent) { edge(e.Type == gpiocdev.LineEventRisingEdge) }),
	}
	if !l.ActiveHigh {
		options = append(options, gpiocdev.AsActiveLow)
	}
	switch l.Pull {
	case PullUp:
		options = append(options, gpiocdev.WithPullUp)
	case PullDown:
		options = append(options, gpiocdev.WithPullDown)
	}
	return gpiocdev.RequestLine(l.Chip, l.Offset, options...)
}
