package cli

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// patience is how long an operation takes before it gets a progress bar.
const patience = 2 * time.Second

// progress shows how far an operation is, on a terminal, once it takes long. A
// nil progress shows nothing.
type progress struct {
	mu     sync.Mutex
	to     io.Writer
	now    func() time.Time
	start  time.Time
	bar    *progressbar.ProgressBar
	held   bool // a prompt has the screen
	closed bool
}

// showProgress shows the daemon's progress until stop.
func (a *app) showProgress(c *busapi.DeviceClient) (stop func(), err error) {
	if a.quiet || a.json || !isTerminal(a.err) || a.env("TERM") == "dumb" {
		return func() {}, nil
	}
	a.progress = &progress{to: a.err, now: a.now, start: a.now()}
	unwatch, err := c.WatchProgress(a.progress.update)
	if err != nil {
		return nil, err
	}
	return func() { unwatch(); a.progress.close() }, nil
}

// update draws what the daemon says. A total that is not known yet gives no bar.
func (p *progress) update(v busapi.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held || p.closed || v.Total <= 0 || p.now().Sub(p.start) < patience {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(v.Total,
			progressbar.OptionSetWriter(p.to), progressbar.OptionSetDescription(printable(v.Operation)),
			progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	if p.bar.GetMax64() != v.Total {
		p.bar.ChangeMax64(v.Total)
	}
	_ = p.bar.Set64(min(v.Done, v.Total)) // a bar that cannot be drawn is no failure
}

// pause takes the bar off the screen until the function it returns is called.
func (p *progress) pause() (resume func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
	p.clear()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = false
	}
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.clear()
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
