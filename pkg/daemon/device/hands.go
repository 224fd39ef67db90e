package device

import (
	"slices"
	"sync"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// hands knows which items are in the hands of a restore that is under way, be it that
// it has given way: a look that finds them damaged has nothing new to say. It is safe for
// concurrent use.
type hands struct {
	again func() // called at the end of a restore to which damage was left

	mu   sync.Mutex
	held map[*restoreRun]held
	left bool // damage to a restore that is under way
}

type held struct {
	job   string // where there is one
	names map[userdata.Name]bool
}

func newHands(again func()) *hands {
	return &hands{again: again, held: make(map[*restoreRun]held)}
}

// hold notes, or notes anew, what a restore is about.
func (h *hands) hold(r *restoreRun, job string, names map[userdata.Name]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[r] = held{job, names}
}

// release notes the end of a restore.
func (h *hands) release(r *restoreRun) {
	h.mu.Lock()
	delete(h.held, r)
	again := h.left
	h.left = false
	h.mu.Unlock()
	if again {
		h.again()
	}
}

// free leaves out the damage that is in hand already.
func (h *hands) free(damaged []detect.Finding) []detect.Finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(damaged, func(f detect.Finding) bool {
		for _, held := range h.held {
			if held.names[f.Name] {
				h.left = true
				return true
			}
		}
		return false
	})
}

// full tells whether any restore is under way.
func (h *hands) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held) > 0
}

// job tells whether somebody goes on with that job.
func (h *hands) job(run string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range h.held {
		if held.job == run {
			return true
		}
	}
	return false
}
