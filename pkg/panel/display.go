package panel

import (
	"slices"
	"sync"
)

// Display holds what is shown now and tells those who watch. Its methods may be
// called from any goroutine. The methods Show and Clear are what pairing calls.
//
// What is shown is what matters most of what it was told: a pairing that goes on, data
// that move, how the last pairing ended, an alert, and else the idle display.
type Display struct {
	mu       sync.Mutex
	view     View
	pairing  View // Address, Passcode, Paired, Failed or the zero View
	progress View // Progress or the zero View
	notice   string
	alert    string // goes before the notice
	card     string
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

// Clear ends what was shown of a pairing. Nothing of a passcode is left.
func (d *Display) Clear() { d.show(View{}) }

func (d *Display) show(v View) { d.change(func() { d.pairing = v }) }

// SetAlert says what is wrong whenever no pairing goes on; empty for nothing.
// How the last pairing ended gives way to it.
func (d *Display) SetAlert(reason string) {
	d.change(func() {
		d.alert = reason
		d.endPairing()
	})
}

// SetNotice says what is shown while nothing else is: that a backup is overdue, and
// whose. Empty takes it back. That a device was paired some time ago gives way to it.
func (d *Display) SetNotice(text string) {
	d.change(func() {
		d.notice = text
		if text != "" && d.pairing.State == Paired {
			d.pairing = View{}
		}
	})
}

// SetCard says how the card stands, for the idle display.
func (d *Display) SetCard(text string) { d.change(func() { d.card = text }) }

// SetProgress says how many bytes a device has saved or restored so far. How the last
// pairing ended gives way to it.
func (d *Display) SetProgress(task Task, name string, bytes int64) {
	d.change(func() {
		d.progress = View{State: Progress, Task: task, Name: name, Bytes: bytes}
		d.endPairing()
	})
}

// EndProgress says that no data move any more.
func (d *Display) EndProgress() { d.change(func() { d.progress = View{} }) }

// endPairing lets go of how the last pairing ended; mu is held.
func (d *Display) endPairing() {
	if !d.pairs() {
		d.pairing = View{}
	}
}

func (d *Display) pairs() bool { return d.pairing.State == Address || d.pairing.State == Passcode }

// change does something and tells the watchers if that changes what is shown.
func (d *Display) change(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
	v := d.top()
	if v == d.view {
		return
	}
	d.view = v
	for _, w := range d.watchers {
		replace(w, v)
	}
}

// top is what matters most; mu is held.
func (d *Display) top() View {
	switch {
	case d.pairs():
		return d.pairing
	case d.progress.State != "":
		return d.progress
	case d.pairing.State != "":
		return d.pairing
	case d.alert != "":
		return View{State: Alert, Reason: d.alert}
	}
	return View{State: Idle, Notice: d.notice, Card: d.card}
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
// Only change and Watch send, and both hold the lock.
func replace(w chan View, v View) {
	select {
	case <-w:
	default:
	}
	w <- v
}
