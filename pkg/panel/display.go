package panel

import (
	"slices"
	"sync"
)

// Display holds what is shown now and tells those who watch. Its methods may be
// called from any goroutine. The methods Show and Clear are what pairing calls.
type Display struct {
	mu       sync.Mutex
	view     View
	notice   string
	alert    string // goes before the notice
	watchers []chan View
}

// New makes an idle display.
func New() *Display { return &Display{view: View{State: Idle}} }

// View is what is shown now.
func (d *Display) View() View {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view
}

// ShowAddress shows the reader's address (step 412).
func (d *Display) ShowAddress(addr string) { d.show(View{State: Address, Address: addr}) }

// ShowPasscode shows the pairing passcode (step 418).
func (d *Display) ShowPasscode(code string) { d.show(View{State: Passcode, Passcode: code}) }

// ShowPaired shows with which device the reader has paired (step 422).
func (d *Display) ShowPaired(name string) { d.show(View{State: Paired, Name: name}) }

// ShowFailed shows why the pairing came to nothing.
func (d *Display) ShowFailed(reason string) { d.show(View{State: Failed, Reason: reason}) }

// Clear goes back to idle, or to the alert. Nothing of a passcode is left.
func (d *Display) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(d.idle())
}

// SetAlert says what is wrong whenever no pairing goes on; empty for nothing.
func (d *Display) SetAlert(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alert = reason
	if s := d.view.State; s != Address && s != Passcode {
		d.put(d.idle())
	}
}

func (d *Display) idle() View {
	if d.alert != "" {
		return View{State: Alert, Reason: d.alert}
	}
	return View{State: Idle}
}

// SetNotice says what is shown while nothing else is: that a backup is overdue, and
// whose. Empty takes it back. That a device was paired some time ago gives way to it.
func (d *Display) SetNotice(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notice = text
	if d.view.State == Idle || d.view.State == Paired && text != "" {
		d.put(d.idle())
	}
}

func (d *Display) show(v View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(v)
}

// put shows a view; mu is held.
func (d *Display) put(v View) {
	if v.State == Idle {
		v.Notice = d.notice
	}
	d.view = v
	for _, w := range d.watchers {
		replace(w, v)
	}
}

// Watch gives the current view at once and then each new one. A slow receiver
// misses views in between, never the last. stop ends it; the channel is not
// closed.
func (d *Display) Watch() (views <-chan View, stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := make(chan View, 1)
	w <- d.view
	d.watchers = append(d.watchers, w)
	return w, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.watchers = slices.DeleteFunc(d.watchers, func(o chan View) bool { return o == w })
		select { // a passcode must not stay behind
		case <-w:
		default:
		}
	}
}

// replace puts v into a channel of one place, in place of what nobody took.
// Only show and Watch send, and both hold the lock.
func replace(w chan View, v View) {
	select {
	case <-w:
	default:
	}
	w <- v
}
