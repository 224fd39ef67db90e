//go:build cgo

package pcsc_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// insVerify is the instruction of VERIFY.
const insVerify = 0x20

// holderEnv makes this test binary the program that dies with the PIN shown: it is the name of
// the reader.
const holderEnv = "REPROVISION_TEST_PIN_HOLDER"

// open is a card that keeps what its PIN opened until it is reset.
func open(t *testing.T) (*rig, *pcsc.Reader) {
	t.Helper()
	r := newRig(t, virtual.Options{PIV: &virtual.PIV{}, Quirks: virtual.Quirks{KeepsStatus: true}})
	return r, pcsc.New(r.config(nil))
}

func verify(ctx context.Context, m card.Medium) error {
	return m.(card.PIN).VerifyPIN(ctx, []byte(virtual.DefaultPIN))
}

// closed checks that whoever uses the card next does not find its PIN shown.
func closed(t *testing.T, reader card.Reader) {
	t.Helper()
	if err := withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		st, err := m.(card.PIN).PINStatus(ctx)
		if st.Verified {
			t.Error("the PIN is shown still")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// stall has the card take its time for the first command of a kind, once it was sent, until the
// returned function is called.
func stall(c *virtual.Card, kind func(apdu []byte) bool) (sent <-chan struct{}, goOn func()) {
	begun, proceed, first := make(chan struct{}), make(chan struct{}), true
	c.SetHook(func(_ int, apdu []byte) virtual.Action {
		if first && kind(apdu) {
			first = false
			close(begun)
			<-proceed
		}
		return virtual.Answer
	})
	return begun, func() { close(proceed) }
}

func isVerify(apdu []byte) bool { return apdu[1] == insVerify && len(apdu) > 5 }

// TestForgetsWhenCut ends the transaction in which the PIN was shown in other ways than well.
func TestForgetsWhenCut(t *testing.T) {
	t.Run("canceled after VERIFY", func(t *testing.T) {
		_, reader := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		want(t, reader.WithCard(ctx, func(ctx context.Context, m card.Medium) error {
			if err := verify(ctx, m); err != nil {
				t.Error(err)
			}
			cancel()
			_, err := m.Layout(ctx)
			return errors.Join(err, ctx.Err(), verify(ctx, m))
		}), context.Canceled)
		closed(t, reader)
	})
	t.Run("canceled in VERIFY", func(t *testing.T) {
		r, reader := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		sent, goOn := stall(r.card, isVerify)
		go func() {
			<-sent
			cancel()
		}()
		want(t, reader.WithCard(ctx, verify), context.Canceled)
		goOn()
		closed(t, reader)
	})
	t.Run("no answer in time", func(t *testing.T) {
		r, _ := open(t)
		c := r.config(nil)
		c.APDUTimeout = 2 * time.Second
		reader := pcsc.New(c)
		sent, goOn := stall(r.card, isVerify)
		want(t, withCard(t, reader, verify), card.ErrTimeout)
		<-sent
		goOn()
		closed(t, reader)
	})
	t.Run("panic", func(t *testing.T) {
		_, reader := open(t)
		func() {
			defer func() { _ = recover() }()
			_ = withCard(t, reader, func(ctx context.Context, m card.Medium) error {
				if err := verify(ctx, m); err != nil {
					t.Error(err)
				}
				panic("in a transaction")
			})
		}()
		closed(t, reader)
	})
}

// TestForgetsWhenKilled kills a program that has shown the PIN, and one whose VERIFY has no
// answer yet: pcscd then ends their transactions, and resets the card.
func TestForgetsWhenKilled(t *testing.T) {
	for name, during := range map[string]bool{"after VERIFY": false, "in VERIFY": true} {
		t.Run(name, func(t *testing.T) {
			r, reader := open(t)
			goOn := func() {}
			var sent <-chan struct{}
			if during {
				sent, goOn = stall(r.card, isVerify)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestHoldPIN$")
			cmd.Env = append(os.Environ(), holderEnv+"="+r.name())
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			if sent == nil {
				shown := make(chan struct{})
				go func() {
					for lines := bufio.NewScanner(out); lines.Scan(); {
						if lines.Text() == "shown" {
							close(shown)
						}
					}
				}()
				sent = shown
			}
			select {
			case <-sent:
			case <-time.After(patience):
				t.Error("the PIN was not shown")
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			goOn()
			closed(t, reader)
		})
	}
}

// TestHoldPIN is no test: it is the program that TestForgetsWhenKilled kills.
func TestHoldPIN(t *testing.T) {
	name := os.Getenv(holderEnv)
	if name == "" {
		t.Skip("only for TestForgetsWhenKilled")
	}
	reader := pcsc.New((&rig{t: t, named: name}).config(nil))
	_ = withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		if err := verify(ctx, m); err != nil {
			return err
		}
		_, _ = os.Stdout.WriteString("\nshown\n")
		<-ctx.Done()
		return nil
	})
}
