package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

// manner misbehaves in one way, until the reader has had enough, and tells what
// happened. A reader that bears it as long as the context lasts is an error.
type manner func(context.Context, phone) (string, error)

func manners() map[string]manner {
	return map[string]manner{
		"silent":   alone(silent),
		"garbage":  alone(garbage),
		"unpaired": alone(unpaired),
	}
}

// alone is a manner on one connection. Not to get one at all is well, too.
func alone(on func(*os.File) (string, error)) manner {
	return func(ctx context.Context, p phone) (string, error) {
		conn, err := p.connect(ctx)
		if errors.Is(err, errRefused) {
			return err.Error(), nil
		}
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(deadline); err != nil {
				return "", err
			}
		}
		return on(conn)
	}
}

// drained reads to the end, which the reader has to bring about.
func drained(conn *os.File) error {
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the reader keeps the connection")
	}
	return nil // whatever it is, it is over
}

func silent(conn *os.File) (string, error) {
	return "connected; the reader hung up", drained(conn)
}

// noiseLimit is far more than a reader should read of noise.
const noiseLimit = 4 << 20

func garbage(conn *os.File) (string, error) {
	noise := make([]byte, 4096)
	sent := 0
	for sent < noiseLimit {
		rand.Read(noise) // never fails: crypto/rand
		n, err := conn.Write(noise)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "", errors.New("the reader keeps the connection and reads no more")
		}
		if err != nil {
			return fmt.Sprintf("connected; the reader hung up on %d bytes of noise", sent), nil
		}
	}
	return "", fmt.Errorf("the reader took %d bytes of noise", sent)
}

// stream is a connection as crypto/tls wants it.
type stream struct{ *os.File }

// LocalAddr implements net.Conn; nobody asks.
func (stream) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn; nobody asks.
func (stream) RemoteAddr() net.Addr { return nil }

// unpaired shakes hands as the session does, but takes any reader.
func unpaired(conn *os.File) (string, error) {
	certificate, err := stranger()
	if err != nil {
		return "", err
	}
	tc := tls.Client(stream{conn}, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{certificate},
		NextProtos:         []string{"reprovision/1"},
		InsecureSkipVerify: true, // #nosec G402 -- whoever it is, it should not let us in
	})
	if err := tc.Handshake(); err != nil {
		return fmt.Sprintf("connected; %v", err), drained(conn)
	}
	// The reader judges our certificate last.
	if _, err = tc.Read(make([]byte, 1)); err == nil {
		return "", errors.New("the reader let a stranger in")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", errors.New("the reader keeps the connection")
	}
	return fmt.Sprintf("connected; %v", err), drained(conn)
}

// stranger makes a certificate of a new key.
func stranger() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
