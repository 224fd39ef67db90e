// Command virtualcard runs a private pcscd with a virtual smart card in its
// reader, for the sandbox:
//
//	virtualcard -socket PATH -dir DIR -image FILE [-capacity BYTES]
//
// PC/SC clients with PCSCLITE_CSOCK_NAME=PATH see the card. The program prints
// "ready" on standard output when they can, and runs until SIGTERM or SIGINT, or
// until its pcscd ends. Its control socket DIR/control takes the lines "pull",
// "insert" and "status" and answers each with one line: "in", "out", or "error:"
// and a reason. The answers to pull and insert come when PC/SC clients can see
// the change. The image keeps what is on the card.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.socket, "socket", "", "`path` of the socket for PC/SC clients")
	flag.StringVar(&o.dir, "dir", "", "`directory` for files of pcscd and the control socket")
	flag.StringVar(&o.image, "image", "", "`file` that keeps the contents of the card")
	flag.IntVar(&o.capacity, "capacity", 0, "memory of the card, in `bytes`; 0 is that of a common card")
	flag.Parse()
	if o.socket == "" || o.dir == "" || o.image == "" || o.capacity < 0 || flag.NArg() != 0 {
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
