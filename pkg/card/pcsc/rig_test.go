//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/profile"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

const patience = 30 * time.Second

// service is the private pcscd of this test binary, or the reason why there is
// none: the PC/SC library takes only one for each program.
var service struct {
	daemon  *pcsctest.Daemon
	reason  error
	readers chan int // those that no test uses
}

func TestMain(m *testing.M) {
	service.readers = make(chan int, 2)
	service.readers <- 1
	service.readers <- 0
	if os.Getenv(holderEnv) != "" { // against the service of the test that started it
		os.Exit(m.Run())
	}
	os.Exit(pcsctest.Main(func(d *pcsctest.Daemon, err error) { service.daemon, service.reason = d, err }, m.Run))
}

// rig is a virtual card in a reader that this test has to itself.
type rig struct {
	t      *testing.T
	card   *virtual.Card
	plug   *virtual.Plug
	reader int
	named  string // the reader's name, where it is not one of this binary's service
}

func newRig(t *testing.T, options virtual.Options) *rig {
	t.Helper()
	if service.reason != nil {
		t.Skip(service.reason)
	}
	c, err := virtual.New(options)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, card: c, reader: <-service.readers}
	t.Cleanup(func() {
		if r.plug != nil {
			r.plug.Pull()
		}
		service.readers <- r.reader
	})
	settle(t, r.name(), scard.StateEmpty) // of the card of the test before
	r.insert()
	return r
}

func (r *rig) name() string {
	if r.named != "" {
		return r.named
	}
	return service.daemon.Reader(r.reader)
}

// insert returns when PC/SC knows of the card, as a person would wait for the
// reader's light.
func (r *rig) insert() {
	r.t.Helper()
	plug, err := r.card.Insert(r.t.Context(), service.daemon.Address(r.reader))
	if err != nil {
		r.t.Fatal(err)
	}
	r.plug = plug
	settle(r.t, r.name(), scard.StatePresent)
}

// pull returns when PC/SC has noticed, because until then it would take another
// card for the same one.
func (r *rig) pull() {
	r.t.Helper()
	r.plug.Pull()
	if err := r.plug.Err(); err != nil {
		r.t.Error(err)
	}
	r.plug = nil
	settle(r.t, r.name(), scard.StateEmpty)
}

// settle waits for a state of a reader, on a PC/SC context of its own.
func settle(t *testing.T, reader string, flag scard.StateFlag) {
	t.Helper()
	client, err := scard.EstablishContext()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Release()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		// What follows NUL keeps the binding from freeing another caller's name.
		states := []scard.ReaderState{{Reader: reader + "\x00" + t.Name(), CurrentState: scard.StateUnaware}}
		if err := client.GetStatusChange(states, 0); err != nil {
			t.Fatal(err)
		}
		if states[0].EventState&flag != 0 {
			return
		}
	}
	t.Fatalf("PC/SC does not see state %x", flag)
}

// config leaves the choice of the profile to what the card answers.
func (r *rig) config(notify func(card.Event)) pcsc.Config {
	r.t.Helper()
	chosen, err := profile.New(profile.Config{PIV: piv.Config{DefaultKey: true}})
	if err != nil {
		r.t.Fatal(err)
	}
	return pcsc.Config{Match: r.name(), Profiles: []card.Profile{chosen}, Notify: notify}
}

func withCard(t *testing.T, r card.Reader, fn func(context.Context, card.Medium) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return r.WithCard(ctx, fn)
}

func format(ctx context.Context, m card.Medium) error { return m.Format(ctx, 4096) }

func commit(generation uint64, data string) func(context.Context, card.Medium) error {
	return func(ctx context.Context, m card.Medium) error {
		return card.NewStore(m).Commit(ctx, generation, []byte(data))
	}
}

// loads checks what the card holds.
func loads(t *testing.T, r card.Reader, data string) {
	t.Helper()
	err := withCard(t, r, func(ctx context.Context, m card.Medium) error {
		object, err := card.NewStore(m).Load(ctx)
		if err == nil && string(object.Data) != data {
			t.Errorf("card holds %q, want %q", object.Data, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got error %v, want %v", err, sentinel)
	}
}
