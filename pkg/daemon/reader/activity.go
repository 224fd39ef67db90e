package reader

import (
	"context"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/panel"
)

// lull is for how long no data must have moved for the display to say so.
const lull = 2 * time.Second

// activity is what a device is doing with its data, for the display. It is safe for
// concurrent use.
type activity struct {
	begun chan struct{} // holds one: something is to be ended later

	mu     sync.Mutex
	device string
	task   panel.Task
	name   string
	bytes  int64
}

func newActivity() *activity { return &activity{begun: make(chan struct{}, 1)} }

// moved shows that so many more bytes of a device were saved or restored.
func (d *Daemon) moved(device string, task panel.Task, bytes int) {
	a := d.activity
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.device != device || a.task != task {
		a.device, a.task, a.name, a.bytes = device, task, "", 0
		if p, err := d.keys.Peer(device); err == nil {
			a.name = p.Name
		}
	}
	a.bytes += int64(bytes)
	d.panel.SetProgress(task, a.name, a.bytes)
	select {
	case a.begun <- struct{}{}:
	default:
	}
}

// still shows that nothing moves any more.
func (d *Daemon) still() {
	d.activity.mu.Lock()
	defer d.activity.mu.Unlock()
	d.activity.device = ""
	d.panel.EndProgress()
}

// watchActivity notices when no data have moved for a while.
func (d *Daemon) watchActivity(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.activity.begun:
		}
		if err := d.uses.idle(ctx, lull); err != nil {
			return err
		}
		d.still()
	}
}
