package iso7816_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// viccTimeout bounds the start of vicc and each of its answers.
const viccTimeout = 20 * time.Second

// vicc is a card of the vsmartcard project (package vsmartcard-vpicc): nobody here
// wrote it. The test is the reader that it dials.
type vicc struct {
	*testing.T
	conn net.Conn
	atr  []byte
}

// Messages of one byte to a virtual card.
const (
	viccOn  = 1
	viccATR = 4
)

// newVicc starts an empty card. It skips where vicc or what it needs is not there.
func newVicc(t *testing.T) *vicc {
	t.Helper()
	program, err := exec.LookPath("vicc")
	if err != nil {
		t.Skip(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := exec.Command(program, "--type", "iso7816", "--hostname", "127.0.0.1",
		"--port", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+viccModules(t))
	log, err := os.Create(filepath.Join(t.TempDir(), "vicc.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		said, _ := os.ReadFile(log.Name())
		if t.Failed() {
			t.Logf("vicc says: %s", said[max(0, len(said)-2000):])
		}
	})
	_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(viccTimeout))
	conn, err := listener.Accept()
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Skipf("vicc does not start: %v: %s", err, said)
	}
	t.Cleanup(func() { _ = conn.Close() })
	v := &vicc{T: t, conn: conn}
	v.must(v.send([]byte{viccOn}))
	v.must(v.send([]byte{viccATR}))
	v.atr, err = v.receive()
	v.must(err)
	return v
}

// viccModules is where its modules are: Debian has them where Python does not look,
// and PyCryptodome under a name that they do not use.
func viccModules(t *testing.T) string {
	t.Helper()
	if err := exec.Command("/usr/bin/python3", "-c", "import Cryptodome").Run(); err != nil {
		t.Skipf("vicc needs python3-pycryptodome: %v", err)
	}
	dir := t.TempDir()
	err := os.Mkdir(filepath.Join(dir, "Crypto"), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "Crypto", "__init__.py"), []byte("import Cryptodome\n__path__ = Cryptodome.__path__\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir + ":/usr/lib/python3/site-packages/virtualsmartcard"
}

func (v *vicc) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func (v *vicc) send(message []byte) error {
	_ = v.conn.SetDeadline(time.Now().Add(viccTimeout))
	_, err := v.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

func (v *vicc) receive() ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(v.conn, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(v.conn, message)
	return message, err
}

func (v *vicc) ATR() []byte { return slices.Clone(v.atr) }
func (v *vicc) T0() bool    { return false }

// Transmit passes a command on, around one defect of vicc's: UPDATE BINARY ends it
// unless there is a Le, and then warns that there was nothing to read.
func (v *vicc) Transmit(_ context.Context, apdu []byte) ([]byte, error) {
	update := len(apdu) > 5 && apdu[1] == insUpdate && len(apdu) == 5+int(apdu[4])
	if update {
		apdu = append(slices.Clone(apdu), 0)
	}
	if err := v.send(apdu); err != nil {
		return nil, fmt.Errorf("%w: %w", card.ErrRemoved, err)
	}
	answer, err := v.receive()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", card.ErrRemoved, err)
	}
	if n := len(answer); update && n == 2 && answer[0] == 0x62 && answer[1] == 0x82 {
		answer = []byte{0x90, 0x00}
	}
	return answer, nil
}

// TestVicc is the conformance suite on vicc.
func TestVicc(t *testing.T) {
	t.Parallel() // a card without limits takes its time to be filled
	newVicc(t)
	cardtest.TestMedium(t, func(t *testing.T) card.Medium {
		m, err := iso7816.Open(t.Context(), newVicc(t))
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
}
