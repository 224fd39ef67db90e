package pcsctest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long pcscd has to end by itself before it is killed.
const stopTimeout = 5 * time.Second

// child is one run of pcscd.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

// launch starts pcscd by systemd's socket activation: the path of its socket
// cannot be configured, but a listener that it inherits is honoured.
func (d *Daemon) launch(readers bool) error {
	if err := d.writeConfig(readers); err != nil {
		return err
	}
	log, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	socket, err := listen(d.socket)
	if err != nil {
		return err
	}
	defer socket.Close() // no copy may stay here: clients would connect to nobody
	// LISTEN_PID is the daemon's own, known only once it runs: hence the shell.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, d.program, "--foreground", "--config", d.confDir())
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "PCSCLITE_HP_DROPDIR="+d.emptyDir())
	cmd.ExtraFiles = []*os.File{socket} // becomes descriptor 3
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	d.child = &child{cmd: cmd, done: make(chan struct{})}
	return d.child.start()
}

// start runs the child on a thread of its own until it ends: the kernel sends
// Pdeathsig when the thread that forked ends, not the process.
func (c *child) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := c.cmd.Start()
		if err != nil {
			close(c.done)
			started <- err
			return
		}
		started <- nil
		_ = c.cmd.Wait() // how it ended matters to nobody: the log tells
		close(c.done)
	}()
	return <-started
}

// stop ends the child and waits until it is gone.
func (c *child) stop() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		_ = c.cmd.Process.Signal(syscall.SIGCONT) // it may be paused
		select {
		case <-c.done:
		case <-time.After(stopTimeout):
			_ = c.cmd.Process.Kill()
		}
	})
	<-c.done
}

// listen opens the socket, in place of one left over, and returns a descriptor
// that the child can inherit.
func listen(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	return listener.File()
}

func (d *Daemon) confDir() string  { return filepath.Join(d.dir, "reader.conf.d") }
func (d *Daemon) emptyDir() string { return filepath.Join(d.dir, "no-usb-drivers") }

// writeConfig tells pcscd of the virtual reader, if there is to be one, and keeps it, where it lets
// itself be told, from the machine's own readers.
func (d *Daemon) writeConfig(readers bool) error {
	for _, dir := range []string{d.confDir(), d.emptyDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if !readers {
		return os.RemoveAll(filepath.Join(d.confDir(), "vpcd"))
	}
	config := fmt.Sprintf("FRIENDLYNAME \"%s\"\nDEVICENAME /dev/null:%d\nLIBPATH %s\nCHANNELID %d\n", ReaderName, d.port, d.driver, d.port)
	return os.WriteFile(filepath.Join(d.confDir(), "vpcd"), []byte(config), 0o600)
}
