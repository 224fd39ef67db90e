// Command virtualcard puts a virtual smart card into a virtual reader:
//
//	virtualcard -socket PATH -dir DIR -image FILE [-profile KIND] [-capacity BYTES]
//	virtualcard -reader NAME [-vpcd ADDRESS] -dir DIR -image FILE [-profile KIND] [-capacity BYTES]
//
// The first, for the sandbox, runs a private pcscd, whose clients are those with
// PCSCLITE_CSOCK_NAME=PATH. The second uses the host's pcscd, for a virtual
// machine: NAME is part of its reader's name, ADDRESS where that listens. KIND is
// iso7816, a card with a file system, or piv, one such as a YubiKey, with the
// management key, PIN (123456) and PUK (12345678) that everybody knows.
//
// The program prints "ready" on standard output when PC/SC clients see the card,
// and runs until SIGTERM or SIGINT, or until the reader is gone. Its control
// socket DIR/control takes the lines "pull", "insert", "status" and "written" and answers
// each with one line: "in", "out", or "error:" and a reason. The answers to pull
// and insert come when PC/SC clients can see the change. The image keeps what is
// on the card.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/piv"
)

func main() {
	var o options
	flag.StringVar(&o.socket, "socket", "", "`path` of the socket for PC/SC clients")
	flag.StringVar(&o.reader, "reader", "", "part of the `name` of a virtual reader of the host's pcscd")
	flag.StringVar(&o.vpcd, "vpcd", "127.0.0.1:35963", "`address` where that reader listens for cards")
	flag.StringVar(&o.dir, "dir", "", "`directory` for files of pcscd and the control socket")
	flag.StringVar(&o.image, "image", "", "`file` that keeps the contents of the card")
	flag.StringVar(&o.profile, "profile", iso7816.ProfileName, "`kind` of the card: iso7816 or piv")
	flag.IntVar(&o.capacity, "capacity", 0, "memory of the card, in `bytes`; 0 is that of a common card")
	flag.Parse()
	if (o.socket == "") == (o.reader == "") || o.dir == "" || o.image == "" || o.capacity < 0 || flag.NArg() != 0 ||
		o.profile != iso7816.ProfileName && o.profile != piv.ProfileName {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "virtualcard:", err)
		os.Exit(1)
	}
}
