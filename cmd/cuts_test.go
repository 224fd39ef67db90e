package cmd_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// How a restore is cut to pieces.
const (
	cutBytes = 20_000_000 // of contents
	cutFiles = 60
	cuts     = 25
	cutRate  = 220_000 // bytes a second of the link, a radio's
	cutTrip  = 20 * time.Millisecond
	// cutExcess is the most that is sent, of the bytes that an uncut restore takes. A cut costs
	// what is on its way, half a piece, which is a TLS record, and 5 kB that begin a session:
	// 15 kB in all.
	cutExcess = 1.03
)

// TestCutRestoreSendsLittleTwice cuts the link at random points of a restore, and compares
// the bytes on the link, both ways, with those of the same restore uncut.
func TestCutRestoreSendsLittleTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	dir := filepath.Join(t.TempDir(), "s")
	toll := newToll(t, filepath.Join(dir, "reader.sock"))
	p := newPair(t, dir, toll.path)
	noise := make([]byte, cutBytes)
	rand.NewChaCha8([32]byte{6}).Read(noise)
	at := randomPoints(cutFiles-1, cutBytes)
	at = append(append([]int64{0}, at...), cutBytes)
	for i, from := range at[:cutFiles] {
		p.write(fmt.Sprintf("file%02d", i), noise[from:at[i+1]])
	}
	p.run("pair")
	p.run("scrctl", "backup")

	uncut := p.restore(toll, nil)
	points := randomPoints(cuts, uncut)
	cut := p.restore(toll, points)
	t.Logf("%d bytes uncut, %d when cut %d times: %.4f times as much", uncut, cut, len(points), float64(cut)/float64(uncut))
	if toll.passed() != cuts {
		t.Errorf("the link was cut %d times", toll.passed())
	}
	if float64(cut) > cutExcess*float64(uncut) {
		t.Errorf("%d bytes were sent, %d when nothing is cut", cut, uncut)
	}
}

// randomPoints returns so many points between 0 and an end, in order.
func randomPoints(n int, end int64) []int64 {
	points := make([]int64, n)
	for i := range points {
		points[i] = rand.Int64N(end)
	}
	slices.Sort(points)
	return points
}

// pair is a sandbox whose device dials through a toll.
type pair struct {
	*testing.T
	sandbox, dir string
	env          []string
}

func newPair(t *testing.T, dir, via string) *pair {
	t.Helper()
	top, err := filepath.Abs(repo)
	if err != nil {
		t.Fatal(err)
	}
	bin := programs(t)
	p := &pair{T: t, sandbox: filepath.Join(top, "scripts", "sandbox"), dir: dir}
	p.env = append(os.Environ(), "REPROVISION_BIN="+bin, "GORACE=halt_on_error=1 atexit_sleep_ms=0",
		"PATH="+bin+":"+filepath.Join(top, "testdata", "bin")+":"+os.Getenv("PATH"))
	t.Cleanup(func() { down(t, p.sandbox, filepath.Dir(dir)) })
	p.run(p.sandbox, "up", dir, "--card=file", "--via="+via)
	return p
}

