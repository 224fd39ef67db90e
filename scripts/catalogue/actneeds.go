package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// possible leaves out the acts that are not wanted, or not possible here.
func possible(s settings) (all []act, skipped []string) {
	for _, a := range legitimateActs() {
		if !s.wants(a.name) {
			continue
		}
		if err := missing(a); err != nil {
			skipped = append(skipped, fmt.Sprintf("%s: %v", a.name, err))
			continue
		}
		all = append(all, a)
	}
	return all, skipped
}

// missing tells why an act cannot be done here.
func missing(a act) error {
	if a.root && os.Geteuid() != 0 {
		return errors.New("only root can")
	}
	for _, p := range append([]string{a.program, "bash"}, a.needs...) {
		if p == "scrctl" || strings.HasPrefix(p, "go ") {
			continue
		}
		if _, err := where(p); err != nil {
			return fmt.Errorf("%s is not installed", p)
		}
	}
	return nil
}

// where finds a program, those of the system's administrator too.
func where(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if path, e := exec.LookPath(filepath.Join(dir, program)); e == nil {
				return path, nil
			}
		}
	}
	return path, err
}
