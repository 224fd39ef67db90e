package device

import (
	"slices"
	"sync"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// look is a reason to look for damage.
type look struct {
	why      string
	deep     bool // read every byte of everything
	critical bool // read every byte of the service books and keys
	urgent   bool // what takes long makes way for it
	shown    bool // the owner waits, and is shown how far it is
	// names are where something has happened; none stands for anywhere.
	names []userdata.Name
}

// whySettled is the reason of a look at what was written lately, and nothing else.
const whySettled = "settled"

// with is one look for two reasons.
func (l look) with(m look) look {
	if m.why == whySettled {
		m.why = l.why
	}
	m.deep, m.critical, m.urgent = m.deep || l.deep, m.critical || l.critical, m.urgent || l.urgent
	m.shown = m.shown || l.shown
	if len(l.names) == 0 || len(m.names) == 0 || len(l.names)+len(m.names) > fewNames {
		m.names = nil
	} else {
		m.names = slices.Concat(l.names, m.names)
	}
	return m
}

func (l look) rank() rank {
	if l.urgent || l.critical {
		return rankUrgent
	}
	return rankIdle
}

// wishes are the looks that were asked for and not taken up yet, as one. It is safe for
// concurrent use.
type wishes struct {
	news chan struct{} // holds a token while there is one

	mu   sync.Mutex
	look *look
}

func newWishes() *wishes { return &wishes{news: make(chan struct{}, 1)} }

func (w *wishes) add(l look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.look != nil {
		l = w.look.with(l)
	}
	w.look = &l
	kick(w.news)
}

// stir wakes the watchman without a look: what it waits for may have changed.
func (w *wishes) stir() { kick(w.news) }

// take returns the look that was asked for; nil for none.
func (w *wishes) take() *look {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.look
	w.look = nil
	return l
}
