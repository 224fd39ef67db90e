// Package cli owns the command tree of scrctl: commands, flags, prompts, output
// and exit codes. It speaks to the daemons through package busapi and in no
// other way.
//
// Main runs one command and returns its exit code. It keeps no state between
// runs and reads no environment but the one it is given, so the tree can be run
// in process. The daemons return facts; what a person should do about them is
// said here (advice.go). docs/cli.md describes the output. Only cmd/scrctl
// imports this package.
package cli