// run runs a command that speaks to the pair, and wants it to succeed.
func (p *pair) run(name string, args ...string) {
	p.Helper()
	script := `set -a; [ ! -e "$0/env" ] || . "$0/env"; exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, p.dir, name}, args...)...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func (p *pair) path(name string) string {
	return filepath.Join(p.dir, "phone", "preferences", name)
}

func (p *pair) write(name string, data []byte) {
	p.Helper()
	if err := os.WriteFile(p.path(name), data, 0o600); err != nil {
		p.Fatal(err)
	}
}

// restore has the device lose its preferences and bring them back by itself. It returns
// the bytes that this took on a link which is cut at those points. While they are lost there
// is no link: what is noticed in two parts would be brought back in two parts, and a pack
// that both need is fetched for each.
func (p *pair) restore(toll *toll, points []int64) int64 {
	p.Helper()
	want := p.contents()
	toll.shut(true)
	for name := range want {
		if err := os.Remove(name); err != nil {
			p.Fatal(err)
		}
	}
	p.run("sh", "-c", fmt.Sprintf(`for _ in $(seq 600); do scrctl --json status | grep -q '^  "damaged": %d,' && exit; sleep 0.1; done; exit 1`, len(want)))
	toll.begin(points)
	toll.shut(false)
	for end := time.Now().Add(5 * time.Minute); !p.have(want); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatal("it does not come back")
		}
	}
	passed := toll.bytes()
	p.run("healed")
	for name, got := range p.contents() {
		if !bytes.Equal(got, want[name]) {
			p.Errorf("%s is not as it was", name)
		}
	}
	return passed
}

// have tells whether all of the files are there.
func (p *pair) have(files map[string][]byte) bool {
	for name := range files {
		if _, err := os.Lstat(name); err != nil {
			return false
		}
	}
	return true
}

// contents are the preferences that are in place.
func (p *pair) contents() map[string][]byte {
	p.Helper()
	all := make(map[string][]byte)
	err := filepath.WalkDir(p.path(""), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Base(path)[0] == '.' {
			return nil // what is unfinished comes and goes
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return all
}

// toll stands between device and reader, counts what passes, and cuts the link.
type toll struct {
	path, reader string

	mu    sync.Mutex
	count int64         // bytes both ways, since begin
	cuts  []int64       // when that is reached
	done  int           // cuts
	rate  int           // bytes a second; 0 for no limit
	trip  time.Duration // there and back
	free  time.Time
	conns map[net.Conn]bool
	away  bool // there is no link
}

func newToll(t *testing.T, reader string) *toll {
	t.Helper()
	dir, err := os.MkdirTemp("", "toll") // a short path
	if err != nil {
		t.Fatal(err)
	}
	x := &toll{path: filepath.Join(dir, "t"), reader: reader, conns: make(map[net.Conn]bool)}
	l, err := net.Listen("unix", x.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		x.cutAll()
		_ = os.RemoveAll(dir)
	})
	go func() {
		for {
			device, err := l.Accept()
			if err != nil {
				return
			}
			reader, err := net.Dial("unix", x.reader)
			if err != nil {
				_ = device.Close()
				continue
			}
			x.mu.Lock()
			away := x.away
			x.conns[device], x.conns[reader] = true, true
			x.mu.Unlock()
			if away {
				x.cutAll()
				continue
			}
			go x.carry(device, reader)
			go x.carry(reader, device)
		}
	}()
	return x
}

// shut takes the link away, or brings it back.
func (x *toll) shut(away bool) {
	x.mu.Lock()
	x.away = away
	x.mu.Unlock()
	if away {
		x.cutAll()
	}
}

// begin counts anew, and cuts at those points.
func (x *toll) begin(points []int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.count, x.cuts, x.done = 0, points, 0
	x.rate, x.trip = cutRate, cutTrip
}

func (x *toll) bytes() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

func (x *toll) passed() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.done
}

func (x *toll) cutAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.conns {
		_ = c.Close()
	}
	clear(x.conns)
}

// onLink is how many bytes the link takes at once, and how many such are on their way at most.
const (
	onLink = 1024
	inAir  = 64
)

// carried are bytes on their way, and when they are there.
type carried struct {
	bytes []byte
	due   time.Time
}

// carry passes bytes one way, at the link's rate and as late as it delivers them. What is on
// its way when the link is cut is gone.
func (x *toll) carry(from, to net.Conn) {
	way := make(chan carried, inAir)
	go func() {
		defer from.Close()
		defer to.Close()
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				break
			}
		}
		for range way { // nobody is to wait
		}
	}()
	defer close(way)
	for {
		buf := make([]byte, onLink)
		n, err := from.Read(buf)
		if err != nil || !x.pay(n) {
			return
		}
		x.mu.Lock()
		due := time.Now().Add(x.trip / 2)
		x.mu.Unlock()
		way <- carried{buf[:n], due}
	}
}

// pay counts bytes that are about to pass, and waits until the link has carried them; false
// when they do not pass, for the link is cut.
func (x *toll) pay(n int) bool {
	x.mu.Lock()
	x.count += int64(n)
	if len(x.cuts) > 0 && x.count > x.cuts[0] {
		x.cuts = x.cuts[1:]
		x.done++
		x.mu.Unlock()
		x.cutAll()
		return false
	}
	var wait time.Duration
	if x.rate > 0 {
		if now := time.Now(); x.free.Before(now) {
			x.free = now
		}
		x.free = x.free.Add(time.Duration(n) * time.Second / time.Duration(x.rate))
		wait = time.Until(x.free)
	}
	x.mu.Unlock()
	time.Sleep(wait)
	return true
}
