package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/piv"
)

// asProgram in the environment makes this test binary be the program.
const asProgram = "VIRTUALCARD_TEST_MAIN"

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(runAll(m))
}

// socket is the same in all runs of a test, because the PC/SC library looks for
// it only once. It lies in a directory with a short path.
var socket string

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vcard")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	socket = filepath.Join(dir, "s")
	return m.Run()
}

// program is a running virtualcard.
type program struct {
	cmd *exec.Cmd
	dir string
}

func launch(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	args = append(args, "-dir", dir, "-image", filepath.Join(dir, "image"), "-capacity", "20000")
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd, dir}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && line == "ready\n" {
		t.Cleanup(func() { p.end(syscall.SIGKILL) })
		return p
	}
	p.end(syscall.SIGKILL)
	if strings.Contains(messages.String(), pcsctest.ErrNotInstalled.Error()) && os.Getenv(pcsctest.RequireEnv) != "1" {
		t.Skip(messages.String())
	}
	t.Fatalf("instead of ready: %q, %v: %s", line, err, messages.String())
	return nil
}

func (p *program) end(signal os.Signal) error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// say sends lines over one connection and checks the answers.
func (p *program) say(t *testing.T, lines ...string) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(p.dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for _, line := range lines {
		command, want, _ := strings.Cut(line, ">")
		if _, err := io.WriteString(conn, command+"\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := answers.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("%s gives %q, %v, want %q", command, got, err, want)
		}
	}
}

// TestProgram is the life of a card in the sandbox: used, pulled, put in again,
// and there still after the program was killed.
func TestProgram(t *testing.T) {
	dir, err := os.MkdirTemp("", "vcard") // short, for the path of the control socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := launch(t, dir, "-socket", socket)
	t.Setenv(pcsctest.SocketEnv, socket)
	reader := pcsc.New(pcsc.Config{Profiles: []card.Profile{iso7816.Open}})
	use := func(fn func(context.Context, card.Medium) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return reader.WithCard(ctx, fn)
	}
	load := func(ctx context.Context, m card.Medium) error {
		object, err := card.NewStore(m).Load(ctx)
		if err == nil && string(object.Data) != "kept" {
			t.Errorf("card holds %q", object.Data)
		}
		return err
	}
	err = use(func(ctx context.Context, m card.Medium) error {
		return errors.Join(m.Format(ctx, 0), card.NewStore(m).Commit(ctx, 1, []byte("kept")))
	})
	if err != nil {
		t.Fatal(err)
	}
	p.say(t, "status>in", "pull>out", "status>out", "pull>out", "eject>error: unknown command")
	if err := use(load); !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("pulled card: %v", err)
	}
	p.say(t, "insert>in", "insert>in", "status>in")
	if err := use(load); err != nil {
		t.Fatal(err)
	}
	_ = p.end(syscall.SIGKILL)
	for deadline := time.Now().Add(patience); !errors.Is(use(load), card.ErrNoService); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("pcscd outlives the program")
		}
	}
	p = launch(t, dir, "-socket", socket)
	if err := use(load); err != nil {
		t.Fatal(err)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatalf("after SIGTERM: %v", err)
	}
	if err := use(load); !errors.Is(err, card.ErrNoService) {
		t.Fatalf("after the end: %v", err)
	}
}

// TestHostsReader puts the card into a reader of a pcscd that somebody else runs.
func TestHostsReader(t *testing.T) {
	dir, err := os.MkdirTemp("", "vcard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	daemon, err := pcsctest.Start(t.Context(), socket, dir)
	if errors.Is(err, pcsctest.ErrNotInstalled) && os.Getenv(pcsctest.RequireEnv) != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(daemon.Stop)
	t.Setenv(pcsctest.SocketEnv, socket)
	p := launch(t, dir, "-reader", pcsctest.ReaderName, "-vpcd", daemon.Address(0), "-profile", piv.ProfileName)
	p.say(t, "status>in", "pull>out", "insert>in")
	reader := pcsc.New(pcsc.Config{Profiles: []card.Profile{piv.New(piv.Config{})}})
	if err := reader.WithCard(t.Context(), func(context.Context, card.Medium) error { return nil }); err != nil {
		t.Errorf("not a PIV card: %v", err)
	}
	daemon.Stop()
	if err := p.cmd.Wait(); err == nil {
		t.Error("the program ended well, though the reader was gone")
	}
}
