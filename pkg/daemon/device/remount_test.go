package device

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// TestRestoreOnceWritable: what was lost on a file system that is mounted read-only comes
// back as soon as that is writable, with nothing else to wake the daemon.
func TestRestoreOnceWritable(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration, r.d.cfg.Reprovision.Keys = 0, config.Restore
	keys := r.d.cfg.Roots[0].Path
	r.mount(keys)
	r.write("a", "what was lost")
	r.write("b", "what is still there")
	r.backUp()
	r.must(os.Remove(filepath.Join(keys, "a")))
	r.must(unix.Mount("none", keys, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	r.watch()
	r.await("the damage to be known", func() bool {
		_, _, waiting := r.d.findings.snapshot()
		return strings.Contains(waiting, "mounted read-only")
	})
	r.must(unix.Mount("none", keys, "tmpfs", unix.MS_REMOUNT, ""))
	r.await("the restore", func() bool {
		raw, err := os.ReadFile(filepath.Join(keys, "a"))
		return err == nil && string(raw) == "what was lost"
	})
}

// watch runs the watch and the watchman until the test ends.
func (r *rig) watch() {
	r.Helper()
	var err error
	r.d.watcher, err = watch.New(r.d.space, watch.Config{}, r.d.log)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.d.watcher.Run(ctx) })
	running.Go(func() { _ = r.d.watchman(ctx) })
	r.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func (r *rig) await(what string, is func() bool) {
	r.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestRetryAfterRemount: what could not be restored is tried again at once, in the roots
// that may be writable now.
func TestRetryAfterRemount(t *testing.T) {
	f, now := newFindings(), time.Now()
	a, b := detect.Finding{Name: "keys/a", Verdict: detect.Erased}, detect.Finding{Name: "user-data/b", Verdict: detect.Erased}
	f.giveUp([]detect.Finding{a, b}, now)
	var n news
	n.take(watch.Hint{Root: "user-data", Rescan: true})
	n.take(watch.Hint{Root: "keys", Rescan: true, Remounted: true})
	f.retry(n.remounted())
	if due := f.due([]detect.Finding{a, b}, now); len(due) != 1 || due[0].Name != userdata.Name("keys/a") {
		t.Errorf("due are %v", due)
	}
	f.giveUp([]detect.Finding{a}, now)
	f.retry(n.remounted())
	if due := f.due([]detect.Finding{a}, now); len(due) != 0 {
		t.Error("a remount is told twice")
	}
}
