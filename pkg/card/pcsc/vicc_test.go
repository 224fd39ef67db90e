//go:build cgo

package pcsc_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebfe/scard"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
)

// insUpdateBinary is the instruction of UPDATE BINARY.
const insUpdateBinary = 0xD6

// newVicc puts vsmartcard's own card (package vsmartcard-vpicc), which nobody here wrote, into a
// reader of the service. It is empty, and forgets all when it is pulled.
func newVicc(t *testing.T) *rig {
	t.Helper()
	if service.reason != nil {
		t.Skip(service.reason)
	}
	program, err := exec.LookPath("vicc")
	if err != nil {
		cardtest.Skip(t, "vicc is not installed (package vsmartcard-vpicc)")
	}
	r := &rig{t: t, reader: <-service.readers}
	t.Cleanup(func() { service.readers <- r.reader })
	settle(t, r.name(), scard.StateEmpty)
	host, port, err := net.SplitHostPort(relay(t, service.daemon.Address(r.reader)))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "vicc.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--type", "iso7816", "--hostname", host, "--port", port)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+cardtest.ViccModules(t))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		settle(t, r.name(), scard.StateEmpty)
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("vicc says: %s", said[max(0, len(said)-2000):])
		}
	})
	settle(t, r.name(), scard.StatePresent)
	return r
}

// relay passes on what one card and vpcd at address say, and acknowledges it at once: both send
// in pieces, and wait 40 ms for each to be acknowledged. It gives the address for the card.
func relay(t *testing.T, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		inner, err := listener.Accept()
		if err != nil {
			return
		}
		outer, err := net.Dial("tcp", address)
		if err != nil {
			_ = inner.Close()
			return
		}
		go pass(inner.(*net.TCPConn), outer.(*net.TCPConn))
		pass(outer.(*net.TCPConn), inner.(*net.TCPConn))
	}()
	return listener.Addr().String()
}

// pass copies until either end is closed, and closes both.
func pass(to, from *net.TCPConn) {
	defer to.Close()
	defer from.Close()
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	for p := make([]byte, 70000); ; {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
		n, err := from.Read(p)
		if n > 0 {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// patient is vicc's channel around one defect of it: UPDATE BINARY ends it unless there is a Le,
// and then warns that there was nothing to read.
type patient struct{ card.Channel }

func (p patient) Transmit(ctx context.Context, apdu []byte) ([]byte, error) {
	update := len(apdu) > 5 && apdu[1] == insUpdateBinary && len(apdu) == 5+int(apdu[4])
	if update {
		apdu = append(slices.Clone(apdu), 0)
	}
	answer, err := p.Channel.Transmit(ctx, apdu)
	if update && len(answer) == 2 && answer[0] == 0x62 && answer[1] == 0x82 {
		answer = []byte{0x90, 0x00}
	}
	return answer, err
}

func (r *rig) viccConfig(notify func(card.Event)) pcsc.Config {
	open := func(ctx context.Context, ch card.Channel) (card.Medium, error) { return iso7816.Open(ctx, patient{ch}) }
	return pcsc.Config{Match: r.name(), Profiles: []card.Profile{open}, Notify: notify}
}

// TestViccMedium is the conformance suite of media on vicc, through a real pcscd.
func TestViccMedium(t *testing.T) {
	cardtest.TestMedium(t, func(t *testing.T) card.Medium { return borrow(t, pcsc.New(newVicc(t).viccConfig(nil))) })
}

// TestViccReader is the conformance suite of readers on vicc, but for what needs a card that can
// be put in again.
func TestViccReader(t *testing.T) {
	cardtest.TestReader(t, func(t *testing.T, notify func(card.Event)) cardtest.Fixture {
		for _, name := range []string{"/Store", "/Presence", "/NoCard", "/PullInside"} {
			if strings.HasSuffix(t.Name(), name) {
				cardtest.Skip(t, "vicc forgets everything when it is pulled")
			}
		}
		return cardtest.Fixture{Reader: pcsc.New(newVicc(t).viccConfig(notify))}
	})
}
