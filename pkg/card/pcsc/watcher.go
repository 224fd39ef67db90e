//go:build cgo

package pcsc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
)

// Times of the watcher. Both together stay below the second within which
// insertion and removal are to be known.
const (
	watchTimeout = 400 * time.Millisecond // of one GetStatusChange
	watchRetry   = 400 * time.Millisecond // between attempts at a service or reader that is not there
)

// sight is what the watcher sees at one time. Two sights are equal if nothing
// happened in between.
type sight struct {
	err     error // card.ErrNoService, errStuck or card.ErrNoReader
	reader  string
	present bool
	counter uint16 // of insertions and removals, where a card is present
	others  string // the other readers that have a card, with their counters, a line each
}

// beside tells whether the chosen card of another sight is one of the others.
func (s sight) beside(chosen sight) bool {
	return slices.Contains(strings.Split(s.others, "\n"), line(chosen.reader, chosen.counter))
}

// lines describes all cards.
func (s sight) lines() string {
	return strings.Trim(line(s.reader, s.counter)+"\n"+s.others, "\n")
}

// line describes a card that is not the chosen one.
func line(reader string, counter uint16) string { return fmt.Sprintf("%s #%d", reader, counter) }

// watcher asks the service for the state of the readers, over and over, on a
// PC/SC context of its own.
type watcher struct {
	pick   func([]readerState) (readerState, error)
	counts func(reader string) bool // whether it may be chosen
	limit  time.Duration            // for a call that should return soon
	out    chan<- sight

	worker *worker
	states []readerState // as before
	last   sight
	sent   bool
}

// run sends each new sight until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.worker = startWorker()
		err := w.follow(ctx)
		w.states = nil
		w.finish()
		if ctx.Err() == nil {
			w.send(ctx, sight{err: err})
			w.unstick(ctx)
			sleep(ctx, watchRetry)
		}
	}
}

// unstick waits until the call that was left behind returns. A service that hangs
// would keep the next one, too, and each has a thread of its own.
func (w *watcher) unstick(ctx context.Context) {
	if !w.worker.abandoned {
		return
	}
	select {
	case <-w.worker.done:
	case <-ctx.Done():
	}
}

// follow watches over one context until the service fails it. It returns
// card.ErrNoService or errStuck, bare, so that sights can be compared.
func (w *watcher) follow(ctx context.Context) error {
	err := w.call(ctx, w.worker.establish)
	for err == nil && ctx.Err() == nil {
		if err = w.look(ctx); isCode(err, scard.ErrUnknownReader, scard.ErrReaderUnavailable) {
			w.states, err = nil, nil // unplugged between list and look
		}
	}
	if w.worker.abandoned {
		return errStuck
	}
	return card.ErrNoService
}

// look waits for a change, a little, and sends what it sees.
func (w *watcher) look(ctx context.Context) error {
	var states []readerState
	worker, before, tag := w.worker, w.states, fmt.Sprintf("%p", w)
	err := w.call(ctx, func() (err error) {
		states, err = listStates(worker.context, before, watchTimeout, tag)
		return err
	})
	if err != nil {
		return err
	}
	w.states = states
	chosen, err := w.pick(states)
	if err != nil {
		w.send(ctx, sight{err: card.ErrNoReader})
		sleep(ctx, watchRetry)
		return nil
	}
	now := sight{reader: chosen.name, present: chosen.present()}
	if now.present {
		now.counter, now.others = chosen.counter(), w.others(states, chosen)
	}
	w.send(ctx, now)
	return nil
}

// others describes the cards beside the chosen one: one of them may be the right
// one.
func (w *watcher) others(states []readerState, chosen readerState) string {
	var lines []string
	for _, s := range states {
		if s.name != chosen.name && s.present() && w.counts(s.name) {
			lines = append(lines, line(s.name, s.counter()))
		}
	}
	return strings.Join(lines, "\n")
}

// call bounds a call that should return soon. It does not end with ctx: the
// context could not be released then.
func (w *watcher) call(ctx context.Context, call func() error) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.limit)
	defer cancel()
	return w.worker.do(bounded, call)
}

func (w *watcher) send(ctx context.Context, now sight) {
	if w.sent && now == w.last {
		return
	}
	select {
	case w.out <- now:
		w.sent, w.last = true, now
	case <-ctx.Done():
	}
}

// finish ends the worker, unless the service hangs: then it ends whenever that
// is over.
func (w *watcher) finish() {
	w.worker.end(func() {})
	if !w.worker.abandoned {
		<-w.worker.done
	}
}
