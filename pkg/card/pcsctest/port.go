package pcsctest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// freePorts finds two neighbouring TCP ports that nobody listens on: vpcd takes
// the one after the configured one for its second reader.
func freePorts() (int, error) {
	for range 20 {
		first, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			return 0, err
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := net.Listen("tcp", net.JoinHostPort("0.0.0.0", fmt.Sprint(port+1)))
		first.Close()
		if err == nil {
			second.Close()
			return port, nil
		}
	}
	return 0, errors.New("cannot find two free TCP ports")
}

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// listening tells whether somebody listens on the port, without a connection: to
// vpcd that would be a card.
func listening(port int) bool {
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		found := scan(bufio.NewScanner(file), port)
		file.Close()
		if found {
			return true
		}
	}
	return false
}

func scan(lines *bufio.Scanner, port int) bool {
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != tcpListen {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			return true
		}
	}
	return false
}
