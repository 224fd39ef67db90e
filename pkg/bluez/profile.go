package bluez

import (
	"errors"
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"
	"github.com/muka/go-bluetooth/bluez/profile"
	"golang.org/x/sys/unix"
)

// export offers our objects on the connection; only bluetoothd is listened to.
func (c *Client) export() error {
	profile := map[string]any{
		"NewConnection":        c.newConnection,
		"RequestDisconnection": c.requestDisconnection,
		"Release":              c.releaseProfile,
	}
	return errors.Join(
		c.cfg.Conn.ExportMethodTable(profile, profilePath, profileInterface),
		c.cfg.Conn.ExportMethodTable(c.agentMethods(), agentPath, agentInterface),
	)
}

func (c *Client) unexport() {
	// Without a method table there is nothing that could fail.
	_ = c.cfg.Conn.Export(nil, profilePath, profileInterface)
	_ = c.cfg.Conn.Export(nil, agentPath, agentInterface)
}

func rejected(why error) *dbus.Error {
	return dbus.NewError(profile.ErrRejected.Name, []any{why.Error()})
}

var (
	errStranger = errors.New("only bluetoothd may call this")
	errUnwanted = errors.New("nobody waits for this connection")
)

// newConnection is Profile1.NewConnection: the descriptor is ours from now on.
func (c *Client) newConnection(sender dbus.Sender, path dbus.ObjectPath, fd dbus.UnixFD, _ map[string]dbus.Variant) *dbus.Error {
	file, err := newFile(int(fd))
	if err == nil {
		err = c.take(string(sender), path, file)
	}
	if err != nil {
		c.log.Warn("refused a Bluetooth connection", "device", path, "error", err)
		return rejected(err)
	}
	return nil
}

// newFile owns the descriptor, also when it fails.
func newFile(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the socket: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "rfcomm"), nil
}

// take hands a socket to whoever it is for, or closes it.
func (c *Client) take(sender string, path dbus.ObjectPath, file *os.File) error {
	err := c.hand(sender, path, file)
	if err != nil {
		HangUp(file)
	}
	return err
}

func (c *Client) hand(sender string, path dbus.ObjectPath, file *os.File) error {
	if !c.fromBluez(sender) {
		return errStranger
	}
	at, peer, err := splitDevicePath(path)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.tree.choose(c.cfg.Adapter)
	if !ok || a.path != at {
		return errUnwanted
	}
	if c.cfg.Role == Server {
		c.servedLocked(path)
		return c.queue(Socket{File: file, Local: a.address, Peer: peer})
	}
	select {
	case c.waiting[path] <- file: // a nil channel takes nothing
		return nil
	default:
		return errUnwanted
	}
}

func (c *Client) queue(s Socket) error {
	select {
	case c.sockets <- s:
		return nil
	default:
		return errors.New("too many connections wait")
	}
}

// drain hangs up on those that nobody accepted.
func (c *Client) drain() {
	for {
		select {
		case s := <-c.sockets:
			HangUp(s.File)
		default:
			return
		}
	}
}

// HangUp ends a connection and closes its file. A close alone would not do:
// bluetoothd holds a descriptor of the same socket. What was written before is
// still sent.
func HangUp(file *os.File) {
	if raw, err := file.SyscallConn(); err == nil {
		// The peer may have hung up first.
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	_ = file.Close() // a second close does nothing
}

// requestDisconnection is Profile1.RequestDisconnection: somebody told BlueZ to
// end the peer's connection. BlueZ closes its own descriptor only; it shuts the
// link down right after, and the reader of ours sees the end.
func (c *Client) requestDisconnection(sender dbus.Sender, path dbus.ObjectPath) *dbus.Error {
	if !c.fromBluez(string(sender)) {
		return rejected(errStranger)
	}
	c.log.Info("BlueZ ends the connection", "device", path)
	return nil
}

// releaseProfile is Profile1.Release: bluetoothd goes, or forgot the profile.
func (c *Client) releaseProfile(sender dbus.Sender) *dbus.Error {
	if !c.fromBluez(string(sender)) {
		return rejected(errStranger)
	}
	c.update(func() { c.registered = "" })
	c.hint()
	return nil
}
