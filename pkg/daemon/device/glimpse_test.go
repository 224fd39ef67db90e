package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestInspectAfterAGlimpse: where the settling time has passed since a glimpse that saw the
// same damage, it is believed at once; one that is too young, or saw none, saves no waiting.
func TestInspectAfterAGlimpse(t *testing.T) {
	for name, tt := range map[string]struct {
		missing  bool          // when the glimpse was
		age      time.Duration // of it
		believed bool
	}{
		"the same":      {missing: true, age: 2 * time.Hour, believed: true},
		"too young":     {missing: true},
		"saw no damage": {age: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("id_ed25519", "a key")
			r.backUp()
			remove := func() { r.must(os.Remove(filepath.Join(r.d.cfg.Roots[0].Path, "id_ed25519"))) }
			if tt.missing {
				remove()
			}
			before, err := r.d.glimpse(t.Context())
			r.must(err)
			if !tt.missing {
				remove()
			}
			before.at = before.at.Add(-tt.age)
			r.d.cfg.Detect.Settle.Duration = time.Hour
			patient := 20 * time.Second
			if !tt.believed {
				patient = 100 * time.Millisecond // what it waits for comes in an hour
			}
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			seen, err := r.d.inspectAfter(ctx, before, look{why: "test"})
			if !tt.believed {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %d damaged, %v; want it to wait for the settling time", len(seen.report.Damaged()), err)
				}
				return
			}
			if err != nil || len(seen.report.Damaged()) != 1 {
				t.Errorf("got %d damaged, %v; want 1", len(seen.report.Damaged()), err)
			}
		})
	}
}
