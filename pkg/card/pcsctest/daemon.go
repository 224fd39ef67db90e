package pcsctest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// SocketEnv is the environment variable by which PC/SC clients find a pcscd. It
// must be set to Daemon.Socket before the first PC/SC call of a program.
const SocketEnv = "PCSCLITE_CSOCK_NAME"

// ReaderName is in the name of both of the daemon's readers.
const ReaderName = "Reprovision Virtual Reader"

// maxSocketPath is the length of sun_path without its NUL, in bytes.
const maxSocketPath = 107

// ErrNotInstalled is wrapped by errors about missing programs and directories.
var ErrNotInstalled = errors.New("not installed")

// Daemon is a private pcscd with two virtual readers.
type Daemon struct {
	socket  string
	dir     string
	port    int
	driver  string
	program string
	child   *child
}

// Start runs a pcscd that listens on the unix socket and keeps its files in dir,
// which must exist. The log of pcscd goes to pcscd.log in dir. It returns when
// the virtual readers take cards.
func Start(ctx context.Context, socket, dir string) (*Daemon, error) {
	d := &Daemon{socket: socket, dir: dir}
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("cannot start pcscd: path of socket has %d bytes, %d allowed", len(socket), maxSocketPath)
	}
	if err := d.findInstalled(); err != nil {
		return nil, fmt.Errorf("cannot start pcscd: %w", err)
	}
	var err error
	for range 3 { // another program may take a free port before pcscd does
		if d.port, err = freePorts(); err != nil {
			break
		}
		if err = d.Restart(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// findInstalled locates pcscd, the driver, and the directory that pcscd insists
// on even where it does not use it.
func (d *Daemon) findInstalled() error {
	for _, name := range []string{"pcscd", "/usr/sbin/pcscd", "/usr/local/sbin/pcscd"} {
		if path, err := exec.LookPath(name); err == nil {
			d.program = path
			break
		}
	}
	if d.program == "" {
		return fmt.Errorf("pcscd %w", ErrNotInstalled)
	}
	for _, pattern := range []string{"/usr/lib/pcsc/drivers/serial/libifdvpcd.so", "/usr/lib/*/pcsc/drivers/serial/libifdvpcd.so",
		"/usr/local/lib/pcsc/drivers/serial/libifdvpcd.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			d.driver = found[0]
			break
		}
	}
	if d.driver == "" {
		return fmt.Errorf("libifdvpcd.so of vsmartcard-vpcd %w", ErrNotInstalled)
	}
	if _, err := os.Stat("/run/pcscd"); err != nil && os.Geteuid() != 0 {
		return fmt.Errorf("/run/pcscd, which pcscd needs and only root can make: %w", ErrNotInstalled)
	}
	return nil
}

// Socket is the path for SocketEnv.
func (d *Daemon) Socket() string { return d.socket }

// Reader is the name of one of the two readers, 0 or 1.
func (d *Daemon) Reader(reader int) string { return fmt.Sprintf("%s 00 %02X", ReaderName, reader) }

// Address is where to insert a virtual card into one of the two readers, 0 or 1.
func (d *Daemon) Address(reader int) string {
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(d.port+reader))
}

// Done is closed when the running pcscd ends, for whatever reason.
func (d *Daemon) Done() <-chan struct{} { return d.child.done }

// Pause stops pcscd where it is, as if it hung, until Resume. Stop and Restart work on it, too.
func (d *Daemon) Pause() error { return d.child.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets pcscd go on after Pause.
func (d *Daemon) Resume() error { return d.child.cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends pcscd. Clients then find no service until Restart.
func (d *Daemon) Stop() { d.child.stop() }

// Restart starts pcscd anew at the same socket and ports, after Stop.
func (d *Daemon) Restart(ctx context.Context) error {
	if err := d.launch(true); err != nil {
		return fmt.Errorf("cannot start pcscd: %w", err)
	}
	if err := d.await(ctx); err != nil {
		d.child.stop()
		return fmt.Errorf("cannot start pcscd: %w", err)
	}
	return nil
}

// Unplug starts pcscd anew, after Stop, without a reader, as after the last one was
// unplugged: vpcd's reader is there as long as the pcscd that knows it, which does not
// take SIGUSR1 for a reason to look at its settings again. It returns when pcscd takes clients. Stop and Restart plug them in.
func (d *Daemon) Unplug(ctx context.Context) error {
	if err := d.launch(false); err != nil {
		return fmt.Errorf("cannot start pcscd: %w", err)
	}
	select {
	case <-d.child.done:
		return fmt.Errorf("cannot start pcscd: it ended: %s", tail(d.logPath()))
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond): // its socket listens before it runs
		return nil
	}
}

// await polls until both readers listen. A probe is a card that is gone at once.
func (d *Daemon) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for reader := 0; reader < 2; {
		if listening(d.port + reader) {
			reader++
			continue
		}
		select {
		case <-d.child.done:
			return fmt.Errorf("pcscd ended: %s", tail(d.logPath()))
		case <-ctx.Done():
			return fmt.Errorf("virtual reader does not listen: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (d *Daemon) logPath() string { return filepath.Join(d.dir, "pcscd.log") }

// tail is the end of a log, for an error.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-500):])
}
